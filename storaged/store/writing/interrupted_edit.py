"""Finishes or undoes an interrupted edit of big data: finishes it if a file is already in place, otherwise undoes it.

The bytes of each item are in its place or in its temporary file; the digest tells which. An ordinary change writes them
again, based on the present record: another tool may have changed the image's names meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress

from storaged.store.changes import Change, ImageEdit, Item
from storaged.store.files import Files, read_whole
from storaged.store.layout.paths import big_data_file, image_dir
from storaged.store.layout.records import ImageRecord, digest_of
from storaged.store.reader import Loaded
from storaged.store.tables import StoreLocation
from storaged.store.writing.entries import EditedItem, Editing
from storaged.store.writing.unfinished import standing
from storaged_client.contract.errors import ImageDamaged

_LIMIT = 64 << 20
"""The maximum number of bytes of one item."""

_DESCRIBED = frozenset({"big-data-names", "big-data-sizes", "big-data-digests"})
"""Members that follow from the items."""


def carry_on(entry: Editing, loaded: Loaded, location: StoreLocation, files: Files) -> Change:
    """The change that completes an edit; an empty one if nothing is left to do.

    Raises:
        ImageDamaged: bytes are lost: the image cannot be completed.
        OSError: a file cannot be read.
    """
    rows = [row.record for row in loaded.tables.images if row.store == 0 and row.record.id == entry.image]
    record = rows[0] if rows else None
    found = {item.key: _read(files, _place(entry, item, location)) for item in entry.items}
    digests = {key: None if data is None else digest_of(data) for key, data in found.items()}
    if standing(entry, record, digests) == "over":
        return Change()
    items: list[Item] = []
    for item in entry.items:
        data = found[item.key]
        if data is None or digest_of(data) != item.digest:
            data = _read(files, _temporary(entry, item, location))
        if data is None or digest_of(data) != item.digest:
            place = _place(entry, item, location)
            raise ImageDamaged(f"{place}: the new bytes are lost", id=entry.image, key=item.key, file=place)
        items.append(Item(key=item.key, data=data))
    members = {name: value for name, value in entry.members.items() if name not in _DESCRIBED}
    if record is not None and members.get("names"):
        members["names"] = _names(members["names"], record, loaded)
    return Change(edits=(ImageEdit(image=entry.image, members=members, items=tuple(items)),), editing=(entry.image,))


def _names(given: Sequence[str], record: ImageRecord, loaded: Loaded) -> list[str]:
    """The names to give that no other image has by now, and the names that the image got since."""
    others = [row.record for row in loaded.tables.images if row.store == 0 and row.record.id != record.id]
    taken = {name for other in others for name in other.names or ()}
    return list(dict.fromkeys([*[name for name in given if name not in taken], *(record.names or ())]))


def forget(entry: Editing, location: StoreLocation, files: Files) -> None:
    """Remove the temporary files of an edit that is over."""
    for item in entry.items:
        with suppress(FileNotFoundError):
            files.unlink(_temporary(entry, item, location))


def _place(entry: Editing, item: EditedItem, location: StoreLocation) -> str:
    return os.path.join(image_dir(location.graphroot, location.driver, entry.image), big_data_file(item.key))


def _temporary(entry: Editing, item: EditedItem, location: StoreLocation) -> str:
    """Use only the name from the entry: the file is beside its place."""
    return os.path.join(os.path.dirname(_place(entry, item, location)), os.path.basename(item.temporary))


def _read(files: Files, path: str) -> bytes | None:
    try:
        return read_whole(files, path, _LIMIT, follow=False)[0]
    except FileNotFoundError:
        return None
