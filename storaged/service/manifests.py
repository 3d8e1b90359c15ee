"""Handlers of the ``manifests.*`` methods that read."""

from __future__ import annotations

from functools import partial

from storaged.operations import manifest_lists
from storaged.service.context import Call, Waiting
from storaged_client.contract import params as p
from storaged_client.contract import types as t

_FEW = 100
"""Most lists that are described without a thread."""

_SHORT = 64 << 10
"""Largest manifest, in bytes, that is described without a thread."""


def list_manifests(call: Call, params: p.ManifestsList) -> t.ManifestLists | Waiting[t.ManifestLists]:
    """``manifests.list``."""
    snapshot = call.view.snapshot
    tell = partial(manifest_lists.list_manifests, snapshot, params.include)
    return tell() if len(snapshot.lists) <= _FEW else partial(call.in_thread, tell)


def get(call: Call, params: p.ManifestName) -> t.ManifestDetails | Waiting[t.ManifestDetails]:
    """``manifests.get``."""
    snapshot = call.view.snapshot
    image = manifest_lists.find_list(snapshot, params.name, call.query_context)
    tell = partial(manifest_lists.details, snapshot, image)
    manifest = image.content.manifest
    is_short = manifest is None or len(manifest.raw or b"") <= _SHORT
    return tell() if is_short else partial(call.in_thread, tell)


def exists(call: Call, params: p.ManifestName) -> t.Exists:
    """``manifests.exists``: an ordinary image is an error, as in podman."""
    return manifest_lists.exists(call.view.snapshot, params.name, call.query_context)


def referenced(call: Call, params: p.ManifestsReferenced) -> t.ReferencedDigests:
    """``manifests.referenced``."""
    return manifest_lists.referenced(call.view.snapshot, params.digest)
