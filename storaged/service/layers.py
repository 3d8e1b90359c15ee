"""``layers.*``: structure, call, encode."""

from __future__ import annotations

from collections.abc import Sequence

from storaged.operations import layering
from storaged.service.context import Call, Pinned
from storaged.service.encoding import Encoded, encode_value
from storaged.service.later import Later, then
from storaged.service.paging import first_page, in_pieces, next_page
from storaged.snapshot.model import Layer
from storaged_client.contract import params as p
from storaged_client.contract import types as t


def list_layers(call: Call, params: p.LayersList) -> Encoded | Later[Encoded]:
    """``layers.list``."""
    if params.cursor is not None:
        return next_page(call, "layers.list", params)
    layers = call.view.snapshot.layers

    def page(start: int, end: int) -> list[bytes] | Later[list[bytes]]:
        return then(in_pieces(_rows, layers[start:end]), _members)

    pinned = Pinned(method="layers.list", view=call.view, length=len(layers), page=page)
    return first_page(call, pinned, params.limit)


def get(call: Call, params: p.LayersGet) -> t.LayerDetails:
    """``layers.get``."""
    return layering.get(call.view.snapshot, params.id)


def tree(call: Call, params: p.LayersTree) -> Encoded | Later[Encoded]:
    """``layers.tree``."""
    if params.cursor is not None:
        return next_page(call, "layers.tree", params)
    snapshot = call.view.snapshot
    order = layering.tree(snapshot, params.id)

    def page(start: int, end: int) -> list[bytes] | Later[list[bytes]]:
        return then(in_pieces(_rows, [snapshot.layer_by_id[layer] for layer in order[start:end]]), _members)

    pinned = Pinned(method="layers.tree", view=call.view, length=len(order), page=page)
    return first_page(call, pinned, params.limit)


def _members(rows: list[bytes]) -> list[bytes]:
    return [b'"layers":', *rows]


def _rows(layers: Sequence[Layer]) -> list[bytes]:
    return [b"[", encode_value([layering.summary(layer) for layer in layers])[1:-1], b"]"]
