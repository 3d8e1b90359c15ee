"""``store.usage``: podman's arithmetic, checked against its own loop on random stores; what removing gives back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from storaged.operations.usage import usage
from storaged.snapshot.model import Snapshot
from storaged.snapshot.sizes import KnownSizes, layer_size
from storaged.store.layout.records import LayerID
from storaged_client.contract.types import ImageUsage, StoreUsage
from tests.support.stores import Store, config, family, image_id, layer_id


def row(found: StoreUsage, name: str) -> ImageUsage:
    return next(image for image in found.images if image.id == image_id(name))


def by_podmans_loop(snapshot: Snapshot) -> tuple[int, list[tuple[int, int]]]:
    """libimage ``disk_usage.go``, as it stands there: every layer counted by walking every image."""
    layers = {layer.id: layer for layer in snapshot.layers}
    total = sum(layer_size(layer.record) or 0 for layer in snapshot.layers)
    visits: list[list[LayerID]] = []
    for image in snapshot.images:
        seen: list[LayerID] = []
        for top in (image.record.layer, *(image.record.mapped_layers or ())):
            at = top
            while at and at not in seen and at in layers:
                seen.append(at)
                at = layers[at].record.parent
        visits.append(seen)
    counts: dict[LayerID, int] = {}
    for seen in visits:
        for layer in seen:
            counts[layer] = counts.get(layer, 0) + 1
    rows = []
    for image, seen in zip(snapshot.images, visits, strict=True):
        data = sum((image.record.big_data_sizes or {}).values())
        total += data
        shared = sum(layers[layer].size or 0 for layer in seen if counts[layer] > 1)
        unique = sum(layers[layer].size or 0 for layer in seen if counts[layer] == 1) + data
        rows.append((shared, unique))
    return total, rows


@st.composite
def stores(draw: st.DrawFn) -> Store:
    store = Store()
    count = draw(st.integers(1, 12))
    for number in range(count):
        parent = draw(st.one_of(st.none(), st.integers(0, number - 1))) if number else None
        store.layer(str(number), None if parent is None else str(parent), size=draw(st.integers(0, 50)))
    numbers = st.integers(0, count - 1).map(str)
    for number in range(draw(st.integers(0, 10))):
        top = draw(st.one_of(st.none(), numbers))
        mapped = tuple(draw(st.lists(numbers, max_size=2))) if top is not None else ()
        store.image(str(number), layer=top, mapped=mapped, config=config((str(number),)), data=draw(st.integers(0, 9)))
        if draw(st.integers(0, 4)) == 0:
            store.container(str(number), str(number))
    return store


@given(stores())
def test_sums_are_those_of_podmans_own_loop(store: Store) -> None:
    snapshot = store.snapshot()
    found = usage(snapshot)
    total, rows = by_podmans_loop(snapshot)
    assert found.images_size == total
    assert [(image.shared, image.unique) for image in found.images] == rows
    used = sum(unique for image, (_, unique) in zip(snapshot.images, rows, strict=True) if image.containers)
    assert found.images_reclaimable == total - used
    assert [image.size for image in found.images] == [image.size for image in snapshot.images]


@given(stores())
def test_an_image_without_parents_gives_back_what_it_alone_needs(store: Store) -> None:
    snapshot = store.snapshot()
    found = usage(snapshot)
    assert [image.freed for image in found.images] == [image.unique_size for image in snapshot.images]


def test_untagged_parents_go_along_with_their_last_child() -> None:
    store = Store()
    for name, parent in (("one", None), ("two", "one"), ("three", "two")):
        store.layer(name, parent, size=100)
    store.image("base", ("localhost/base:1",), layer="one", config=config(("a",), ("d1",)), data=1)
    store.image("middle", layer="two", config=config(("a", "b"), ("d1", "d2")), data=2)
    store.image("app", ("localhost/app:1",), layer="three", config=config(("a", "b", "c"), ("d1", "d2", "d3")), data=4)
    assert row(usage(store.snapshot()), "app").freed == 100 + 4 + 100 + 2
    assert row(usage(store.snapshot()), "middle").freed == 2


def test_what_a_container_a_half_made_image_or_another_store_holds_is_not_given_back() -> None:
    for hold in ("container", "half made", "read-only"):
        store = Store()
        store.layer("one", size=100, store=int(hold == "read-only"))
        store.image("i", layer="one", config=config(), data=1, store=int(hold == "read-only"))
        if hold == "container":
            store.container("c", "i", layer="one")
        if hold == "half made":
            store.image("h", layer="one", half_made=True)
        assert row(usage(store.snapshot()), "i").freed == (0 if hold == "read-only" else 1), hold


def test_an_unknown_layer_makes_the_sums_it_belongs_to_unknown_and_no_other() -> None:
    store = Store()
    store.layer("known", size=5)
    store.layer("open", size=None)
    store.image("a", layer="known", config=config(("a",)), data=1)
    store.image("b", layer="open", config=config(("b",)), data=2)
    found = usage(store.snapshot())
    assert (found.images_size, found.images_reclaimable, found.sizes_pending) == (None, None, 1)
    assert (row(found, "a").size, row(found, "b").size, row(found, "b").unique, row(found, "b").shared) == (
        *(6, None, None),
        0,
    )
    found = usage(store.snapshot(known_sizes=KnownSizes(layers={layer_id("open"): 10})))
    assert (found.images_size, row(found, "b").size, found.sizes_pending) == (18, 12, 0)
    found = usage(store.snapshot(known_sizes=KnownSizes(reasons={layer_id("open"): "not ours"})))
    assert (found.images_size, found.sizes_pending) == (None, 0)


def test_a_container_is_its_own_layer_its_data_and_its_files_and_nothing_to_the_images() -> None:
    store = family()
    store.layer("run", "two", size=None)
    one, without = store.container("c", "app", layer="run", data={"buildah.json": 7}), store.container("without")
    known = KnownSizes(layers={layer_id("run"): 2703}, containers={one: 40, without: 1}, volumes={"v": 10, "w": None})
    found = usage(store.snapshot(known_sizes=known))
    assert found.images_size == 230
    assert [container.size for container in found.containers] == [2750, None]
    assert not any(container.size_pending for container in found.containers)
    assert found.containers_size is None
    assert (found.volumes_size, [volume.size for volume in found.volumes or ()]) == (None, [10, None])
    assert usage(store.snapshot()).volumes is None


def test_a_container_whose_files_are_not_counted_yet_or_cannot_be_has_no_size() -> None:
    store = family()
    store.layer("run", "two", size=3)
    one = store.container("c", "app", layer="run")
    (pending,) = usage(store.snapshot()).containers
    assert (pending.size, pending.size_pending, pending.size_reason) == (None, True, None)
    (closed,) = usage(store.snapshot(known_sizes=KnownSizes(container_reasons={one: "not ours"}))).containers
    assert (closed.size, closed.size_pending, closed.size_reason) == (None, False, "not ours")


def test_a_damaged_chain_has_no_size() -> None:
    store = Store()
    store.layer("top", "gone", size=5)
    store.image("i", layer="top", config=config())
    store.image("lost", layer="nowhere", config=config())
    for name in ("i", "lost"):
        found = row(usage(store.snapshot()), name)
        assert (found.size, found.shared, found.unique) == (None, None, None)
