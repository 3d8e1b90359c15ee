"""``layers.*``: structure, call, encode."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from storaged.operations import layer_list
from storaged.service.context import Call, Pinned
from storaged.service.encoding import Encoded, encode_value
from storaged.service.later import Later, then
from storaged.service.paging import first_page, in_pieces, next_page
from storaged.snapshot.model import Layer
from storaged_client.contract import params as p
from storaged_client.contract import types as t

_WALKED = 5000
"""Layers from which on their tree is walked by a thread."""


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
    return layer_list.get(call.view.snapshot, params.id)


def tree(call: Call, params: p.LayersTree) -> Encoded | Later[Encoded]:
    """``layers.tree``."""
    if params.cursor is not None:
        return next_page(call, "layers.tree", params)
    snapshot = call.view.snapshot

    def walk() -> list[Layer]:
        return [snapshot.layer_by_id[layer] for layer in layer_list.tree(snapshot, params.id)]

    found = partial(call.in_thread, walk) if len(snapshot.layers) > _WALKED else walk()
    return then(found, lambda layers: _walked(call, layers, params.limit))


def _walked(call: Call, layers: Sequence[Layer], limit: int | None) -> Encoded | Later[Encoded]:
    def page(start: int, end: int) -> list[bytes] | Later[list[bytes]]:
        return then(in_pieces(_rows, layers[start:end]), _members)

    pinned = Pinned(method="layers.tree", view=call.view, length=len(layers), page=page)
    return first_page(call, pinned, limit)


def _members(rows: list[bytes]) -> list[bytes]:
    return [b'"layers":', *rows]


def _rows(layers: Sequence[Layer]) -> list[bytes]:
    return [b"[", encode_value([layer_list.summary(layer) for layer in layers])[1:-1], b"]"]
