"""Sizes of images as podman counts them, and unique sizes.

``size`` is libimage's ``ImageSize``: each layer of the chains of the top layer and its mapped copies once, plus all
big data. ``unique_size`` counts a layer if only this image needs it: no other image (incomplete ones included), no
container, and no other child layer, complete or not.

Both take one pass down and one pass up the forest, whatever the number of images on a chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import field, frozen

from storaged.snapshot.tree import LayerTree
from storaged.store.layout.records import ContainerID, ImageID, ImageRecord, LayerID, LayerRecord
from storaged.store.tables import ImageRow

SHARED = -1
"""Instead of an image's index: several images need the layer, or something else does."""


def layer_size(record: LayerRecord) -> int | None:
    """Bytes of the uncompressed tar; None unless the record has a digest (or TOC digest) of it."""
    if not record.diff_digest and not record.toc_digest:
        return None
    size = record.diff_size or 0
    return size if size >= 0 else None


@frozen(kw_only=True, eq=False)
class KnownSizes:
    """Sizes measured on disk. A change makes a new value, so it shows by identity."""

    layers: Mapping[LayerID, int] = field(factory=dict)
    """Bytes of layers whose records have no size."""
    reasons: Mapping[LayerID, str] = field(factory=dict)
    """Why the size of a layer cannot be known; it is no longer pending then."""
    containers: Mapping[ContainerID, int] = field(factory=dict)
    """Bytes in the folders of containers, without their layers and data."""
    container_reasons: Mapping[ContainerID, str] = field(factory=dict)
    """Why the size of a container cannot be known."""
    volumes: Mapping[str, int | None] | None = None
    """Bytes of each local volume, None while unknown. The whole is None if volumes were not or cannot be listed."""

    def size(self, record: LayerRecord) -> int | None:
        """Bytes of a layer, as recorded or else as measured; None while unknown."""
        recorded = layer_size(record)
        return recorded if recorded is not None else self.layers.get(record.id)

    def pending(self, record: LayerRecord) -> bool:
        """Whether the size of a layer is still to be measured."""
        return layer_size(record) is None and record.id not in self.layers and record.id not in self.reasons


NOTHING_MEASURED = KnownSizes()


@frozen
class Sizes:
    """Sizes in bytes; None if a layer is lost or its size is not known."""

    size: int | None
    unique: int | None
    pending: bool = False
    """Whether ``size`` is unknown only until a layer is measured."""


_User = tuple[bool, ImageID, LayerID | None, tuple[LayerID, ...], int | None]


@frozen(kw_only=True)
class Uses:
    """Who uses which layer: besides forest and measured sizes, all that layers and sizes depend on."""

    images: tuple[_User, ...]
    """For every record: whether it is incomplete, id, top layer, that with its mapped copies, bytes of big data."""
    containers: tuple[tuple[str, LayerID | None], ...]


def big_data_size(record: ImageRecord) -> int | None:
    """Bytes of all big data; None if the record lacks the size of an item."""
    sizes = record.big_data_sizes or {}
    total = 0
    for key in record.big_data_names or ():
        size = sizes.get(key, -1)
        if size < 0:
            return None
        total += size
    return total


def measure(
    rows: Sequence[ImageRow], tree: LayerTree, container_layers: Iterable[LayerID], known: KnownSizes
) -> list[Sizes]:
    """Sizes of every image, parallel to ``rows``; incomplete images count as users of their layers."""
    chain_sizes, waiting = _chain_sizes(tree, known)
    tops = [top_layers(row.record) for row in rows]
    alone = _exclusive(tops, tree, container_layers, known)
    return [
        sizes_of(
            row.record, union(tops[index], tree, chain_sizes), alone.get(index, 0), waiting.isdisjoint(tops[index])
        )
        for index, row in enumerate(rows)
    ]


def sizes_of(record: ImageRecord, layers: int | None, alone: int, never: bool) -> Sizes:
    """The sizes of an image, by the bytes of its layers and of those that it alone needs.

    ``never``: if the bytes of the layers are not known, they never will be.
    """
    data = big_data_size(record)
    if data is None or layers is None:
        return Sizes(None, None, data is not None and not never)
    return Sizes(layers + data, alone + data)


def top_layers(record: ImageRecord) -> tuple[LayerID, ...]:
    """The top layer and its mapped copies, each once."""
    if not record.layer:
        return tuple(record.mapped_layers or ())
    if not record.mapped_layers:
        return (record.layer,)
    return tuple(dict.fromkeys((record.layer, *record.mapped_layers)))


def _chain_sizes(tree: LayerTree, known: KnownSizes) -> tuple[dict[LayerID, int | None], set[LayerID]]:
    """Bytes from each layer down to its base, None if one is unknown or the chain is broken; and the layers for which
    that will change once everything is measured."""
    sums: dict[LayerID, int | None] = {}
    hopeless: set[LayerID] = set()
    for layer in tree.top_down:
        record = tree.by_id[layer].record
        own = known.size(record)
        parent = tree.below(layer)
        under = 0 if parent is None else sums[parent]
        if own is not None and under is not None and layer not in tree.damage:
            sums[layer] = own + under
            continue
        sums[layer] = None
        if layer in tree.damage or parent in hopeless or (own is None and not known.pending(record)):
            hopeless.add(layer)
    return sums, {layer for layer, size in sums.items() if size is None and layer not in hopeless}


def union(tops: tuple[LayerID, ...], tree: LayerTree, sums: Mapping[LayerID, int | None]) -> int | None:
    """Bytes of the chains below these tops, each layer once: all chains minus what neighbours share."""
    if len(tops) == 1:
        return sums.get(tops[0])
    total = 0
    previous: LayerID | None = None
    if any(top not in tree.by_id for top in tops):
        return None
    for top in sorted(tops, key=tree.position.__getitem__):
        size = sums[top]
        common = in_common(previous, top, tree) if previous is not None else None
        shared = 0 if common is None else sums[common]
        if size is None or shared is None:
            return None
        total += size - shared
        previous = top
    return total


def in_common(one: LayerID, other: LayerID, tree: LayerTree) -> LayerID | None:
    """The topmost layer that lies on both chains."""
    left: LayerID | None = one
    right: LayerID | None = other
    while left is not None and right is not None and left != right:
        if tree.depth(left) >= tree.depth(right):
            left = tree.below(left)
        else:
            right = tree.below(right)
    return left if left == right else None


def _exclusive(
    tops: Sequence[tuple[LayerID, ...]], tree: LayerTree, container_layers: Iterable[LayerID], known: KnownSizes
) -> dict[int, int]:
    """Bytes of the layers that only one image needs, by the image's index."""
    users: dict[LayerID, int] = {}

    def use(layer: LayerID, user: int) -> None:
        users[layer] = user if users.setdefault(layer, user) == user else SHARED

    for index, layers in enumerate(tops):
        for layer in layers:
            use(layer, index)
    for layer in (*container_layers, *tree.under_incomplete):
        users[layer] = SHARED
    sums: dict[int, int] = {}
    for layer in reversed(tree.top_down):
        # A layer without users still needs those below it.
        user = users.get(layer, SHARED)
        if user != SHARED:
            sums[user] = sums.get(user, 0) + (known.size(tree.by_id[layer].record) or 0)
        parent = tree.below(layer)
        if parent is not None:
            use(parent, user)
    return sums
