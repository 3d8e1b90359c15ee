import pytest

from tests.support.stores import AMD64, Store, config, family, image_id


def kin(store: Store, name: str) -> tuple[str | None, tuple[str, ...]]:
    image = store.snapshot().by_id[image_id(name)]
    return image.parent, image.children


def test_parents_lie_on_the_layer_below_or_on_the_same_layer() -> None:
    store = family()
    assert kin(store, "base") == (None, (image_id("app"),))
    assert kin(store, "app") == (image_id("base"), (image_id("label"),))
    assert kin(store, "label") == (image_id("app"), ())


def test_all_children_are_reported_in_store_order() -> None:
    store = family()
    for number in range(5):
        store.image(f"more{number}", layer="two", config=config(("a", f"b{number}"), ("d1", "d2")))
    assert kin(store, "base")[1] == tuple(image_id(n) for n in ("app", "more0", "more1", "more2", "more3", "more4"))


def test_the_first_of_equal_parents_is_the_parent_and_both_have_the_child() -> None:
    store = family()
    store.image("twin", layer="one", config=config(("a",), ("d1",), {"other": "label"}))
    assert kin(store, "app")[0] == image_id("base")
    assert kin(store, "twin")[1] == (image_id("app"),)


def test_own_layer_comes_before_the_layer_below() -> None:
    store = Store()
    store.layer("one")
    store.layer("two", "one")
    store.image("below", layer="one", config=config(("a",), ("d1",)))
    store.image("beside", layer="two", config=config(("a",), ("d1", "d2")))
    store.image("child", layer="two", config=config(("a", "b"), ("d1", "d2")))
    assert kin(store, "child")[0] == image_id("beside")


@pytest.mark.parametrize(
    "other",
    [
        config(("a", "b", "c"), ("d1", "d2")),
        config(("x", "b"), ("d1", "d2")),
        config(("a", "b"), ("other", "d2")),
        config(("a", "b"), ()),
    ],
    ids=["two entries more", "another history", "another base", "fewer diff ids"],
)
def test_layer_sharing_alone_makes_no_kin(other) -> None:
    store = Store()
    store.layer("one")
    store.layer("two", "one")
    store.image("base", layer="one", config=config(("a",), ("d1",)))
    store.image("other", layer="two", config=other)
    assert kin(store, "other")[0] is None
    assert kin(store, "base")[1] == ()


def test_images_without_layers_are_kin_among_themselves_and_lists_are_not() -> None:
    store = Store()
    store.list("list", ("localhost/l:1",))
    store.image("empty", config=config(("a",)))
    store.image("labelled", config=config(("a", "b")))
    assert kin(store, "labelled") == (image_id("empty"), ())
    assert kin(store, "list") == (None, ())


def test_an_image_that_cannot_be_read_is_skipped() -> None:
    store = Store()
    store.layer("one")
    store.image("broken", layer="one", config=None)
    store.image("base", layer="one", config=config(("a",), ("d1",)))
    store.image("child", layer="one", config=config(("a", "b"), ("d1",)))
    assert kin(store, "child")[0] == image_id("base")


def test_a_half_made_image_is_nobodys_kin_and_not_listed() -> None:
    store = Store()
    store.layer("one")
    store.image("base", layer="one", config=config(("a",), ("d1",)))
    store.image("half", layer="one", half_made=True)
    snapshot = store.snapshot()
    assert [image.id for image in snapshot.images] == [image_id("base")]
    assert snapshot.half_made == (image_id("half"),)
    assert image_id("half") not in snapshot.by_id
    assert snapshot.layers[0].images == (image_id("base"),)


def test_images_attached_to_a_lost_layer_that_others_name_as_parent_are_kin() -> None:
    store = Store()
    store.layer("top", "lost")
    store.image("base", layer="lost", config=config(("a",), ("d1",)))
    store.image("app", layer="top", config=config(("a", "b"), ("d1", "d2")))
    assert kin(store, "app")[0] == image_id("base")


def test_many_equal_parents_share_one_tuple_of_children() -> None:
    store = Store()
    store.layer("one")
    for number in range(300):
        store.image(f"p{number}", layer="one", config=config(("a",), ("d1",), {"n": str(number)}, AMD64))
        store.image(f"c{number}", layer="one", config=config(("a", "b"), ("d1",), {"n": str(number)}, AMD64))
    snapshot = store.snapshot()
    children = [image.children for image in snapshot.images if image.children]
    assert len(children) == 300
    assert len(children[0]) == 300
    assert len({id(found) for found in children}) == 1
