"""Compares records with each other: what one refers to must exist."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from storaged.store.checking import repair_hints
from storaged.store.checking.findings import Finding, finding
from storaged.store.checking.look import Look
from storaged.store.inventory import TableFile
from storaged.store.layout.decoding import bounded
from storaged.store.layout.records import ContainerRecord, LayerID
from storaged.store.tables import ContainerRow, ImageRow, LayerRow

_metadata: Callable[[bytes], Any] = bounded(json.loads)

_BREATH = 4096


def check_relations(look: Look, table: TableFile) -> Iterator[Finding | None]:
    """Compare every record of one table with all others; yields None now and then."""
    for other, content in look.state.contents:
        if other == table:
            for count, row in enumerate(content.rows, 1):
                if isinstance(row, ImageRow):
                    yield from check_image(look, row)
                elif isinstance(row, LayerRow):
                    yield from check_layer(look, row)
                else:
                    yield from check_container(look, row)
                if count % _BREATH == 0:
                    yield None


def note_of(look: Look, table: TableFile) -> str | None:
    """Something about a table of layers that is not wrong, but matters before podman repairs the store."""
    if table.kind != "layers" or table.store:
        return None
    layer = look.state.layer
    elsewhere = sum(
        (below := layer.get(row.record.parent)) is not None and below.store > 0
        for other, content in look.state.contents
        if other == table
        for row in content.of(LayerRow)
        if row.record.parent is not None
    )
    if not elsewhere:
        return None
    return (
        f"{elsewhere} layers of {table.path} rest on layers of an additional store: `podman system check --repair` "
        "before podman 6.1 (containers/storage 1.64) takes their parents for missing and may delete them"
    )


def check_image(look: Look, row: ImageRow) -> Iterator[Finding]:
    """The layers an image refers to, and whether its record is complete."""
    record, state = row.record, look.state
    if "manifest" not in (record.big_data_names or ()):
        detail = "the record names no manifest: a tool died while it wrote the image"
        mend = repair_hints.pull(record)
        yield finding("image_half_made", "image", record.id, detail, store=row.store, mend=mend)
    if not state.whole("layers"):
        return
    known = state.known("layers")
    if record.layer is not None and record.layer not in known:
        detail = f"its top layer {record.layer[:12]} has no record"
        yield finding(
            "image_layer_missing",
            "image",
            record.id,
            detail,
            store=row.store,
            images=(record.id,),
            mend=repair_hints.pull(record),
        )
    for layer in record.mapped_layers or ():
        if layer not in known:
            detail = f"its layer {layer[:12]} for another ID map has no record"
            yield finding("image_mapped_layer_missing", "image", record.id, detail, store=row.store)


def check_layer(look: Look, row: LayerRow) -> Iterator[Finding]:
    """The parent of a layer, and whether the layer is complete."""
    record, state = row.record, look.state

    def found(name: str, detail: str, mend: str | None, images: tuple[str, ...]) -> Finding:
        return finding(name, "layer", record.id, detail, store=row.store, images=images, mend=mend)

    if record.incomplete:
        detail = "its creation or removal was interrupted: the tool died"
        mend = repair_hints.OPEN if row.store == 0 else None
        yield found("layer_incomplete", detail, mend, state.images_on(record.id))
    if record.parent is None or not state.whole("layers"):
        return
    if record.parent not in state.known("layers"):
        images = state.images_on(record.id)
        detail = f"its parent {record.parent[:12]} has no record"
        yield found("layer_parent_missing", detail, repair_hints.replace(state, images), images)
    elif _in_cycle(look, record.id):
        detail = f"it is its own ancestor by {record.parent[:12]}"
        yield found("layer_cycle", detail, None, state.images_on(record.id))


def check_container(look: Look, row: ContainerRow) -> Iterator[Finding]:
    """The image and the layer of a container."""
    record, state = row.record, look.state
    if record.image is not None and state.whole("images") and record.image not in state.known("images"):
        detail = f"its image {record.image[:12]} has no record"
        yield finding(
            "container_image_missing", "container", record.id, detail, store=row.store, mend=_fetch_image(record)
        )
    if record.layer is not None and state.whole("layers") and record.layer not in state.known("layers"):
        detail = f"its layer {record.layer[:12]} has no record: what the container wrote is lost"
        yield finding("container_layer_missing", "container", record.id, detail, store=row.store)


def _in_cycle(look: Look, id: LayerID) -> bool:
    seen: set[LayerID] = set()
    wanted: LayerID | None = id
    while wanted is not None and wanted not in seen:
        seen.add(wanted)
        row = look.state.layer.get(wanted)
        wanted = row.record.parent if row is not None else None
    return wanted == id


def _fetch_image(record: ContainerRecord) -> str | None:
    try:
        told = _metadata((record.metadata or "").encode())
    except ValueError:
        return None
    name = told.get("image-name") if isinstance(told, dict) else None
    return repair_hints.pull_name(name) if isinstance(name, str) else None
