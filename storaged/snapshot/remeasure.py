"""Incremental sizes of images: from what changed since the previous snapshot; equal to those of ``sizes.measure``.

The size of an image changes only with its chain. Its unique size changes only if a layer that it alone needed, or
needs now, gained or lost a child or a user. From such a layer, any path upwards ends at that image: a layer is needed
by one image alone if everything on it or above it is that image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from heapq import heappop, heappush

from storaged.snapshot.growth import Growth
from storaged.snapshot.model import Container, Snapshot
from storaged.snapshot.sizes import (
    SHARED,
    KnownSizes,
    Sizes,
    Uses,
    big_data_size,
    layer_size,
    sizes_of,
    top_layers,
    union,
)
from storaged.snapshot.tree import LayerTree
from storaged.store.layout.contents import ImageContent
from storaged.store.layout.records import ImageID, ImageRecord, LayerID
from storaged.store.tables import ImageRow


def uses_of(rows: Sequence[ImageRow], contents: Sequence[ImageContent], containers: Sequence[Container]) -> Uses:
    """Who uses which layer; ``contents`` is parallel to ``rows``, the records of all images."""
    return Uses(
        images=tuple(
            [
                (content.half_made, row.record.id, row.record.layer, top_layers(row.record), big_data_size(row.record))
                for row, content in zip(rows, contents, strict=True)
            ]
        ),
        containers=tuple([(container.id, container.record.layer) for container in containers]),
    )


def remeasure(
    before: Snapshot, growth: Growth, rows: Sequence[ImageRow], uses: Uses, known: KnownSizes
) -> list[Sizes] | None:
    """Sizes parallel to ``rows``, the records of all images; None if all must be computed.

    ``growth`` leads from the forest of ``before`` to the current one.
    """
    old, now, was = growth.before, growth.after, before.uses
    if before.known_sizes is not known or old.damage or now.damage:
        return None
    if any(layer_size(old.by_id[each].record) != layer_size(now.by_id[each].record) for each in growth.altered):
        return None
    then, there = frozenset(was.images), frozenset(uses.images)
    if len(then) < len(was.images) or len(there) < len(uses.images):
        return None
    touched = {layer for user in then ^ there for layer in user[3]}
    touched |= {layer for _, layer in was.containers if layer} ^ {layer for _, layer in uses.containers if layer}
    touched |= growth.parents | growth.new | growth.gone
    affected = {*_found(touched, old, was), *_found(touched, now, uses)}
    kept = {id(image.record): image for image in before.images}
    alone = _Alone(now, rows, {*now.under_incomplete, *[layer for _, layer in uses.containers if layer]}, known)
    measured: list[Sizes] = []
    for index, (row, user) in enumerate(zip(rows, uses.images, strict=True)):
        image = kept.get(id(row.record))
        tops = user[3]
        if (
            image is not None
            and image.id not in affected
            and all(old.chains.get(top) is now.chains.get(top) for top in tops)
        ):
            measured.append(Sizes(image.size, image.unique_size, image.size_pending))
        else:
            measured.append(_measured(row.record, tops, now, known, alone.bytes(index, tops)))
    return measured


def _found(layers: Iterable[LayerID], tree: LayerTree, uses: Uses) -> set[ImageID]:
    """Images that may be the only user of one of these layers."""
    users: dict[LayerID, ImageID | None] = {}
    for _, image, _, tops, _ in uses.images:
        for top in tops:
            users[top] = image if users.setdefault(top, image) == image else None
    found: set[ImageID] = set()
    for layer in layers:
        at = layer
        while (above := tree.children.get(at)) is not None:
            at = above[0]
        user = users.get(at)
        if user is not None:
            found.add(user)
    return found


def _measured(record: ImageRecord, tops: tuple[LayerID, ...], tree: LayerTree, known: KnownSizes, alone: int) -> Sizes:
    sums: dict[LayerID, int | None] = {}
    hopeless: set[LayerID] = set()
    for top in tops:
        chain = [layer for layer in _down(top, tree) if layer not in sums]
        for layer in reversed(chain):
            own, parent = known.size(tree.by_id[layer].record), tree.below(layer)
            under = sums[parent] if parent is not None else 0
            sums[layer] = own + under if own is not None and under is not None else None
            if parent in hopeless or (own is None and not known.pending(tree.by_id[layer].record)):
                hopeless.add(layer)
    waiting = any(top in sums and sums[top] is None and top not in hopeless for top in tops)
    return sizes_of(record, union(tops, tree, sums), alone, not waiting)


def _down(top: LayerID, tree: LayerTree) -> Iterable[LayerID]:
    node = tree.chains.get(top)
    while node is not None:
        yield node.layer
        node = node.below


class _Alone:
    """Bytes that only one image needs."""

    def __init__(self, tree: LayerTree, rows: Sequence[ImageRow], held: Collection[LayerID], known: KnownSizes) -> None:
        self._tree = tree
        self._held = held
        self._known = known
        users: dict[LayerID, int] = {}
        for index, row in enumerate(rows):
            for top in top_layers(row.record):
                users[top] = index if users.setdefault(top, index) == index else SHARED
        self._users: Mapping[LayerID, int] = users

    def bytes(self, index: int, tops: Iterable[LayerID]) -> int:
        """Bytes of the layers that only the image with this index needs."""
        tree, chains = self._tree, self._tree.chains
        waiting: list[tuple[int, LayerID]] = []
        for top in tops:
            if top in chains:
                heappush(waiting, (-chains[top].depth, top))
        own: set[LayerID] = set()
        total = 0
        while waiting:
            _, layer = heappop(waiting)
            if (
                layer in own
                or layer in self._held
                or self._users.get(layer, index) != index
                or any(child not in own for child in tree.children.get(layer, ()))
            ):
                continue
            own.add(layer)
            total += self._known.size(tree.by_id[layer].record) or 0
            below = chains[layer].below
            if below is not None:
                heappush(waiting, (-below.depth, below.layer))
        return total
