"""``layers.*``: structure, call, encode."""

from __future__ import annotations

from storaged.operations import layering
from storaged.service.context import Call, Pinned
from storaged.service.encoding import Encoded, encode_value
from storaged.service.paging import first_page, next_page
from storaged_client.contract import params as p
from storaged_client.contract import types as t


async def list_layers(call: Call, params: p.LayersList) -> Encoded:
    """``layers.list``."""
    if params.cursor is not None:
        return next_page(call, "layers.list", params.cursor, params.limit)
    layers = call.view.snapshot.layers

    def page(start: int, end: int) -> list[bytes]:
        return [b'"layers":', encode_value([layering.summary(layer) for layer in layers[start:end]])]

    return first_page(call, Pinned(method="layers.list", view=call.view, length=len(layers), page=page), params.limit)


async def get(call: Call, params: p.LayersGet) -> t.LayerDetails:
    """``layers.get``."""
    return layering.get(call.view.snapshot, params.id)


async def tree(call: Call, params: p.LayersTree) -> t.LayerList:
    """``layers.tree``."""
    return layering.tree(call.view.snapshot, params.id)
