"""``manifests.*``: structure, call, encode."""

from __future__ import annotations

from storaged.operations import lists
from storaged.service.context import Call
from storaged_client.contract import params as p
from storaged_client.contract import types as t


def list_manifests(call: Call, params: p.ManifestsList) -> t.ManifestLists:
    """``manifests.list``."""
    return lists.list_manifests(call.view.snapshot, params.include)


def get(call: Call, params: p.ManifestName) -> t.ManifestDetails:
    """``manifests.get``."""
    return lists.get(call.view.snapshot, params.name, call.asking)


def exists(call: Call, params: p.ManifestName) -> t.Exists:
    """``manifests.exists``: an ordinary image is an error, as podman has it."""
    return lists.exists(call.view.snapshot, params.name, call.asking)


def referenced(call: Call, params: p.ManifestsReferenced) -> t.ReferencedDigests:
    """``manifests.referenced``."""
    return lists.referenced(call.view.snapshot, params.digest)
