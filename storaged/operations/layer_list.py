"""``layers.*``: rows, one layer with its chain, the forest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from storaged.snapshot.model import Layer, Snapshot
from storaged.snapshot.tree import LayerTree
from storaged.store.layout.records import LayerID
from storaged_client.contract.errors import LayerUnknown
from storaged_client.contract.types import Damage, LayerDetails, LayerSummary, Timestamp


def summary(layer: Layer) -> LayerSummary:
    """One row."""
    record, damage = layer.record, layer.damage
    return LayerSummary(
        id=layer.id,
        parent=record.parent or None,
        names=record.names or (),
        created=cast("Timestamp", record.created),
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
    """One layer by its full id, its chain down to the base (or to where it breaks), and its child layers.

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


def tree(snapshot: Snapshot, layer_id: str | None) -> Sequence[LayerID]:
    """The forest, or the layers on top of one layer: parents before children, each subtree in one piece.

    Every layer occurs once; rings of parents, which no root leads to, come last.

    Raises:
        LayerUnknown: no layer has this id.
    """
    forest = snapshot.forest
    if layer_id is None:
        return forest.top_down
    root = _find(snapshot, layer_id).id
    damage = forest.damage.get(root)
    if damage is not None and damage.name == "LayerCycle":
        # The order of the forest cuts a ring somewhere, but each of its members is on top of every other.
        return tuple(_climb(forest, root))
    start, depth = forest.position[root], forest.depth(root)
    end = start + 1
    while end < len(forest.top_down) and forest.depth(forest.top_down[end]) > depth:
        end += 1
    return forest.top_down[start:end]


def _find(snapshot: Snapshot, layer_id: str) -> Layer:
    layer = snapshot.layer_by_id.get(LayerID(layer_id))
    if layer is None:
        raise LayerUnknown(f"{layer_id[:100]}: layer not known", id=layer_id[:100])
    return layer


def _climb(forest: LayerTree, root: LayerID) -> Iterator[LayerID]:
    waiting = [root]
    done: set[LayerID] = set()
    while waiting:
        layer = waiting.pop()
        if layer not in done:
            done.add(layer)
            yield layer
            waiting.extend(reversed(forest.children.get(layer, ())))
