"""Handlers of ``manifests.*`` methods that change lists, and of ``images.create``."""

from __future__ import annotations

import secrets
import time

from storaged.engine.transactions import Outcome
from storaged.operations import image_create, list_editing
from storaged.operations.list_artifacts import Layer
from storaged.operations.list_editing import Birth
from storaged.operations.list_parts import Means
from storaged.operations.removing import Removing
from storaged.service.context import Call
from storaged.service.image_changes import reading, remove_names
from storaged.service.params import refuse_many
from storaged.service.passed_files import read_layers
from storaged.store.layout.records import ImageID
from storaged_client.contract import params as p
from storaged_client.contract import types as t
from storaged_client.contract.errors import InvalidParams
from storaged_client.times import NANOSECONDS, rfc3339


async def create(call: Call, params: p.ManifestsCreate) -> Outcome[t.ListEdited]:
    """``manifests.create``: makes the list with all its first entries, or nothing."""
    birth = Birth(id=ImageID(secrets.token_hex(32)), created=_now())
    return await call.change(lambda snapshot: list_editing.create(snapshot, params, _means(call), birth))


async def add(call: Call, params: p.ManifestsAdd) -> Outcome[t.ListEdited]:
    """``manifests.add``: adds entries with their description in one write. Files of an artifact are read before."""
    artifact = params.artifact
    layers: tuple[Layer, ...] = ()
    if artifact is not None:
        layers = await call.of_passed(lambda tell: read_layers(artifact, call.descriptors, tell))
    return await call.change(lambda snapshot: list_editing.add(snapshot, params, _means(call), layers))


async def annotate(call: Call, params: p.ManifestsAnnotate) -> Outcome[t.ListEdited]:
    """``manifests.annotate``."""
    return await call.change(lambda snapshot: list_editing.annotate(snapshot, params, _means(call)))


async def remove_instance(call: Call, params: p.ManifestsRemoveInstance) -> Outcome[t.ListEdited]:
    """``manifests.remove_instance``."""
    return await call.change(lambda snapshot: list_editing.remove_instance(snapshot, params, _means(call)))


async def remove(call: Call, params: p.ManifestsRemove) -> Outcome[t.PruneReport]:
    """``manifests.remove``: removes lists only; their instances stay."""
    if not params.names:
        raise InvalidParams("name at least one manifest list", path="$.names")
    return await remove_names(call, params.names, Removing(ignore=params.ignore, manifest=True))


async def create_image(call: Call, params: p.ImagesCreate) -> Outcome[t.Created]:
    """``images.create``."""
    refuse_many(params.names, "$.names")
    now = _now()
    return await call.change(lambda snapshot: image_create.create(snapshot, params, now))


def _means(call: Call) -> Means:
    """Made anew for each decision, with the short names and leases of that moment."""
    return Means(view=call.engine.query_context, location=call.engine.location, read=reading(call))


def _now() -> str:
    return rfc3339(*divmod(time.time_ns(), NANOSECONDS))
