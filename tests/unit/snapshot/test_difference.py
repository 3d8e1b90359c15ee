from storaged.snapshot.difference import difference
from tests.support.stores import Store, config, family, image_id, layer_id


def test_equal_states_do_not_differ() -> None:
    found = difference(family().snapshot(), family().snapshot())
    assert not found
    assert found.summary() == "nothing"


def test_what_came_went_and_changed_is_told_by_kind() -> None:
    before = family()
    before.list("list", ("localhost/l:1",))
    after = Store()
    after.layer("one")
    after.layer("two", "one", size=7)
    after.layer("three", "two")
    after.image("base", ("localhost/base:latest", "localhost/new:1"), layer="one", config=config(("a",), ("d1",)))
    after.image("label", layer="two", config=config(("a", "b", "c"), ("d1", "d2")))
    after.image("fresh", layer="three", config=config())
    after.list("list", ("localhost/l:1",), instances=(("base", None),))
    after.container("c", "base")
    found = difference(before.snapshot(), after.snapshot())
    assert found.images.added == (image_id("fresh"),)
    assert found.images.removed == (image_id("app"),)
    assert found.images.changed == (image_id("base"),)
    assert found.lists.changed == (image_id("list"),)
    assert (found.layers.added, found.layers.changed) == ((layer_id("three"),), (layer_id("two"),))
    assert len(found.containers.added) == 1
    assert found.summary() == "images +1 -1 ~1, lists +0 -0 ~1, layers +1 -0 ~1, containers +1 -0 ~0"


def test_an_image_that_became_a_list_leaves_one_kind_and_joins_the_other() -> None:
    before, after = Store(), Store()
    before.image("x", config=config())
    after.list("x")
    found = difference(before.snapshot(), after.snapshot())
    assert found.images.removed == found.lists.added == (image_id("x"),)


def test_losing_one_of_two_copies_is_a_change_and_no_removal() -> None:
    before, after = Store(), Store()
    before.image("x", config=config())
    before.image("x", config=config(), store=1)
    after.image("x", config=config(), store=1)
    found = difference(before.snapshot(), after.snapshot())
    assert found.images.changed == (image_id("x"),)
    assert not found.images.removed
