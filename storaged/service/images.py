"""``images.*``: structure, call, encode."""

from __future__ import annotations

import base64
from typing import Any

import msgspec

from storaged.errors import ImageDamaged, NotAManifestList, StoreError
from storaged.operations import explaining, inspecting, listing, relating, resolving
from storaged.service.context import Call, Pinned
from storaged.service.encoding import Encoded
from storaged.service.errors import to_contract
from storaged.service.paging import first_page, next_page
from storaged.snapshot.model import Image
from storaged_client.contract import params as p
from storaged_client.contract import types as t

DATA_LIMIT = 1024 * 1024
"""Bytes of one item that ``images.data`` sends."""

_CONFIG_LIMIT = 16 * 1024 * 1024
"""Bytes of a configuration or manifest that ``images.get`` reads."""


async def list_images(call: Call, params: p.ImagesList) -> Encoded:
    """``images.list``."""
    if params.cursor is not None:
        return next_page(call, "images.list", params.cursor, params.limit)
    snapshot, rows = call.view.snapshot, call.view.rows
    images = listing.select(snapshot, params)
    fields = listing.check_fields(params.fields)
    tail = b',"sizes_pending":%d' % listing.sizes_pending(images)

    def page(start: int, end: int) -> bytes:
        return b'"images":' + rows.encode(images[start:end], fields) + tail

    return first_page(call, Pinned(method="images.list", view=call.view, length=len(images), page=page), params.limit)


async def get(call: Call, params: p.ImagesGet) -> t.ImageDetailsList:
    """``images.get``: one bad name fails no other."""
    found: list[t.ImageLookup] = []
    for name in params.names:
        try:
            image = _image(call, name, manifest=False, or_list=True)
            details = await _details(call, image)
        except StoreError as error:
            known = to_contract(error)
            wrong = t.ErrorObject(code=known.code, message=known.message, data=known.data)
            found.append(t.ImageLookup(name=name, error=wrong))
        else:
            found.append(t.ImageLookup(name=name, image=details))
    return t.ImageDetailsList(images=tuple(found))


async def exists(call: Call, params: p.ImageName) -> t.Exists:
    """``images.exists``: a name that is no reference means no image; anything else wrong is an error."""
    return t.Exists(exists=resolving.exists(call.view.snapshot, params.name, params.manifest, call.engine.asking))


async def resolve(call: Call, params: p.ImageName) -> t.Resolved:
    """``images.resolve``."""
    return resolving.resolve(call.view.snapshot, params.name, params.manifest, call.engine.asking)


async def why(call: Call, params: p.ImageName) -> t.Why:
    """``images.why``: of what the name names. A list's name means the list, not its instance here."""
    image = _named(call, params.name, manifest=params.manifest)
    return explaining.why(call.view.snapshot, image, call.engine.asking)


async def relations(call: Call, params: p.ImageName) -> t.Relations:
    """``images.relations``."""
    image = _image(call, params.name, manifest=params.manifest, or_list=True)
    return relating.relations(call.view.snapshot, image)


async def data(call: Call, params: p.ImagesData) -> t.Data:
    """``images.data``: the bytes are checked against the record before they are sent."""
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
    return resolving.find(call.view.snapshot, name, manifest=manifest, or_list=or_list, view=call.engine.asking).image


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


async def _details(call: Call, image: Image) -> t.ImageDetails:
    """The operation says which blobs it lacks; they are read, and it is called with them."""
    blobs: dict[str, Any] = {}
    for key in inspecting.lacking(image):
        try:
            blobs[key] = msgspec.json.decode(await _blob(call, image, key, _CONFIG_LIMIT))
        except (StoreError, msgspec.DecodeError) as error:
            if isinstance(error, StoreError) and not isinstance(error, ImageDamaged):
                raise
            # A damaged image is one flagged row with what is left of it, never a failed call.
            blobs[key] = None
    return inspecting.details(call.view.snapshot, image, blobs, call.engine.location)
