"""Builds the new tables of a change: untouched records keep their bytes and order.

Pure: takes the tables as read and returns the records to write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from storaged.store.changes import Change, ImageEdit, NewImage
from storaged.store.content import may_be_list
from storaged.store.inventory import TableFile
from storaged.store.layout.edit import IMAGE, LAYER, Uneditable, create, edit, set_flag
from storaged.store.layout.manifests import is_signed_schema1
from storaged.store.layout.records import ContainerRecord, ImageID, ImageRecord, LayerRecord, digest_of
from storaged.store.layout.table import Record, emit
from storaged.store.writing.preconditions import CurrentTable, check_emitted, corrupt, places
from storaged_client.contract.errors import ImageUnknown, StoreUnsupported

_INCOMPLETE = "incomplete"


class ChangeRefused(RuntimeError):
    """A change that contradicts itself or the tables it was decided on: a bug of the caller; nothing is written."""


@frozen(kw_only=True)
class Draft:
    """A new table, checked."""

    file: TableFile
    data: bytes = field(repr=False)


def draft_images(table: CurrentTable, change: Change) -> Draft | None:
    """``images.json`` after the change; None if it stays as it is.

    Raises:
        StoreCorrupt: a record cannot be edited.
        ImageUnknown: an image to be changed has no record here.
        ChangeRefused: the change contradicts itself.
    """
    edits = {item.image: item for item in change.edits}
    removed = frozenset(change.removed)
    if len(edits) != len(change.edits) or removed.intersection(edits):
        raise ChangeRefused("an image is changed twice")
    at = places(table.records, {*edits, *removed}, table.file.path)
    for image in (*edits, *removed):
        if image not in at:
            raise ImageUnknown(f"{image}: no such image in {table.file.path}", asked=image)
    raws: list[bytes] = []
    written: dict[bytes, Record | None] = {}
    for raw, record in zip(table.raws, table.records, strict=True):
        if record.id in removed:
            continue
        if isinstance(record, ImageRecord) and (wanted := edits.get(record.id)) is not None:
            changed = _written(raw, record.id, members_after(record, wanted), table.file.path)
            if changed != raw:
                written[changed] = record
            raw = changed
        raws.append(raw)
    present = {record.id for record in table.records}
    for new in change.added:
        own = ImageID(str(new.members.get("id")))
        if own in present:
            raise ChangeRefused(f"image {own} exists")
        raw = _written(None, own, members_after(ImageRecord(id=own), new), table.file.path)
        written[raw] = None
        raws.append(raw)
        present.add(own)
    return _checked(table, raws, written)


def draft_containers(table: CurrentTable, removed: Collection[str]) -> Draft | None:
    """A table of containers without the removed ones."""
    gone = frozenset(removed)
    raws = [raw for raw, record in zip(table.raws, table.records, strict=True) if record.id not in gone]
    return _checked(table, raws, {})


def draft_layers(table: CurrentTable, removed: Collection[str]) -> tuple[Draft, Draft] | None:
    """A table of layers with the removed ones flagged incomplete, and then without them; None if it has none of them.

    A tool that opens the store between the two deletes the flagged layers itself.

    Raises:
        StoreCorrupt: a record cannot be edited.
    """
    at = places(table.records, frozenset(removed), table.file.path)
    if not at:
        return None
    flagged = list(table.raws)
    written: dict[bytes, Record | None] = {}
    for index in at.values():
        record = table.records[index]
        if not (isinstance(record, LayerRecord) and record.incomplete):
            try:
                flagged[index] = set_flag(flagged[index], _INCOMPLETE, LAYER)
            except Uneditable as error:
                raise corrupt(table.file.path, f"layer {record.id}: {error}") from None
            written[flagged[index]] = record
    left = frozenset(at.values())
    after = _checked(table, [raw for index, raw in enumerate(table.raws) if index not in left], {})
    assert after is not None
    return _checked(table, flagged, written) or Draft(file=table.file, data=table.data), after


def refuse_needed(change: Change, images: CurrentTable, others: Sequence[CurrentTable]) -> None:
    """Check once more that nothing that stays needs what is removed. ``others``: every table of layers and containers.

    Raises:
        ChangeRefused: it does.
    """
    layers, gone, leaving = frozenset(change.layers), frozenset(change.removed), frozenset(change.containers)
    for record in images.records:
        if isinstance(record, ImageRecord) and record.id not in gone:
            kept = layers.intersection([record.layer or "", *(record.mapped_layers or ())])
            if kept:
                raise ChangeRefused(f"image {record.id} stays and needs layer {min(kept)}")
    found: set[str] = set()
    for record in [record for table in others for record in table.records]:
        if isinstance(record, LayerRecord):
            found.add(record.id)
            if record.id not in layers and record.parent in layers:
                raise ChangeRefused(f"layer {record.id} stays and needs layer {record.parent}")
        elif isinstance(record, ContainerRecord):
            found.add(record.id)
            if record.id not in leaving and (record.layer in layers or record.image in gone):
                raise ChangeRefused(f"container {record.id} stays and needs layer {record.layer}, image {record.image}")
    missing = {*layers, *leaving} - found
    if missing:
        raise ChangeRefused(f"{missing.pop()} has no record")


def members_after(record: ImageRecord, wanted: ImageEdit | NewImage) -> dict[str, Any]:
    """Every member to be written: those given, and those that follow from the items.

    Raises:
        StoreUnsupported: an item is a signed manifest of schema 1, whose digest is not that of its bytes.
    """
    told = dict(wanted.members)
    if not wanted.items:
        return told
    names = list(record.big_data_names or ())
    sizes, digests = dict(record.big_data_sizes or {}), dict[str, str](record.big_data_digests or {})
    for item in wanted.items:
        if item.key not in names:
            names.append(item.key)
        if item.key.startswith("manifest") and is_signed_schema1(item.data):
            raise StoreUnsupported(f"image {record.id}: signed schema 1 manifests are not written; use podman")
        sizes[item.key] = len(item.data)
        digests[item.key] = digest_of(item.data)
    told |= {"big-data-names": names, "big-data-sizes": sizes, "big-data-digests": digests}
    after = ImageRecord(id=record.id, layer=told.get("layer", record.layer), big_data_names=tuple(names))
    follows = may_be_list(after) and any(item.key == "manifest" for item in wanted.items)
    # A list's own digest follows its bytes; an image's may be that of the list it was pulled by.
    if "manifest" in digests and (follows or not told.get("digest", record.digest)):
        told["digest"] = digests["manifest"]
    return told


def _written(raw: bytes | None, image: str, members: Mapping[str, Any], file: str) -> bytes:
    try:
        return create(members, IMAGE) if raw is None else edit(raw, members, IMAGE)
    except Uneditable as error:
        raise corrupt(file, f"image {image}: {error}") from None


def _checked(table: CurrentTable, raws: Sequence[bytes], written: Mapping[bytes, Record | None]) -> Draft | None:
    if list(table.raws) == list(raws):
        return None
    data = emit(raws)
    check_emitted(data, table, raws, written)
    return Draft(file=table.file, data=data)
