"""After whatever history of changes, a snapshot made from the one before is what is made of the tables alone."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from storaged.snapshot.growth import grow
from storaged.snapshot.model import Snapshot
from storaged.snapshot.sizes import KnownSizes
from storaged.snapshot.tree import LayerTree, build_tree
from storaged.store.layout.records import LayerID
from storaged.store.tables import ImageRow, LayerRow
from tests.support.stores import Store, layer_id

_SIZES = KnownSizes(layers={layer_id("6"): 5}, reasons={layer_id("7"): "no driver"})


def _facts(forest: LayerTree) -> dict[str, object]:
    return {
        "table": forest.table,
        "rows": forest.rows,
        "by_id": forest.by_id,
        "incomplete": forest.incomplete,
        "under_incomplete": forest.under_incomplete,
        "children": forest.children,
        "top_down": forest.top_down,
        "position": forest.position,
        "below": {layer: forest.below(layer) for layer in forest.by_id},
        "depth": {layer: forest.depth(layer) for layer in forest.by_id},
        "damage": forest.damage,
        "flaws": forest.flaws,
    }


def _claim_same(made: Snapshot, plain: Snapshot) -> None:
    assert _facts(made.forest) == _facts(plain.forest)
    assert made == plain
    assert made.uses == plain.uses
    for one, other in zip(made.images, plain.images, strict=True):
        assert one.layers == other.layers
        top = one.record.layer
        assert one.chain is (made.forest.chains.get(top) if top is not None else None)


class _History:
    """A store of at most a dozen layers by name, so that many a change meets another."""

    def __init__(self, seed: int, *, orderly: bool) -> None:
        self.random = Random(seed)
        self.store = Store()
        self.orderly = orderly
        for number in range(6):
            self.store.layer(str(number), str(self.random.randrange(number)) if number else None)
        for number in range(4):
            self.store.image(f"image {number}", layer=str(self.random.randrange(6)))

    def step(self) -> None:
        steps = [
            self._add,
            self._add,
            self._branch,
            self._remove,
            self._image,
            self._unimage,
            self._box,
            self._unbox,
            self._half,
            self._whole,
        ]
        if not self.orderly:
            steps += [self._alter, self._reparent, self._incomplete, self._move, self._anywhere, self._twice, self._tag]
        for _ in range(self.random.choice((1, 1, 1, 2, 4))):
            self.random.choice(steps)()

    def _name(self) -> str:
        return str(self.random.randrange(12))

    def _at(self) -> int:
        return self.random.randrange(len(self.store.layers))

    def _known(self) -> str | None:
        names = {layer_id(str(number)): str(number) for number in range(12)}
        known = [names[row.record.id] for row in self.store.layers if not row.record.incomplete]
        if not self.orderly and self.random.random() < 0.2:
            return self._name()
        return self.random.choice([*known, None])

    def _free(self) -> str | None:
        known = {row.record.id for row in self.store.layers}
        return next((str(number) for number in range(12) if layer_id(str(number)) not in known), None)

    def _add(self) -> None:
        name = self._free()
        if name is not None:
            self.store.layer(name, self._known(), size=self.random.choice((100, 7, None)))
            if self.random.random() < 0.5:
                place = self.random.randrange(len(self.store.layers))
                self.store.layers.insert(place, self.store.layers.pop())

    def _branch(self) -> None:
        """A few layers on each other, as a pull brings them, with an image."""
        under = self._known()
        for _ in range(self.random.randrange(1, 4)):
            name = self._free()
            if name is None:
                return
            self.store.layer(name, under)
            under = name
        self.store.image(f"of {under} {self.random.random()}", layer=under)

    def _remove(self) -> None:
        """A layer and, mostly, all that stands on it."""
        if len(self.store.layers) < 2:
            return
        gone = {self.store.layers[self._at()].record.id}
        if self.orderly or self.random.random() < 0.8:
            while more := {row.record.id for row in self.store.layers if row.record.parent in gone} - gone:
                gone |= more
        left = [row for row in self.store.layers if row.record.id not in gone]
        if left:
            self.store.layers = left

    def _image(self) -> None:
        mapped = tuple(self._name() for _ in range(self.random.choice((0, 0, 0, 1, 2))))
        self.store.image(
            f"image {self.random.randrange(8)}",
            layer=self._known(),
            mapped=mapped,
            data=self.random.choice((10, 10, None)),
            half_made=self.random.random() < 0.2,
        )

    def _unimage(self) -> None:
        if self.store.images:
            at = self.random.randrange(len(self.store.images))
            del self.store.images[at], self.store.contents[at]

    def _tag(self) -> None:
        if self.store.images:
            at = self.random.randrange(len(self.store.images))
            row = self.store.images[at]
            names = (f"localhost/{self.random.randrange(3)}:1",)
            self.store.images[at] = ImageRow(record=replace(row.record, names=names), store=row.store, raw=b"")

    def _box(self) -> None:
        self.store.container(str(self.random.random()), layer=self._known())

    def _unbox(self) -> None:
        if self.store.containers:
            del self.store.containers[self.random.randrange(len(self.store.containers))]

    def _half(self) -> None:
        """A layer that a pull is about to make, or of which an additional store has a whole one."""
        name, store = self._free(), 0
        if name is None or self.random.random() < 0.2:
            name, store = self._name(), 1
        self.store.layer(name, self._known(), incomplete=True, store=store)

    def _whole(self) -> None:
        for at, row in enumerate(self.store.layers):
            if row.record.incomplete and row.store == 0:
                self.store.layers[at] = replace(row, record=replace(row.record, flags=None))
                return

    def _put(self, change: Callable[[LayerRow], LayerRow]) -> None:
        at = self._at()
        self.store.layers[at] = change(self.store.layers[at])

    def _alter(self) -> None:
        size = self.random.choice((100, 101))
        self._put(lambda row: replace(row, record=replace(row.record, names=("n",), diff_size=size)))

    def _reparent(self) -> None:
        parent = self._known()
        self._put(lambda row: replace(row, record=replace(row.record, parent=layer_id(parent) if parent else None)))

    def _incomplete(self) -> None:
        flags = self.random.choice(({"incomplete": True}, None))
        self._put(lambda row: replace(row, record=replace(row.record, flags=flags)))

    def _move(self) -> None:
        row = self.store.layers.pop(self._at())
        self.store.layers.insert(self.random.randrange(len(self.store.layers) + 1), row)

    def _anywhere(self) -> None:
        self._put(lambda row: replace(row, store=1))

    def _twice(self) -> None:
        if self.random.random() < 0.3:
            row = self.store.layers[self._at()]
            self.store.layers.append(replace(row, store=self.random.randrange(2)))


@given(st.integers(0, 2**32), st.booleans())
def test_a_snapshot_made_from_the_one_before_is_that_of_the_tables_alone(seed: int, orderly: bool) -> None:
    history = _History(seed, orderly=orderly)
    made = history.store.snapshot(known_sizes=_SIZES)
    for _ in range(8):
        history.step()
        made = history.store.snapshot(previous=made, known_sizes=_SIZES)
        _claim_same(made, history.store.snapshot(known_sizes=_SIZES))


def test_the_usual_changes_work_nothing_out_again() -> None:
    grown = steps = 0
    for seed in range(40):
        history = _History(seed, orderly=True)
        for _ in range(8):
            before = build_tree(history.store.layers)
            history.step()
            steps += 1
            grown += grow(before, history.store.layers) is not None
    assert grown > 0.9 * steps


def _chain(count: int) -> Store:
    store = Store()
    for number in range(count):
        store.layer(f"l{number}", f"l{number - 1}" if number % 10 else None)
    store.image("top", layer="l9")
    return store


@pytest.mark.parametrize("place", [0, 37, 2500])
def test_a_change_among_thousands_of_layers_takes_over_all_others(place: int) -> None:
    store = _chain(2500)
    before = store.snapshot()
    store.layer("new", "l9")
    store.layers.insert(place, store.layers.pop())
    after = store.snapshot(previous=before)
    _claim_same(after, store.snapshot())
    same = [layer for layer in after.layers if before.layer_by_id.get(layer.id) is layer]
    assert len(same) == 2499
    assert after.images[0].chain is before.images[0].chain
    store.layers = [row for row in store.layers if row.record.id != layer_id("new")]
    _claim_same(store.snapshot(previous=after), before)


def test_the_sizes_of_an_image_follow_what_comes_on_top_of_its_layers() -> None:
    store = _chain(20)
    before = store.snapshot()
    assert before.images[0].unique_size == 1010
    store.layer("new", "l4")
    store.image("beside", layer="new")
    both = store.snapshot(previous=before)
    assert [image.unique_size for image in both.images] == [510, 110]
    store.layers.pop()
    del store.images[1], store.contents[1]
    assert store.snapshot(previous=both).images[0].unique_size == 1010


def test_what_a_measured_size_changes_is_seen_beside_a_new_layer() -> None:
    store = Store()
    store.layer("base", size=None)
    store.image("one", layer="base")
    before = store.snapshot(known_sizes=KnownSizes())
    assert before.images[0].size_pending
    store.layer("other")
    sizes = KnownSizes(layers={LayerID(layer_id("base")): 70})
    after = store.snapshot(previous=before, known_sizes=sizes)
    assert (after.images[0].size, after.layers[0].size) == (80, 70)


def test_a_top_layer_and_a_mapped_copy_are_told_apart() -> None:
    store = Store()
    store.layer("base")
    store.image("one", mapped=("base",))
    before = store.snapshot()
    del store.images[0], store.contents[0]
    store.image("one", layer="base")
    store.layer("other")
    after = store.snapshot(previous=before)
    _claim_same(after, store.snapshot())
    del store.layers[1], store.images[0], store.contents[0]
    store.image("one", layer="base")
    _claim_same(store.snapshot(previous=before), store.snapshot())


def test_a_forest_that_is_worked_out_as_a_whole_takes_over_chains_all_the_same() -> None:
    store = Store()
    store.layer("base")
    store.layer("lost", "nowhere")
    store.image("one", layer="base")
    before = store.snapshot()
    assert before.forest.damage
    store.layer("new", "base")
    after = store.snapshot(previous=before)
    assert after.images[0].chain is before.images[0].chain
    assert after.images[0].chain is not None


def test_texts_of_parents_are_those_of_their_own_records() -> None:
    store = Store()
    store.layer("base")
    store.layer("top", "base")
    before = store.snapshot()
    store.layer("new", "top")
    for snapshot in (before, store.snapshot(previous=before)):
        for layer in snapshot.layers[1:]:
            assert layer.record.parent is not None
            assert layer.record.parent is snapshot.layer_by_id[layer.record.parent].id


def test_a_record_that_only_looks_changed_lends_what_stands_on_it() -> None:
    store = Store()
    store.layer("base")
    store.image("one", layer="base")
    before = store.snapshot()
    store.layers[0] = LayerRow(record=replace(store.layers[0].record, names=("n",)), store=0)
    store.contents[0] = evolve(store.contents[0])
    after = store.snapshot(previous=before)
    assert after.layers[0].record.names == ("n",)
    assert after.images[0].chain is before.images[0].chain
