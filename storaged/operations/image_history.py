"""``images.history``: the instructions of an image and the layers and images they made, newest first.

Order and sizes are libimage's (``history.go``): from the top layer down, each entry that is not empty takes one layer.
The ids are not: libimage gives a row the first image it finds on the layer, which may be a sibling. Here the newest row
is the image itself, and each further one the parent of the image before, as far as there are parents.
"""

from __future__ import annotations

from collections.abc import Iterator

from storaged.operations.image_details import history_entries
from storaged.operations.image_relations import ancestors
from storaged.snapshot.model import Image, Layer, Snapshot
from storaged.store.layout.records import LayerID
from storaged_client.contract.errors import ImageDamaged
from storaged_client.contract.types import JSON, HistoryEntry, HistoryRow, ImageHistory


def history(snapshot: Snapshot, image: Image, blob: JSON) -> ImageHistory:
    """The rows; ``blob`` is the image's decoded configuration, None if it cannot be read.

    Raises:
        ImageDamaged: there is no configuration, it has more layers than the image, or a layer is lost.
    """
    if not isinstance(blob, dict):
        raise ImageDamaged(f"image {image.id[:12]} has no configuration that could be read", id=image.id)
    entries = tuple(history_entries(blob.get("history")))
    return ImageHistory(history=tuple(_rows(snapshot, image, entries)))


def _rows(snapshot: Snapshot, image: Image, entries: tuple[HistoryEntry, ...]) -> Iterator[HistoryRow]:
    lineage = _lineage(snapshot, image)
    layer = _layer(snapshot, image.record.layer)
    damage = snapshot.forest.image_damage(image.record.layer) if image.record.layer else None
    if damage is not None:
        raise ImageDamaged(f"image {image.id[:12]}: {damage.detail}: layer not known", id=image.id)
    for at, entry in enumerate(reversed(entries)):
        if not entry.empty_layer and layer is None:
            raise ImageDamaged(
                f"image {image.id[:12]}: no layer is left for the entry of its history created by "
                f"{(entry.created_by or '')[:200]!r}",
                id=image.id,
            )
        bearer = next(lineage, None)
        if bearer is not None and at and (bearer.record.layer or None) != (layer.id if layer else None):
            bearer = None
        yield HistoryRow(
            id=bearer.id if bearer is not None else None,
            created=entry.created,
            created_by=entry.created_by,
            size=layer.size if layer is not None and not entry.empty_layer else 0,
            comment=entry.comment,
            tags=bearer.names if bearer is not None else (),
            empty_layer=entry.empty_layer,
        )
        if layer is not None and not entry.empty_layer:
            layer = _layer(snapshot, layer.record.parent)


def _lineage(snapshot: Snapshot, image: Image) -> Iterator[Image]:
    """The image, its parent, and so on: each has one history entry less than the one before."""
    yield image
    for ancestor in ancestors(snapshot, image):
        found = snapshot.by_id.get(ancestor)
        if found is None:
            return
        yield found


def _layer(snapshot: Snapshot, layer: LayerID | None) -> Layer | None:
    return snapshot.layer_by_id.get(layer) if layer else None
