"""Incremental build of the layer forest: from the previous one and the rows that were added, removed or changed.

::

    previous table   [ same first rows | removed, changed | same last rows ]
    current table    [ same first rows | added, changed   | same last rows ]

A pull, a commit, or a container made or deleted changes a few layers at the upper ends of their chains. Everything else
is copied from the previous forest. If more has changed (a record names another parent, a layer goes from under others)
or anything is damaged, ``build_tree`` builds the whole forest. Both make equal forests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from operator import is_
from typing import Final

from attrs import frozen

from storaged.snapshot.tree import Chain, LayerTree, parent_of, under_any, walk
from storaged.store.layout.records import LayerID
from storaged.store.tables import LayerRow

_MOST = 500
"""Most rows added, removed or changed; with more, it is no less work."""

_MOST_PLACES = 50
"""Most places in the order of the forest where layers are inserted: each is searched among all layers."""


@frozen(kw_only=True)
class Growth:
    """How a forest differs from the previous one."""

    before: LayerTree
    after: LayerTree
    gone: frozenset[LayerID]
    new: frozenset[LayerID]
    altered: frozenset[LayerID]
    """Layers of both forests whose record or store has changed."""
    parents: frozenset[LayerID]
    """Known layers that gained or lost a child, complete or not."""


def grow(before: LayerTree, rows: Sequence[LayerRow]) -> Growth | None:
    """The forest of these rows, of all stores in their order; None if it must be built as a whole."""
    table = tuple(rows)
    if before.table == table:
        return unchanged(before)
    if before.flaws or before.damage or len(before.by_id) < len(before.rows):
        return None
    moved = _moved(before, table)
    if moved is None:
        return None
    by_id = dict(before.by_id)
    for layer in moved.gone:
        del by_id[layer]
    by_id.update(moved.will)
    if any(row.record.parent and row.record.parent not in by_id for row in moved.new.values()):
        return None
    middle = {layer: parent_of(row.record, by_id) for layer, row in moved.will.items()}
    parents, children = _families(before, moved, middle)
    placed = _placed(before, moved, middle, children)
    if placed is None:
        return None
    order, chains = placed
    incomplete, under_incomplete = under_any(table)
    after = LayerTree(
        table=table,
        rows=table if len(by_id) == len(table) else tuple([row for row in table if not row.record.incomplete]),
        by_id=by_id,
        incomplete=incomplete - by_id.keys(),
        under_incomplete=under_incomplete,
        children=children,
        top_down=order,
        chains=chains,
        damage=before.damage,
        flaws=before.flaws,
    )
    touched = (parents | (under_incomplete ^ before.under_incomplete)) & by_id.keys()
    return Growth(
        before=before,
        after=after,
        gone=moved.gone,
        new=frozenset(moved.new),
        altered=moved.altered,
        parents=frozenset(touched),
    )


def unchanged(forest: LayerTree) -> Growth:
    """The growth of a forest that did not change."""
    nothing: frozenset[LayerID] = frozenset()
    return Growth(before=forest, after=forest, gone=nothing, new=nothing, altered=nothing, parents=nothing)


_COMPARED: Final = 1024


def same_ends(before: Sequence[object], now: Sequence[object]) -> tuple[int, int]:
    """Lengths of the common prefix and suffix, by identity; they do not overlap."""
    shorter = min(len(before), len(now))
    first = 0
    while first < shorter:
        stop = min(first + _COMPARED, shorter)
        if not all(map(is_, before[first:stop], now[first:stop])):
            while before[first] is now[first]:
                first += 1
            break
        first = stop
    last = 0
    while last < shorter - first:
        many = min(_COMPARED, shorter - first - last)
        ends = len(before) - last, len(now) - last
        if not all(map(is_, before[ends[0] - many : ends[0]], now[ends[1] - many : ends[1]])):
            while before[-1 - last] is now[-1 - last]:
                last += 1
            break
        last += many
    return first, last


@frozen(kw_only=True)
class _Moved:
    """The complete layers in the middle of the current and the previous table; the other rows are the same."""

    will: Mapping[LayerID, LayerRow]
    was: Mapping[LayerID, LayerRow]
    gone: frozenset[LayerID]
    new: Mapping[LayerID, LayerRow]
    altered: frozenset[LayerID]
    later: frozenset[LayerID]
    """Complete layers after the middle."""


def _moved(before: LayerTree, table: tuple[LayerRow, ...]) -> _Moved | None:
    """None if it is too much, or concerns more than the upper ends of chains and members of records."""
    first, last = same_ends(before.table, table)
    old, now = before.table[first : len(before.table) - last], table[first : len(table) - last]
    if len(old) + len(now) > _MOST:
        return None
    finished = [row for row in now if not row.record.incomplete]
    was = {row.record.id: row for row in old if not row.record.incomplete}
    will = {row.record.id: row for row in finished}
    altered = [layer for layer in was if layer in will]
    gone, new = was.keys() - will.keys(), {layer: row for layer, row in will.items() if layer not in was}
    if (
        len(will) < len(finished)
        or not before.by_id.keys().isdisjoint(new)
        or altered != [layer for layer in will if layer in was]
        or any(was[layer].record.parent != will[layer].record.parent for layer in altered)
        or any(child not in gone for layer in gone for child in before.children.get(layer, ()))
    ):
        return None
    behind = table[len(table) - last :] if last else ()
    return _Moved(
        will=will,
        was=was,
        gone=frozenset(gone),
        new=new,
        altered=frozenset(altered),
        later=frozenset(row.record.id for row in behind if not row.record.incomplete),
    )


def _families(
    before: LayerTree, moved: _Moved, middle: Mapping[LayerID, LayerID | None]
) -> tuple[set[LayerID], dict[LayerID, tuple[LayerID, ...]]]:
    """Parents whose children have changed, and all children; ``middle`` has the parents of complete layers."""
    losing = {moved.was[layer].record.parent for layer in moved.gone}
    parents = {parent for parent in (*losing, *[middle[layer] for layer in moved.new]) if parent}
    children = dict(before.children)
    for parent in parents:
        kept = [child for child in before.children.get(parent, ()) if child not in moved.gone and child not in middle]
        found = (
            *[child for child in kept if child not in moved.later],
            *[child for child in middle if middle[child] == parent],
            *[child for child in kept if child in moved.later],
        )
        if found:
            children[parent] = found
        else:
            children.pop(parent, None)
    return parents, children


def _placed(
    before: LayerTree,
    moved: _Moved,
    middle: Mapping[LayerID, LayerID | None],
    children: Mapping[LayerID, Sequence[LayerID]],
) -> tuple[tuple[LayerID, ...], dict[LayerID, Chain]] | None:
    """The order of the forest and all chains; None if too much is inserted, or a cycle of layers is."""
    tops = [layer for layer in moved.new if middle[layer] not in moved.new]
    if len(tops) > _MOST_PLACES:
        return None
    chains = dict(before.chains)
    for layer in moved.gone:
        del chains[layer]
    order = [layer for layer in before.top_down if layer not in moved.gone] if moved.gone else list(before.top_down)
    added = 0
    for top in tops:
        branch = list(walk((top,), children, set()))
        added += len(branch)
        at = _place(top, middle[top], order, children, chains, moved.later, middle)
        order[at:at] = branch
        for layer in branch:
            under = middle[layer]
            below = chains[under] if under is not None else None
            chains[layer] = Chain(layer, below, below.depth + 1 if below is not None else 0)
    return None if added < len(moved.new) else (tuple(order), chains)


def _place(
    top: LayerID,
    parent: LayerID | None,
    order: Sequence[LayerID],
    children: Mapping[LayerID, Sequence[LayerID]],
    chains: Mapping[LayerID, Chain],
    later: Collection[LayerID],
    middle: Mapping[LayerID, LayerID | None],
) -> int:
    """Where in the order the branch of a new layer begins: after those of its elder siblings."""
    if parent is None:
        return _place_of_root(top, order, chains, later, middle)
    elder = None
    for sibling in children[parent]:
        if sibling == top:
            break
        elder = sibling
    at = order.index(parent if elder is None else elder) + 1
    if elder is not None:
        depth = chains[elder].depth
        while at < len(order) and chains[order[at]].depth > depth:
            at += 1
    return at


def _place_of_root(
    top: LayerID,
    order: Sequence[LayerID],
    chains: Mapping[LayerID, Chain],
    later: Collection[LayerID],
    middle: Mapping[LayerID, LayerID | None],
) -> int:
    younger = {layer for layer in _after(top, middle) if middle[layer] is None}
    if not younger and not later:
        return len(order)
    return next(
        (at for at, layer in enumerate(order) if (layer in younger or layer in later) and chains[layer].below is None),
        len(order),
    )


def _after(top: LayerID, middle: Mapping[LayerID, LayerID | None]) -> Iterator[LayerID]:
    ids = iter(middle)
    for layer in ids:
        if layer == top:
            break
    yield from ids
