import pytest

from storaged.operations import container_list, layer_list
from storaged.operations.image_relations import relations
from storaged_client.contract.errors import LayerUnknown
from tests.support.stores import Store, config, family, image_id, layer_id


def test_kin_is_told_with_ancestors_and_siblings() -> None:
    store = family()
    store.image("sister", layer="two", config=config(("a", "x"), ("d1", "d2")))
    snapshot = store.snapshot()
    found = relations(snapshot, snapshot.by_id[image_id("label")])
    assert found.ancestors == (image_id("app"), image_id("base"))
    assert found.siblings == ()
    assert relations(snapshot, snapshot.by_id[image_id("app")]).siblings == (image_id("sister"),)


def forest() -> Store:
    store = Store()
    for name, parent in (("r", None), ("x", "y"), ("a", "r"), ("y", "x"), ("b", "r"), ("aa", "a"), ("lost", "gone")):
        store.layer(name, parent)
    store.image("i", layer="aa", config=config())
    store.container("c", "i", layer="b")
    return store


def test_the_forest_comes_parents_first_and_every_layer_once() -> None:
    layers = list(layer_list.tree(forest().snapshot(), None))
    assert layers == [layer_id(name) for name in ("r", "a", "aa", "b", "lost", "x", "y")]


def test_a_subtree_starts_at_its_layer() -> None:
    snapshot = forest().snapshot()
    assert list(layer_list.tree(snapshot, layer_id("a"))) == [layer_id("a"), layer_id("aa")]
    with pytest.raises(LayerUnknown):
        layer_list.tree(snapshot, "nope")


def test_a_layer_tells_its_chain_and_what_stands_on_it() -> None:
    snapshot = forest().snapshot()
    found = layer_list.get(snapshot, layer_id("aa"))
    assert found.chain == (layer_id("aa"), layer_id("a"), layer_id("r"))
    assert (found.layer.depth, found.layer.images) == (2, (image_id("i"),))
    assert layer_list.get(snapshot, layer_id("r")).child_layers == (layer_id("a"), layer_id("b"))
    assert layer_list.get(snapshot, layer_id("x")).chain == (layer_id("x"), layer_id("y"))
    assert len(layer_list.get(snapshot, layer_id("b")).layer.containers) == 1


def test_containers_are_listed_with_what_they_stand_on() -> None:
    (container,) = container_list.list_containers(forest().snapshot())
    assert (container.names, container.image, container.layer) == (("c",), image_id("i"), layer_id("b"))
