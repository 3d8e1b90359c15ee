"""``manifests.*``: structure, call, encode."""

from __future__ import annotations

from functools import partial

from storaged.operations import manifest_lists
from storaged.service.context import Call
from storaged.service.encoding import Encoded, members
from storaged.service.later import Later
from storaged_client.contract import params as p
from storaged_client.contract import types as t

_FEW = 100
"""Lists up to which all are told of at once."""


def list_manifests(call: Call, params: p.ManifestsList) -> Encoded | t.ManifestLists | Later[Encoded]:
    """``manifests.list``."""
    snapshot = call.view.snapshot
    tell = partial(manifest_lists.list_manifests, snapshot, params.include)
    if len(snapshot.lists) <= _FEW:
        return tell()
    return partial(call.in_thread, lambda: Encoded(members=members(tell()), lasting=True))


def get(call: Call, params: p.ManifestName) -> t.ManifestDetails:
    """``manifests.get``."""
    return manifest_lists.get(call.view.snapshot, params.name, call.query_context)


def exists(call: Call, params: p.ManifestName) -> t.Exists:
    """``manifests.exists``: an ordinary image is an error, as podman has it."""
    return manifest_lists.exists(call.view.snapshot, params.name, call.query_context)


def referenced(call: Call, params: p.ManifestsReferenced) -> t.ReferencedDigests:
    """``manifests.referenced``."""
    return manifest_lists.referenced(call.view.snapshot, params.digest)
