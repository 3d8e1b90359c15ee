"""Handlers of ``layers.*``."""

from __future__ import annotations

from functools import partial

from storaged.operations import layer_list
from storaged.service.context import Call, Waiting
from storaged.service.encoding import Encoded
from storaged.service.listing import LayerListing
from storaged.service.paging import first_page, next_page
from storaged_client.contract import params as p
from storaged_client.contract import types as t

_WALKED = 5000
"""Number of layers above which a thread walks their tree."""


def list_layers(call: Call, params: p.LayersList) -> Encoded | Waiting[Encoded]:
    """``layers.list``."""
    if params.cursor is not None:
        return next_page(call, "layers.list", params).answer()
    listing = LayerListing(method="layers.list", view=call.view, rows=call.view.snapshot.layers)
    return first_page(call, listing, params.limit).answer()


def get(call: Call, params: p.LayersGet) -> t.LayerDetails:
    """``layers.get``."""
    return layer_list.get(call.view.snapshot, params.id)


def tree(call: Call, params: p.LayersTree) -> Encoded | Waiting[Encoded]:
    """``layers.tree``."""
    if params.cursor is not None:
        return next_page(call, "layers.tree", params).answer()
    if len(call.view.snapshot.layers) > _WALKED:
        return partial(_tree_in_thread, call, params)
    return first_page(call, _walk(call, params), params.limit).answer()


async def _tree_in_thread(call: Call, params: p.LayersTree) -> Encoded:
    listing = await call.in_thread(partial(_walk, call, params))
    return await first_page(call, listing, params.limit).answer_in_turns()


def _walk(call: Call, params: p.LayersTree) -> LayerListing:
    snapshot = call.view.snapshot
    layers = [snapshot.layer_by_id[layer] for layer in layer_list.tree(snapshot, params.id)]
    return LayerListing(method="layers.tree", view=call.view, rows=layers)
