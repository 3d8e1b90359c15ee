"""Handlers of the ``images.*`` methods that read."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any

import msgspec

from storaged.operations import (
    image_details,
    image_history,
    image_list,
    image_relations,
    image_tree,
    image_why,
    resolving,
)
from storaged.operations.filters import laborious
from storaged.service.context import Call, Waiting
from storaged.service.encoding import Encoded, array, encode_value, error_object
from storaged.service.limiters import pause
from storaged.service.listing import ImageListing
from storaged.service.paging import Page, first_page, next_page
from storaged.snapshot.model import Image
from storaged.store.content import ITEM_LIMIT
from storaged.store.layout.decoding import bounded
from storaged_client.contract import params as p
from storaged_client.contract import types as t
from storaged_client.contract.errors import ImageDamaged, NotAManifestList, StoragedError, TooLarge

_decode: Callable[[bytes], Any] = bounded(msgspec.json.decode)

DATA_LIMIT = 1024 * 1024
"""Largest item, in bytes, that ``images.data`` sends."""

_SORTED = 500
"""Number of images above which a thread sorts them."""

_BREATH = 64
"""Names of ``images.get`` that are answered before the event loop serves others."""


def list_images(call: Call, params: p.ImagesList) -> Encoded | Waiting[Encoded]:
    """``images.list``."""
    if params.cursor is not None:
        return next_page(call, "images.list", params).answer()
    fields = image_list.check_fields(params.fields)
    now = datetime.now().astimezone()
    select = partial(image_list.select, call.view.snapshot, params, call.query_context, now)
    images = len(call.view.snapshot.images)
    if laborious(params.filters, images) or (params.sort != "store" and images > _SORTED):
        return partial(_list_in_thread, call, params, fields, select)
    return _first_page(call, params, fields, select()).answer()


async def _list_in_thread(
    call: Call, params: p.ImagesList, fields: tuple[str, ...] | None, select: Callable[[], image_list.Selection]
) -> Encoded:
    return await _first_page(call, params, fields, await call.in_thread(select)).answer_in_turns()


def _first_page(
    call: Call, params: p.ImagesList, fields: tuple[str, ...] | None, selection: image_list.Selection
) -> Page:
    listing = ImageListing(
        method="images.list",
        view=call.view,
        rows=selection.images,
        names=selection.names,
        fields=fields,
        lasting=selection.lasting,
    )
    return first_page(call, listing, params.limit)


async def get(call: Call, params: p.ImagesGet) -> Encoded:
    """``images.get``: one bad name does not affect the others.

    A request of 1 MiB can name one image a hundred thousand times: each image is read once, and no more is kept than
    may be sent.

    Raises:
        TooLarge: the answer is larger than may be sent.
    """
    limit = call.engine.host.facts().limits["reply_bytes"]
    details: dict[int, bytes] = {}
    pieces: list[bytes] = []
    size = 0
    for start in range(0, len(params.names), _BREATH):
        if start:
            await pause()
        some = params.names[start : start + _BREATH]
        # Joined: the entry of an unknown name is hardly longer than what it costs to keep it separate.
        pieces.append(b",".join([await _entry(call, name, details) for name in some]))
        size += len(pieces[-1]) + 1
        if size > limit:
            raise TooLarge(
                f"the first {start + len(some)} of {len(params.names)} names are more than may be sent: ask for fewer",
                size=size,
                limit=limit,
            )
    return Encoded(members=[b'"images":', *array(pieces)])


def exists(call: Call, params: p.ImageName) -> t.Exists:
    """``images.exists``: a name that is not a reference is an error, as in podman."""
    return t.Exists(exists=resolving.exists(call.view.snapshot, params.name, params.manifest, call.query_context))


def resolve(call: Call, params: p.ImageName) -> t.Resolved:
    """``images.resolve``."""
    return resolving.resolve(call.view.snapshot, params.name, params.manifest, call.query_context)


def why(call: Call, params: p.ImageName) -> t.Why:
    """``images.why``. A list's name means the list, not its instance for this platform."""
    image = _named(call, params.name, manifest=params.manifest)
    return image_why.why(call.view.snapshot, image, call.query_context)


def relations(call: Call, params: p.ImageName) -> t.Relations:
    """``images.relations``."""
    image = _image(call, params.name, manifest=params.manifest, or_list=True)
    return image_relations.relations(call.view.snapshot, image)


async def history(call: Call, params: p.ImagesHistory) -> t.ImageHistory:
    """``images.history``; for a list, that of its instance for this platform."""
    image = _image(call, params.name, manifest=False, or_list=False)
    blobs = await _blobs(call, image)
    return image_history.history(call.view.snapshot, image, next(iter(blobs.values()), None))


def tree(call: Call, params: p.ImagesTree) -> t.ImageTree:
    """``images.tree``; for a list, that of its instance for this platform."""
    image = _image(call, params.name, manifest=False, or_list=False)
    return image_tree.tree(call.view.snapshot, image, what_requires=params.what_requires)


async def data(call: Call, params: p.ImagesData) -> t.Data:
    """``images.data``; the bytes are checked against the record."""
    image = _image(call, params.name, manifest=False, or_list=True)
    content = await _blob(call, image, params.key, DATA_LIMIT)
    return t.Data(
        id=image.id,
        key=params.key,
        size=len(content),
        digest=(image.record.big_data_digests or {}).get(params.key),
        data=base64.b64encode(content).decode("ascii"),
    )


def _image(call: Call, name: str, *, manifest: bool, or_list: bool) -> Image:
    return resolving.find(call.view.snapshot, name, manifest=manifest, or_list=or_list, view=call.query_context).image


def _named(call: Call, name: str, *, manifest: bool) -> Image:
    try:
        return _image(call, name, manifest=True, or_list=True)
    except (NotAManifestList, ImageDamaged):
        if manifest:
            raise
        return _image(call, name, manifest=False, or_list=True)


async def _blob(call: Call, image: Image, key: str, limit: int) -> bytes:
    source = call.engine.content
    return await call.in_thread(lambda: source.blob(image.record, image.store, key, limit))


async def _entry(call: Call, name: str, details: dict[int, bytes]) -> bytes:
    """The ``ImageLookup`` of one name; ``details`` keeps encoded images by identity."""
    try:
        found = resolving.find(call.view.snapshot, name, manifest=False, or_list=True, view=call.query_context)
        image = found.image
        encoded = details.get(id(image))
        if encoded is None:
            encoded = details[id(image)] = await _details(call, image)
    except StoragedError as error:
        return encode_value(t.ImageLookup(name=name, error=error_object(error)))
    digest = resolving.meant_digest(found)
    return encode_value({"name": name, "image": msgspec.Raw(encoded), "digest": digest, "error": None})


async def _details(call: Call, image: Image) -> bytes:
    """A damaged image is one flagged row with what is left of it; the call does not fail."""
    blobs = await _blobs(call, image)
    return encode_value(image_details.details(call.view.snapshot, image, blobs, call.engine.location))


async def _blobs(call: Call, image: Image) -> dict[str, Any]:
    """The big data that an operation on the configuration needs, decoded; None for what is damaged."""
    blobs: dict[str, Any] = {}
    for key in image_details.lacking(image):
        try:
            blobs[key] = _decode(await _blob(call, image, key, ITEM_LIMIT))
        except (ImageDamaged, ValueError):
            blobs[key] = None
    return blobs
