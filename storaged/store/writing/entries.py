"""The entries of the journal and their format on disk.

::

    {"kind":"deletion","images":[…],"layers":[…],"containers":[…],
     "links":{"<layer>":"<short name>"},"times":{"<layer>":"<created>"},"staging":"<n>","made":["overlay/tempdirs",…]}
    {"kind":"editing","image":"<id>","members":{…},"items":[{"key","temporary","digest","before"},…]}
    {"kind":"creation","images":[…]}

Each also has ``"driver"``: a store may get another driver between two runs, with other ids and folders. Paths are
relative to the graphroot.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct

from storaged.store.layout.decoding import bounded
from storaged.store.layout.paths import big_data_file
from storaged.store.layout.records import ContainerID, Digest, ImageID, LayerID
from storaged.store.writing.temporary import OURS

_ID = re.compile(r"[0-9a-f]{64}")
_STAGING = re.compile(r"[0-9]{1,20}")


class Deletion(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="deletion"):
    """Records and files to delete. ``staging`` is the number of the staging folders, ``made`` lists the parents that
    this deletion created. ``links`` has the short names of layers, because a power loss may keep the link of a layer
    but lose the folder that contains the name. ``times`` has their ``created``: a layer with another time was created
    again since."""

    images: tuple[ImageID, ...] = ()
    layers: tuple[LayerID, ...] = ()
    containers: tuple[ContainerID, ...] = ()
    links: dict[LayerID, str] = {}
    times: dict[LayerID, str] = {}
    staging: str
    made: tuple[str, ...] = ()


class EditedItem(msgspec.Struct, frozen=True, kw_only=True):
    """An item of big data to be moved from ``temporary`` to its place.

    ``digest`` is ``sha256:`` and the hash of its new bytes; ``before`` is what the record says about the bytes it
    replaces, None if there was no such item.
    """

    key: str
    temporary: str
    digest: Digest
    before: Digest | None = None


class Editing(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="editing"):
    """Items of one image to be replaced, and the new members of its record.

    Written before the temporary files are. As soon as one item is in place, all others must follow, and the record.
    """

    image: ImageID
    members: dict[str, Any]
    items: tuple[EditedItem, ...]


class Creation(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="creation"):
    """Images whose folders are written before their records."""

    images: tuple[ImageID, ...]


Entry: TypeAlias = Deletion | Editing | Creation

_decode: Callable[[bytes], Entry] = bounded(msgspec.json.Decoder(Deletion | Editing | Creation).decode)


class _Bearer(msgspec.Struct, frozen=True):
    driver: str | None = None


_bearer = bounded(msgspec.json.Decoder(_Bearer).decode)


class Unread(Struct, frozen=True, kw_only=True):
    """Why an entry is left alone: it cannot be read, or does not belong to this store with its present driver."""

    why: str


def encode(entry: Entry, driver: str) -> bytes:
    """Encode an entry of a store with this driver."""
    return msgspec.json.encode(msgspec.to_builtins(entry) | {"driver": driver})


def decode(data: bytes, driver: str) -> Entry | Unread:
    """Decode an entry, or say why it is left alone by a store that has this driver now."""
    try:
        bearer = _bearer(data).driver
        if bearer not in (None, driver):
            return Unread(why=f"it belongs to the store's former driver {bearer}, which is now {driver}")
        entry = _decode(data)
        _check(entry)
    except ValueError as error:
        return not_understood(error)
    return entry


def not_understood(error: Exception) -> Unread:
    return Unread(why=f"it cannot be read, a later version of storaged may have written it ({error})")


def _check(entry: Entry) -> None:
    """Raises: ValueError: a name may lead out of its folder: it is joined to paths, and what is there is removed."""
    ids: tuple[str, ...]
    wrong: list[str] = []
    match entry:
        case Deletion():
            ids = (*entry.images, *entry.layers, *entry.containers, *entry.links)
            wrong += [] if _STAGING.fullmatch(entry.staging) else [entry.staging]
        case Editing():
            ids = (entry.image,)
            files = [item.temporary for item in entry.items if big_data_file(item.key)]
            wrong += [path for path in files if not OURS.fullmatch(os.path.basename(path))]
        case Creation():
            ids = entry.images
    wrong += [each for each in ids if not _ID.fullmatch(each)]
    if wrong:
        raise ValueError(f"{wrong[0][:80]!r} is not a valid name there")
