"""Random stores, and an obvious model of them: every relation by looking at every pair.

Nothing here uses the indexes, fingerprints or traversals of the code under test; it follows the text of
the rules (parents by comparing histories entry by entry, sizes by walking sets of layers).
"""

from __future__ import annotations

from random import Random

from attrs import define, field

from .stores import Store, config


@define
class Row:
    """One image record as it was meant. ``kind``: image, list, unreadable, broken, half."""

    name: str
    kind: str
    store: int = 0
    names: tuple[str, ...] = ()
    layer: str | None = None
    mapped: tuple[str, ...] = ()
    history: tuple[str, ...] = ()
    diff_ids: tuple[str, ...] = ()
    digests: tuple[str, ...] = ()
    instances: tuple[str, ...] = ()


@define
class Plan:
    layers: list[tuple[str, str | None, int | None, bool]] = field(factory=list)
    rows: list[Row] = field(factory=list)
    containers: list[tuple[str, str | None, str | None]] = field(factory=list)

    def store(self) -> Store:
        store = Store()
        for name, parent, size, incomplete in self.layers:
            store.layer(name, parent, size=size, incomplete=incomplete)
        for row in self.rows:
            if row.kind in ("list", "unreadable"):
                store.list(
                    row.name,
                    row.names,
                    instances=tuple((digest, None) for digest in row.instances),
                    digest=row.digests[0],
                    unreadable=row.kind == "unreadable",
                    store=row.store,
                )
                continue
            store.image(
                row.name,
                row.names,
                layer=row.layer,
                mapped=row.mapped,
                config=config(row.history, row.diff_ids) if row.kind == "image" else None,
                digests=row.digests,
                half_made=row.kind == "half",
                store=row.store,
            )
        for name, image, layer in self.containers:
            store.container(name, image, layer=layer)
        return store


def random_plan(random: Random, size: int) -> Plan:
    """``size`` images on about as many layers: trees, shared tops, lists of lists, everything damaged at times."""
    plan = Plan()
    for number in range(size):
        known = [name for name, *_ in plan.layers]
        parent = random.choice([None, "lost", *known, *known[-2:]]) if known else None
        plan.layers.append((f"l{number}", parent, random.choice([0, 1, 10, 100, None]), random.random() < 0.05))
    if plan.layers and random.random() < 0.2:
        name, _, layer_size, incomplete = plan.layers[0]
        plan.layers[0] = (name, random.choice(plan.layers)[0], layer_size, incomplete)
    for number in range(size):
        plan.rows.append(_random_row(random, plan, number))
    for number in range(random.randrange(3)):
        image = random.choice([None, *(row.name for row in plan.rows)]) if plan.rows else None
        layer = random.choice([None, *(name for name, *_ in plan.layers)])
        plan.containers.append((f"c{number}", image, layer))
    return plan


def _random_row(random: Random, plan: Plan, number: int) -> Row:
    name = f"i{number}"
    store = 0
    if plan.rows and random.random() < 0.05:
        name, store = random.choice(plan.rows).name, random.randrange(2)
    kind = random.choices(["image", "list", "unreadable", "broken", "half"], [80, 14, 1, 2, 3])[0]
    names = tuple(
        f"{random.choice(['localhost', 'q.io', 'docker.io/library'])}/{random.choice('abc')}:{random.choice('12')}"
        for _ in range(random.choice([0, 0, 0, 1, 2]))
    )
    digests = tuple(dict.fromkeys(f"m{random.randrange(number + 2)}" for _ in range(random.choice([1, 1, 2]))))
    row = Row(name=name, kind=kind, store=store, names=tuple(dict.fromkeys(names)), digests=digests)
    if kind in ("list", "unreadable"):
        row.instances = tuple(
            dict.fromkeys(
                random.choice([*(d for r in plan.rows for d in r.digests), "far"]) for _ in range(random.randrange(4))
            )
        )
        return row
    layers = [layer for layer, *_ in plan.layers]
    row.layer = random.choice([None, "lost", *layers, *layers])
    if row.layer and random.random() < 0.1:
        row.mapped = tuple(random.sample(layers, min(len(layers), 2)))
    row.history = tuple(random.choice("ab") for _ in range(random.randrange(4)))
    row.diff_ids = tuple(random.choice("xy") for _ in range(random.randrange(3)))
    parents = [other for other in plan.rows if other.kind == "image"]
    if parents and random.random() < 0.7:
        base = random.choice(parents)
        row.history = (*base.history, random.choice("ab"))
        row.diff_ids = base.diff_ids + random.choice([(), ("x",)])
        above = [layer for layer, parent, *_ in plan.layers if parent == base.layer]
        row.layer = random.choice([base.layer, *above])
    return row


@define
class Model:
    """Answers about one plan, each by looking at everything. ``known`` is what lists last named, by id."""

    plan: Plan
    known: dict[str, tuple[str, ...]] = field(factory=dict)

    @property
    def shown(self) -> list[Row]:
        return [row for row in self.plan.rows if row.kind != "half"]

    def layers(self) -> dict[str, tuple[str | None, int | None]]:
        found: dict[str, tuple[str | None, int | None]] = {}
        for name, parent, size, incomplete in self.plan.layers:
            if not incomplete:
                found.setdefault(name, (parent, size))
        return found

    def node(self, row: Row) -> str | None:
        """The node a row is attached to; ``""`` for none at all."""
        if row.layer is None:
            return None
        layers = self.layers()
        return row.layer if row.layer in layers or any(parent == row.layer for parent, _ in layers.values()) else ""

    def is_parent(self, parent: Row, child: Row) -> bool:
        return (
            parent.kind == child.kind == "image"
            and parent.name != child.name
            and child.diff_ids[: len(parent.diff_ids)] == parent.diff_ids
            and len(child.history) == len(parent.history) + 1
            and child.history[: len(parent.history)] == parent.history
        )

    def parent(self, child: Row) -> str | None:
        node = self.node(child)
        if node == "" or child.kind != "image":
            return None
        nodes = [node]
        if node is not None and node in self.layers() and self.layers()[node][0] is not None:
            nodes.append(self.layers()[node][0])
        for place in nodes:
            for other in self.shown:
                if self.node(other) == place and self.is_parent(other, child):
                    return other.name
        return None

    def children(self, parent: Row) -> set[str]:
        node = self.node(parent)
        if node == "" or parent.kind != "image":
            return set()
        places = {node}
        if node is not None:
            places |= {name for name, (below, _) in self.layers().items() if below == node}
        return {other.name for other in self.shown if self.node(other) in places and self.is_parent(parent, other)}

    def possible_children(self, parent: Row) -> set[str]:
        """Images without a readable configuration wherever a child of this one could be."""
        if parent.kind != "image":
            return set()
        found = set()
        for other in self.shown:
            in_doubt = other.kind in ("broken", "unreadable")
            places = {other.layer}
            if other.layer in self.layers():
                places.add(self.layers()[other.layer][0] or other.layer)
            if in_doubt and other.name != parent.name and parent.layer in places:
                found.add(other.name)
        return found

    def lists(self) -> dict[str, set[str]]:
        """Every list and what it names, or last named."""
        found: dict[str, set[str]] = {}
        for row in self.shown:
            if row.kind == "list":
                found.setdefault(row.name, set()).update(row.instances)
            elif row.kind == "unreadable":
                found.setdefault(row.name, set()).update(self.known.get(row.name, ()))
        return found

    def digests(self, row: Row) -> set[str]:
        return {"empty list", row.digests[0]} if row.kind in ("list", "unreadable") else set(row.digests)

    def in_lists(self, row: Row) -> set[str]:
        return {name for name, named in self.lists().items() if named & self.digests(row)}

    def dangling(self, row: Row) -> bool:
        return (
            not any(other.kind == "unreadable" for other in self.shown)
            and row.kind in ("image", "list")
            and not row.names
            and not self.children(row)
            and not self.possible_children(row)
            and not self.in_lists(row)
        )

    def chain(self, layer: str | None) -> tuple[set[str], bool]:
        """The known layers from one down, and whether they end at a base."""
        found: set[str] = set()
        layers = self.layers()
        while layer is not None:
            if layer not in layers or layer in found:
                return found, False
            found.add(layer)
            layer = layers[layer][0]
        return found, True

    def own_layers(self, row: Row) -> tuple[set[str], bool]:
        found: set[str] = set()
        whole = True
        for top in (row.layer, *row.mapped):
            chain, complete = self.chain(top)
            found |= chain
            whole &= complete
        return found, whole

    def sizes(self, at: int) -> tuple[int | None, int | None]:
        row = self.plan.rows[at]
        data = 15 if row.kind in ("list", "unreadable") else 10 * len(row.digests)
        layers = self.layers()
        mine, whole = self.own_layers(row)
        if not whole or any(layers[layer][1] is None for layer in mine):
            return None, None
        others: set[str] = set()
        for index, other in enumerate(self.plan.rows):
            if index != at:
                others |= self.own_layers(other)[0]
        for _, _, used in self.plan.containers:
            others |= self.chain(used)[0]
        for _, parent, _, incomplete in self.plan.layers:
            if incomplete:
                others |= self.chain(parent)[0]
        for layer in layers:
            if layer not in mine:
                others |= self.chain(layer)[0]
        return (
            data + sum(layers[layer][1] or 0 for layer in mine),
            data + sum(layers[layer][1] or 0 for layer in mine - others),
        )

    def found_by_id(self, name: str) -> Row:
        rows = [row for row in self.shown if row.name == name]
        near = [row for row in rows if row.store == 0]
        return (near or rows)[-1]

    def found_by_name(self, name: str) -> Row | None:
        rows = [
            row
            for row in self.shown
            if name in row.names and not (row.store and any(o.name == row.name and not o.store for o in self.shown))
        ]
        near = [row for row in rows if row.store == 0]
        return (near or rows or [None])[-1]

    def learn(self) -> dict[str, tuple[str, ...]]:
        """What is known of lists afterwards."""
        return {name: tuple(named) for name, named in self.lists().items() if named or self._counts(name)}

    def _counts(self, name: str) -> bool:
        return name in self.known or any(row.name == name and row.kind == "list" for row in self.shown)
