"""``layers.*``: rows, one layer with its chain, the forest."""

from __future__ import annotations

from collections.abc import Iterable

from storaged.errors import LayerUnknown
from storaged.snapshot.model import Layer, Snapshot
from storaged.store.layout.records import LayerID
from storaged_client.contract.types import Damage, LayerDetails, LayerList, LayerSummary


def summary(layer: Layer) -> LayerSummary:
    """One row."""
    record, damage = layer.record, layer.damage
    return LayerSummary(
        id=layer.id,
        parent=record.parent or None,
        names=record.names or (),
        created=record.created,
        diff_digest=record.diff_digest or None,
        compressed_digest=record.compressed_diff_digest or None,
        toc_digest=record.toc_digest or None,
        size=layer.size,
        compressed_size=record.compressed_size if record.compressed_diff_digest else None,
        images=layer.images,
        containers=layer.containers,
        children=len(layer.children),
        depth=layer.depth,
        read_only=layer.store > 0,
        damage=Damage(name=damage.name, detail=damage.detail) if damage is not None else None,
        size_reason=layer.size_reason,
    )


def get(snapshot: Snapshot, layer_id: str) -> LayerDetails:
    """One layer by its full id, its chain down to the base (or to where it breaks), and what stands on it.

    Raises:
        LayerUnknown: no layer has this id.
    """
    layer = _find(snapshot, layer_id)
    chain: dict[LayerID, None] = {}
    at: Layer | None = layer
    while at is not None and at.id not in chain:
        chain[at.id] = None
        at = snapshot.layer_by_id.get(at.record.parent) if at.record.parent else None
    return LayerDetails(layer=summary(layer), chain=tuple(chain), child_layers=layer.children)


def tree(snapshot: Snapshot, layer_id: str | None) -> LayerList:
    """The forest, or what stands on one layer: parents before children, each subtree in one piece.

    Every layer comes once; rings of parents, which no root leads to, come last.

    Raises:
        LayerUnknown: no layer has this id.
    """
    done: dict[LayerID, Layer] = {}
    if layer_id is not None:
        _climb(snapshot, (_find(snapshot, layer_id),), done)
    else:
        layers = snapshot.layer_by_id
        _climb(snapshot, (layer for layer in layers.values() if layer.record.parent not in layers), done)
        _climb(snapshot, layers.values(), done)
    return LayerList(layers=tuple(summary(layer) for layer in done.values()))


def _find(snapshot: Snapshot, layer_id: str) -> Layer:
    layer = snapshot.layer_by_id.get(LayerID(layer_id))
    if layer is None:
        raise LayerUnknown(f"{layer_id[:100]}: layer not known", id=layer_id[:100])
    return layer


def _climb(snapshot: Snapshot, roots: Iterable[Layer], done: dict[LayerID, Layer]) -> None:
    for root in roots:
        waiting = [root]
        while waiting:
            layer = waiting.pop()
            if layer.id in done:
                continue
            done[layer.id] = layer
            waiting.extend(snapshot.layer_by_id[child] for child in reversed(layer.children))
