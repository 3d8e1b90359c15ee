"""``images/json`` of both trees.

Rows are in the order of the store. Intermediate images are hidden without ``all``; Docker's tree has no manifest lists.
podman returns nothing at all for ``digests=true``; here it changes nothing, because every row has digests.

Source: podman ``pkg/api/handlers/compat/images.go``, ``libpod/images.go``; filters: ``storaged.operations.filters``.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from functools import partial
from typing import Any

from storaged.engine.views import View
from storaged.gateway import image_rows
from storaged.gateway.answers import Answer, encoded_answer
from storaged.gateway.context import Context
from storaged.gateway.errors import ApiError
from storaged.gateway.request import Request
from storaged.gateway.store_access import question
from storaged.operations import image_list
from storaged.operations.filters import laborious
from storaged.service.limiters import pause
from storaged_client.contract.errors import InvalidParams
from storaged_client.contract.params import ImagesList

_PIECE = 256
"""Rows to encode before the event loop gets a turn."""
_SHARED = (1, 44)
"""The version of Docker's API that first leaves out ``VirtualSize``."""


async def list_images(context: Context, request: Request) -> Answer:
    """``images/json``."""
    query = request.query
    everything = query.flag("all")
    filters = list(_filters(request))
    kind = image_rows.kind_of(libpod=request.libpod, shared=query.flag("shared-size"), virtual=request.below(*_SHARED))
    view = await context.store.view(request)
    asked = question(view, "images", f"{kind} {everything} {filters!r}")
    kept = view.rows.kept.find(asked)
    if kept is not None:
        return encoded_answer(kept if isinstance(kept, list) else [kept])
    params = ImagesList(filters=tuple(filters), all=everything)
    selection = await _selected(context, request, view, params)
    pieces = [b"["]
    for start in range(0, len(selection.images), _PIECE):
        if start:
            pieces.append(b",")
            await pause()
        some = image_rows.encoded(
            view.snapshot, view.rows, selection.images[start : start + _PIECE], kind, selection.names
        )
        pieces.append(b"".join(some[1:-1]))
    pieces.append(b"]")
    answer = [b"".join(pieces)]
    if selection.lasting:
        view.rows.kept.keep(asked, answer)
    return encoded_answer(answer)


def _filters(request: Request) -> Iterator[dict[str, Any]]:
    for key, values in request.query.filters().items():
        name = key.removesuffix("!")
        for value in values:
            yield {"key": name, "value": value, "negate": name != key}
    if not request.libpod:
        reference = request.query.text("filter")
        if reference:
            yield {"key": "reference", "value": reference, "negate": False}
        yield {"key": "manifest", "value": False, "negate": False}


async def _selected(context: Context, request: Request, view: View, params: ImagesList) -> image_list.Selection:
    select = partial(image_list.select, view.snapshot, params, view.context.query_context, datetime.now().astimezone())
    try:
        if laborious(params.filters, len(view.snapshot.images)) and len(params.filters) > 1:
            return await context.store.in_thread(request, select)
        return select()
    except InvalidParams as error:
        # podman reports a wrong filter as an error of its own.
        raise ApiError(500, error.message) from None
