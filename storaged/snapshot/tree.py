"""The layer forest: parents, children, depth, chains, and their damage.

::

    layers.json        record.parent           in the forest
    known parent       a layer of any store    child of that layer
    unknown parent     no such layer           a root, damaged (``ParentLayerMissing``); all above it ``ChainBroken``
    incomplete parent  being made or deleted   as above (``ParentLayerIncomplete``)
    cycle              reaches itself          cut once, its members damaged (``LayerCycle``)

Incomplete layers are hidden: the next tool that opens the store deletes them. Of layers with the same
id the first is used, and later ones of the same store are dropped, as in containers/storage
(``layers.go:load``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from attrs import frozen
from msgspec.structs import force_setattr

from storaged.store.layout.records import ImageID, LayerID, LayerRecord
from storaged.store.tables import LayerRow


@frozen(kw_only=True)
class Damage:
    """What is wrong with an image or a layer: a stable name and a sentence."""

    name: str
    detail: str


@frozen(eq=False, repr=False, weakref_slot=False)
class Chain:
    """A layer and what lies below it. Shared by all chains that it is part of, so that together they take one node for
    each layer; and by successive snapshots as long as it does not change."""

    layer: LayerID
    below: Chain | None
    depth: int
    """Number of layers below it."""


@frozen(kw_only=True)
class StoreFlaw:
    """Damage that concerns no single image: a table row that is no record, a cycle, a lost layer."""

    name: str
    detail: str
    file: str | None = None
    image: ImageID | None = None


@frozen(kw_only=True, eq=False)
class LayerTree:
    """All relations between layers, by id. ``rows`` is in store order, one row for each id and store."""

    table: tuple[LayerRow, ...]
    """All rows that it was made from."""
    rows: tuple[LayerRow, ...]
    by_id: Mapping[LayerID, LayerRow]
    incomplete: frozenset[LayerID]
    under_incomplete: frozenset[LayerID]
    """Parents of incomplete layers: a pull or a deletion is under way above them."""
    children: Mapping[LayerID, tuple[LayerID, ...]]
    """By every id that a record names as parent, known or not."""
    top_down: tuple[LayerID, ...]
    """Every known id once, parents before children, each subtree in one piece."""
    chains: Mapping[LayerID, Chain]
    damage: Mapping[LayerID, Damage]
    flaws: tuple[StoreFlaw, ...]

    @cached_property
    def position(self) -> Mapping[LayerID, int]:
        """The index of each id in ``top_down``. Computed on first use: few requests need it."""
        return {layer: position for position, layer in enumerate(self.top_down)}

    def below(self, layer: LayerID) -> LayerID | None:
        """The known parent of a known layer. Cycles are cut, so following parents ends."""
        under = self.chains[layer].below
        return under.layer if under is not None else None

    def depth(self, layer: LayerID) -> int:
        """Number of layers below a known layer."""
        return self.chains[layer].depth

    def is_node(self, layer: LayerID) -> bool:
        """Whether images can be attached to it: upstream also makes a node for a lost parent."""
        return layer in self.by_id or layer in self.children

    def named_parent(self, layer: LayerID) -> LayerID | None:
        """The parent that the record names, known or not."""
        row = self.by_id.get(layer)
        return (row.record.parent or None) if row is not None else None

    def image_damage(self, layer: LayerID) -> Damage | None:
        """The damage of an image with this top layer, if any."""
        if layer in self.by_id:
            return self.damage.get(layer)
        if layer in self.incomplete:
            return Damage(name="TopLayerIncomplete", detail=f"its top layer {layer} is being made or deleted")
        return Damage(name="TopLayerMissing", detail=f"its top layer {layer} is not in the store")


def build_tree(table: Sequence[LayerRow], previous: LayerTree | None = None) -> LayerTree:
    """Build the forest of the layers of all stores, in linear time.

    Returns ``previous`` if it has the same rows: most changes of a store touch no layer.
    """
    table = tuple(table)
    if previous is not None and previous.table == table:
        return previous
    rows: list[LayerRow] = []
    by_id: dict[LayerID, LayerRow] = {}
    hidden: set[tuple[int, LayerID]] = set()
    incomplete, under_incomplete = under_any(table)
    flaws: list[StoreFlaw] = []
    for row in table:
        record = row.record
        if record.flags is not None and record.incomplete:
            continue
        first = by_id.setdefault(record.id, row)
        if first is not row:
            place = (row.store, record.id)
            if first.store == row.store or place in hidden:
                flaws.append(StoreFlaw(name="DuplicateLayer", detail=f"layer {record.id} has a second record"))
                continue
            hidden.add(place)
        rows.append(row)
    parents: dict[LayerID, LayerID | None] = {}
    above: dict[LayerID, list[LayerID]] = {}
    for layer, row in by_id.items():
        parent = parents[layer] = parent_of(row.record, by_id)
        if parent is not None:
            above.setdefault(parent, []).append(layer)
    damage = dict(_lost_parents(parents, incomplete))
    roots = [layer for layer, parent in parents.items() if parent is None or parent not in by_id]
    top_down = list(walk(roots, above, set()))
    if len(top_down) < len(by_id):
        _cut_cycles(top_down, parents, above, damage)
    flaws.extend(StoreFlaw(name=found.name, detail=f"layer {layer}: {found.detail}") for layer, found in damage.items())
    return LayerTree(
        table=table,
        rows=tuple(rows) if len(rows) < len(table) else table,
        by_id=by_id,
        incomplete=incomplete - by_id.keys(),
        under_incomplete=under_incomplete,
        children=_kept_children(above, previous.children if previous is not None else {}),
        top_down=tuple(top_down),
        chains=_chains(top_down, parents, damage, previous.chains if previous is not None else {}),
        damage=damage,
        flaws=tuple(flaws),
    )


def parent_of(record: LayerRecord, by_id: Mapping[LayerID, LayerRow]) -> LayerID | None:
    """The parent that the record names, as the string object of the parent's own record if there is one.

    Each record was decoded separately, with its own copy of that string: 128 bytes a layer.
    """
    parent = record.parent or None
    known = by_id.get(parent) if parent is not None else None
    if known is None or known.record.id is parent:
        return parent
    force_setattr(record, "parent", known.record.id)
    return known.record.id


def under_any(table: Iterable[LayerRow]) -> tuple[frozenset[LayerID], frozenset[LayerID]]:
    """The ids of incomplete records, and their parents."""
    records = [row.record for row in table if row.record.flags is not None and row.record.incomplete]
    return (
        frozenset([record.id for record in records]),
        frozenset([record.parent for record in records if record.parent]),
    )


def _kept_children(
    above: Mapping[LayerID, Sequence[LayerID]], before: Mapping[LayerID, tuple[LayerID, ...]]
) -> dict[LayerID, tuple[LayerID, ...]]:
    found: dict[LayerID, tuple[LayerID, ...]] = {}
    for layer, ids in above.items():
        children, kept = tuple(ids), before.get(layer)
        found[layer] = kept if kept == children else children
    return found


def _lost_parents(
    parents: Mapping[LayerID, LayerID | None], incomplete: frozenset[LayerID]
) -> Iterator[tuple[LayerID, Damage]]:
    for layer, parent in parents.items():
        if parent is None or parent in parents:
            continue
        if parent in incomplete:
            yield layer, Damage(name="ParentLayerIncomplete", detail=f"its parent {parent} is being made or deleted")
        else:
            yield layer, Damage(name="ParentLayerMissing", detail=f"its parent {parent} is not in the store")


def walk(
    roots: Iterable[LayerID], children: Mapping[LayerID, Sequence[LayerID]], done: set[LayerID]
) -> Iterator[LayerID]:
    """Yield the roots and all layers above them once, in preorder; those in ``done`` are skipped."""
    for root in roots:
        waiting = [root]
        while waiting:
            layer = waiting.pop()
            if layer in done:
                continue
            done.add(layer)
            yield layer
            waiting.extend(reversed(children.get(layer, ())))


def _cut_cycles(
    top_down: list[LayerID],
    parents: dict[LayerID, LayerID | None],
    children: Mapping[LayerID, Sequence[LayerID]],
    damage: dict[LayerID, Damage],
) -> None:
    """Add the layers that no root leads to: cut each cycle at one of its members."""
    done = set(top_down)
    for start in parents:
        if start in done:
            continue
        path: dict[LayerID, None] = {}
        layer: LayerID | None = start
        while layer is not None and layer not in path:
            path[layer] = None
            layer = parents.get(layer)
        if layer is None:
            continue
        order = list(path)
        members = order[order.index(layer) :]
        for member in members:
            damage[member] = Damage(name="LayerCycle", detail="it is its own ancestor")
        parents[layer] = None
        top_down.extend(walk((layer,), children, done))


def _chains(
    top_down: Iterable[LayerID],
    parents: Mapping[LayerID, LayerID | None],
    damage: dict[LayerID, Damage],
    before: Mapping[LayerID, Chain],
) -> dict[LayerID, Chain]:
    """The chain of each layer, shared with ``before`` if equal; layers above damaged ones are added to the damage."""
    chains: dict[LayerID, Chain] = {}
    for layer in top_down:
        parent = parents[layer]
        below = chains.get(parent) if parent is not None else None
        kept = before.get(layer)
        if kept is not None and kept.below is below:
            chains[layer] = kept
        else:
            chains[layer] = Chain(layer, below, below.depth + 1 if below is not None else 0)
        wrong = damage.get(parent) if below is not None and parent is not None else None
        if wrong is not None and layer not in damage:
            if wrong.name != "ChainBroken":
                wrong = Damage(name="ChainBroken", detail=f"its chain is broken at layer {parent}: {wrong.detail}")
            damage[layer] = wrong
    return chains
