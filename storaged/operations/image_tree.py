"""``images.tree``: the layers of an image, or all layers on top of it."""

from __future__ import annotations

from collections.abc import Iterator

from storaged.snapshot.model import Image, Layer, Snapshot
from storaged.store.layout.records import LayerID
from storaged_client.contract.types import Damage, ImageTree, TreeImage, TreeLayer


def tree(snapshot: Snapshot, image: Image, *, what_requires: bool) -> ImageTree:
    """The chain of the image, base first; with ``what_requires``, its top layer and every layer above it, parents first
    and each subtree in one piece, including layers of containers (libimage ``image_tree.go``).

    A broken chain begins where it breaks; an image whose top layer is lost has none.
    """
    layers = _above(snapshot, image.record.layer) if what_requires else _chain(snapshot, image)
    return ImageTree(
        id=image.id,
        names=image.names,
        size=image.size,
        size_pending=image.size_pending,
        top_layer=image.record.layer or None,
        layers=tuple(_row(snapshot, layer) for layer in layers),
        damage=Damage(name=image.damage.name, detail=image.damage.detail) if image.damage is not None else None,
    )


def _chain(snapshot: Snapshot, image: Image) -> Iterator[Layer]:
    for layer in image.layers:
        yield snapshot.layer_by_id[layer]


def _above(snapshot: Snapshot, top: LayerID | None) -> Iterator[Layer]:
    root = snapshot.layer_by_id.get(top) if top else None
    waiting = [root] if root is not None else []
    done: set[LayerID] = set()
    while waiting:
        layer = waiting.pop()
        if layer.id in done:
            continue
        done.add(layer.id)
        yield layer
        waiting.extend(snapshot.layer_by_id[child] for child in reversed(layer.children))


def _row(snapshot: Snapshot, layer: Layer) -> TreeLayer:
    parent = layer.record.parent or None
    below = snapshot.layer_by_id.get(parent) if parent is not None else None
    return TreeLayer(
        id=layer.id,
        parent=parent,
        siblings=len(below.children) - 1 if below is not None else 0,
        size=layer.size,
        size_pending=layer.size_pending,
        images=tuple(
            TreeImage(id=image, names=snapshot.by_id[image].names) for image in layer.images if image in snapshot.by_id
        ),
        containers=layer.containers,
    )
