from msgspec import structs
from msgspec.structs import replace

from tests.support.stores import Store, config, image_id, layer_id


def sizes(store: Store, name: str) -> tuple[int | None, int | None]:
    image = store.snapshot().by_id[image_id(name)]
    return image.size, image.unique_size


def shared() -> Store:
    """A base of 1 with two tops of 10 and 100 on it."""
    store = Store()
    store.layer("base", size=1)
    store.layer("left", "base", size=10)
    store.layer("right", "base", size=100)
    store.image("left", layer="left", config=config(), data=1000)
    store.image("right", layer="right", config=config(), data=2000)
    return store


def test_size_counts_the_chain_and_unique_size_what_no_other_needs() -> None:
    store = shared()
    assert sizes(store, "left") == (1011, 1010)
    assert sizes(store, "right") == (2101, 2100)


def test_an_image_alone_owns_its_whole_chain() -> None:
    store = Store()
    store.layer("base", size=1)
    store.layer("top", "base", size=10)
    store.image("i", layer="top", config=config(), data=0)
    assert sizes(store, "i") == (11, 11)


def test_a_container_an_orphan_layer_and_a_layer_in_the_making_hold_what_is_below() -> None:
    for add in (
        lambda store: store.container("c", "left", layer="left"),
        lambda store: store.layer("orphan", "left", size=5),
        lambda store: store.layer("pull", "left", size=None, incomplete=True),
        lambda store: store.image("half", layer="left", half_made=True),
        lambda store: store.image("twin", layer="left", config=config()),
    ):
        store = shared()
        add(store)
        assert sizes(store, "left") == (1011, 1000)


def test_mapped_layers_count_once_each_and_common_ones_once() -> None:
    store = shared()
    store.layer("mapped", "base", size=10)
    store.layer("deep", "right", size=7)
    store.image("m", layer="left", mapped=("mapped", "deep", "mapped"), config=config(), data=0)
    assert sizes(store, "m") == (1 + 10 + 10 + 100 + 7, 17)


def test_an_unknown_layer_size_makes_both_unknown() -> None:
    store = shared()
    store.layer("vague", "left", size=None)
    store.image("v", layer="vague", config=config())
    assert sizes(store, "v") == (None, None)
    assert sizes(store, "left") == (1011, 1000)


def test_a_size_that_the_record_does_not_tell_is_unknown() -> None:
    store = Store()
    store.image("i", config=config(), data=None)
    assert sizes(store, "i") == (None, None)


def test_a_list_is_as_large_as_its_data() -> None:
    store = Store()
    store.list("list")
    assert sizes(store, "list") == (15, 15)


def test_sizes_and_layers_are_taken_over_while_nobody_uses_another_layer() -> None:
    store = shared()
    first = store.snapshot()
    row = store.images[0]
    store.images[0] = structs.replace(row, record=replace(row.record, names=("localhost/left:1",)))
    second = store.snapshot(previous=first)
    assert second.layers is first.layers
    assert second.layer_by_id is first.layer_by_id
    assert second.by_name["localhost/left:1"].unique_size == 1010
    store.container("c", "right", layer="left")
    third = store.snapshot(previous=second)
    assert third.by_id[image_id("left")].unique_size == 1000
    assert third.layer_by_id[layer_id("left")].containers
