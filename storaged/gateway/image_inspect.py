"""One image: ``json``, ``history``, ``exists``, ``tree``, ``resolve``.

The answer for an image is kept for as long as the image is unchanged: clients inspect every row of a listing, one after
the other.

Source: podman ``pkg/api/handlers/utils/images.go``, ``compat/images*.go``, ``libpod/images.go``.
"""

from __future__ import annotations

from typing import Any

import msgspec

from storaged.gateway import image_names
from storaged.gateway.answers import Answer, empty_answer, encoded_answer, json_answer
from storaged.gateway.context import Context
from storaged.gateway.docker_shapes import docker_inspect
from storaged.gateway.errors import ApiError, innermost
from storaged.gateway.image_rows import unix_seconds
from storaged.gateway.request import Request
from storaged.operations import resolving
from storaged.store.layout import references
from storaged_client.contract.errors import InvalidName, StoragedError
from storaged_client.podman import image_shape, tree_text

_encoder = msgspec.json.Encoder()


async def inspect(context: Context, request: Request) -> Answer:
    """``images/NAME/json``."""
    view = await context.store.view(request)
    found = image_names.find(view, request, listed=True)
    digest = resolving.meant_digest(found)
    kind = f"libpod {digest}" if request.libpod else f"docker {request.below(1, 44)} {request.below(1, 45)}"
    kind = f"inspect {kind}"
    kept = view.rows.texts.find(kind, found.image)
    if kept is not None:
        return encoded_answer((kept,))
    result = await context.store.call(request, "images.get", {"names": [found.image.id]})
    lookup = result["images"][0]
    if lookup["image"] is None:
        raise image_names.unknown(request.name, request.name)
    shape = image_shape.describe(lookup["image"], digest)
    if not request.libpod:
        shape = docker_inspect(shape, virtual=request.below(1, 44), container=request.below(1, 45))
    body = _encoder.encode(shape)
    if result["generation"] == view.generation:
        view.rows.texts.keep(kind, found.image, body)
    return encoded_answer((body,))


async def history(context: Context, request: Request) -> Answer:
    """``images/NAME/history``, newest first."""
    found = image_names.find(await context.store.view(request), request)
    result = await context.store.call(request, "images.history", {"name": found.image.id})
    prefix = "" if request.libpod else "sha256:"
    return json_answer([_history_row(row, prefix) for row in result["history"]])


def _history_row(row: dict[str, Any], prefix: str) -> dict[str, Any]:
    return {
        "Id": prefix + (row["id"] or "<missing>"),
        "Created": unix_seconds(row["created"]),
        "CreatedBy": row["created_by"] or "",
        "Tags": row["tags"] or None,
        "Size": row["size"] or 0,
        "Comment": row["comment"] or "",
    }


async def exists(context: Context, request: Request) -> Answer:
    """``images/NAME/exists``."""
    view = await context.store.view(request)
    missing = f"failed to find image {request.name}"
    try:
        if resolving.exists(view.snapshot, request.name, False, view.context.query_context):
            return empty_answer()
    except StoragedError as error:
        raise ApiError(404, f"{missing}: {error.message}", innermost(error.message)) from None
    raise ApiError(404, missing)


async def tree(context: Context, request: Request) -> Answer:
    """``images/NAME/tree``, as text."""
    requires = request.query.flag("whatrequires")
    found = image_names.find(await context.store.view(request), request)
    result = await context.store.call(request, "images.tree", {"name": found.image.id, "what_requires": requires})
    lines = tree_text.lines(result, requires=requires)[:-1]
    return json_answer({"Tree": "".join(f"{line}\n" for line in lines)})


async def resolve(context: Context, request: Request) -> Answer:
    """``images/NAME/resolve``: the images that a short name may mean, without reading the store."""
    name = request.name
    try:
        reference = references.parse(name)
    except InvalidName as error:
        cause = innermost(error.message)
        raise ApiError(400, f'resolving "{name}": cannot parse input: "{name}": {cause}', cause) from None
    ending = f":{reference.tag}" if reference.tag else ""
    ending = f"@{reference.digest}" if reference.digest else ending or ":latest"
    if reference.qualified:
        return json_answer({"Names": [reference.repository + ending]})
    view = await context.store.view(request)
    query_context = view.context.query_context
    candidates = query_context.short_names(reference.repository)
    local = f"localhost/{reference.repository}"
    # An alias comes first and is the only answer.
    chosen = candidates[:1] if candidates[:1] != (local,) else candidates[1:]
    found = [f"{repository}{ending}" for repository in chosen]
    if not found:
        cause = (
            f'short-name "{name}" did not resolve to an alias and no unqualified-search registries are defined in '
            "registries.conf"
        )
        raise ApiError(400, f'resolving "{name}": {cause}', cause)
    return json_answer({"Names": found})
