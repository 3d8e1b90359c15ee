"""The layers of a snapshot, with what stands on them; unchanged values are shared with the previous snapshot."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from storaged.snapshot.growth import Growth
from storaged.snapshot.model import Container, Layer, Snapshot
from storaged.snapshot.sizes import KnownSizes
from storaged.snapshot.tree import LayerTree
from storaged.store.layout.records import ContainerID, ImageID, LayerID
from storaged.store.tables import ImageRow, LayerRow

_K = TypeVar("_K", bound=str)
_V = TypeVar("_V", bound=str)
_Layers = tuple[tuple[Layer, ...], Mapping[LayerID, Layer]]


def group(pairs: Iterable[tuple[_K | None, _V]]) -> dict[_K, tuple[_V, ...]]:
    """The values of each key, each once, in their order; pairs without a key are left out."""
    found: dict[_K, dict[_V, None]] = {}
    for key, value in pairs:
        if key:
            found.setdefault(key, {})[value] = None
    return {key: tuple(values) for key, values in found.items()}


def make_layers(
    tree: LayerTree,
    rows: Sequence[ImageRow],
    containers: Sequence[Container],
    sizes: KnownSizes,
    base: Snapshot | None,
    growth: Growth | None,
) -> _Layers:
    """One value for each row of the forest, and the first of each id. ``rows`` are those of the shown images.

    ``growth``, if known, leads from the forest of ``base`` to this one: only values that may have changed are made.
    """
    maker = _Maker(tree, rows, containers, sizes)
    if (
        growth is not None
        and base is not None
        and base.known_sizes is sizes
        and not tree.damage
        and len(tree.by_id) == len(tree.rows)
        and len(base.layer_by_id) == len(base.layers)
    ):
        return _regrown(maker, base, growth)
    kept = base.layer_by_id if base is not None else {}
    layers = tuple([maker.make(row, kept.get(row.record.id)) for row in tree.rows])
    by_id: dict[LayerID, Layer] = {}
    for layer in layers:
        by_id.setdefault(layer.id, layer)
    return layers, by_id


class _Maker:
    def __init__(
        self, tree: LayerTree, rows: Iterable[ImageRow], containers: Iterable[Container], sizes: KnownSizes
    ) -> None:
        self.tree = tree
        self._sizes = sizes
        self.images: dict[LayerID, tuple[ImageID, ...]] = group((row.record.layer, row.record.id) for row in rows)
        self.users: dict[LayerID, tuple[ContainerID, ...]] = group(
            (container.record.layer, container.id) for container in containers
        )

    def make(self, row: LayerRow, known: Layer | None) -> Layer:
        """The value of a row; ``known`` if that is equal."""
        tree, sizes, record = self.tree, self._sizes, row.record
        layer = record.id
        children, on_it, used_by = tree.children.get(layer, ()), self.images.get(layer, ()), self.users.get(layer, ())
        depth, damage, size = tree.depth(layer), tree.damage.get(layer), sizes.size(record)
        reason = sizes.reasons.get(layer) if size is None else None
        if (
            known is not None
            and known.record is record
            and known.store == row.store
            and known.volatile == row.volatile
            and known.children == children
            and known.images == on_it
            and known.containers == used_by
            and known.depth == depth
            and known.size == size
            and known.size_reason == reason
            and known.damage == damage
        ):
            return known
        return Layer(
            record=record,
            store=row.store,
            volatile=row.volatile,
            children=children,
            images=on_it,
            containers=used_by,
            depth=depth,
            size=size,
            size_pending=size is None and reason is None,
            size_reason=reason,
            damage=damage,
        )


def _regrown(maker: _Maker, base: Snapshot, growth: Growth) -> _Layers:
    before, tree = base.layer_by_id, growth.after
    stale: set[LayerID | None] = {*growth.new, *growth.altered, *growth.parents}
    for layer, images in maker.images.items():
        if (known := before.get(layer)) is not None and known.images != images:
            stale.add(layer)
    for layer, users in maker.users.items():
        if (known := before.get(layer)) is not None and known.containers != users:
            stale.add(layer)
    # And those on which nothing stands any more.
    stale.update(image.record.layer for image in base.images if image.record.layer not in maker.images)
    stale.update(container.record.layer for container in base.containers if container.record.layer not in maker.users)
    by_id = dict(before)
    for layer in growth.gone:
        del by_id[layer]
    for each in stale:
        row = tree.by_id.get(each) if each else None
        if row is not None:
            by_id[row.record.id] = maker.make(row, before.get(row.record.id))
    return tuple([by_id[row.record.id] for row in tree.rows]), by_id
