"""Whatever another snapshot lends, the new one is what it would be without."""

from __future__ import annotations

from random import Random

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from storaged.snapshot.build import build
from storaged.snapshot.model import Snapshot
from storaged.snapshot.sizes import KnownSizes
from storaged.store.tables import ImageRow, LayerRow, StoreTables
from tests.bench.measure_build import fleet
from tests.support.stores import Store, layer_id

_SIZES = KnownSizes()
_FLEET = fleet(20, 50, seed=1)
"""The rows that most stores of these tests share, as one decoding hands them on to the next."""


def _changed(random: Random) -> Store:
    """The same store each time, less some rows, and with others in another order or of another state."""
    store = Store(
        images=list(_FLEET.images),
        contents=list(_FLEET.contents),
        layers=list(_FLEET.layers),
        containers=list(_FLEET.containers),
        proven=random.random() < 0.8,
    )
    for rows in (store.layers, store.containers):
        for _ in range(random.randrange(3)):
            rows.pop(random.randrange(len(rows)))
    for _ in range(random.randrange(3)):
        at = random.randrange(len(store.images))
        del store.images[at], store.contents[at]
    if random.random() < 0.3:
        at = random.randrange(len(store.layers))
        record = store.layers[at].record
        store.layers[at] = LayerRow(record=type(record)(id=record.id, flags={"incomplete": True}), store=0)
    if random.random() < 0.5:
        store.layer(f"new{random.randrange(2)}", f"l{random.randrange(50)}")
        store.image("new", layer="new0")
    if random.random() < 0.3:
        at = random.randrange(len(store.images))
        row = store.images[at]
        store.images[at] = ImageRow(record=row.record, store=1, raw=b"")
    if random.random() < 0.5:
        at = random.randrange(len(store.images))
        names = random.choice(((), ("localhost/other:1",)))
        store.images[at] = ImageRow(record=replace(store.images[at].record, names=names), store=0, raw=b"")
    if random.random() < 0.5:
        at, other = random.randrange(len(store.images)), random.randrange(len(store.images))
        store.contents[at] = random.choice(
            (store.contents[other], evolve(store.contents[at]), evolve(store.contents[at], config=None))
        )
    if random.random() < 0.3:
        random.shuffle(store.layers)
    return store


def _built(store: Store, *, previous: Snapshot | None = None, base: Snapshot | None = None) -> Snapshot:
    tables = StoreTables(
        images=tuple(store.images), layers=tuple(store.layers), containers=tuple(store.containers), proven=store.proven
    )
    return build(tables, tuple(store.contents), generation="1", previous=previous, base=base, known_sizes=_SIZES)


@given(st.integers(0, 5), st.integers(0, 2**32))
def test_a_snapshot_does_not_depend_on_who_lent_it_values(near: int, seed: int) -> None:
    random = Random(seed)
    # A near seed is drawn often, so that the base's tables are the same again now and then.
    base = _built(_changed(Random(near)))
    store = _changed(Random(random.randrange(6)))
    alone = _built(store)
    lent = _built(store, base=base)
    assert lent == alone
    assert lent.forest.chains.keys() == alone.forest.chains.keys()
    for layer, chain in alone.forest.chains.items():
        assert lent.forest.depth(layer) == chain.depth
        assert lent.forest.below(layer) == alone.forest.below(layer)
    assert lent.uses == alone.uses
    # No list of this store is damaged, so what the previous one knew of lists changes nothing either.
    assert _built(store, previous=base) == alone


def test_the_lender_lends_its_forest_and_layers_and_knows_no_list() -> None:
    readable, unreadable = Store(), Store()
    for store in (readable, unreadable):
        store.layer("base")
        store.image("one", layer="base")
    readable.list("list", instances=(("one", None),))
    unreadable.list("list", instances=(("one", None),), unreadable=True)
    base = _built(readable)
    later = _built(unreadable, base=base)
    assert later.forest is base.forest
    assert later.layer_by_id[layer_id("base")] is base.layer_by_id[layer_id("base")]
    assert later.last_lists == {}, "a state that never was vouches for no list"
    assert _built(unreadable, previous=base).last_lists != {}


def test_an_image_of_which_nothing_changed_is_taken_over() -> None:
    store = Store()
    store.layer("base")
    store.image("stays", layer="base")
    store.image("tagged", layer="base")
    before = _built(store)
    store.images[1] = ImageRow(record=replace(store.images[1].record, names=("localhost/new:1",)), store=0, raw=b"")
    after = _built(store, previous=before)
    assert after.images[0] is before.images[0]
    assert after.images[1].names == ("localhost/new:1",)
