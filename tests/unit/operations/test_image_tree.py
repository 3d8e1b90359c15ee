"""``images.tree``: down to the base, up to all that stands on it."""

from __future__ import annotations

from storaged.operations.image_tree import tree
from tests.support.stores import Store, config, family, image_id, layer_id


def grown() -> Store:
    """``family`` with a fork above layer one, a container on layer two and a layer above the fork."""
    store = family()
    store.layer("fork", "one", size=5)
    store.layer("above", "fork", size=None)
    store.layer("run", "two", size=None)
    store.container("c", "app", layer="run")
    return store


def layers(store: Store, name: str, *, what_requires: bool = False) -> list[str]:
    snapshot = store.snapshot()
    found = tree(snapshot, snapshot.by_id[image_id(name)], what_requires=what_requires)
    return [layer.id for layer in found]


def test_the_layers_of_an_image_come_base_first() -> None:
    assert layers(grown(), "label") == [layer_id("one"), layer_id("two")]


def test_what_requires_an_image_comes_parents_first_and_with_containers_layers() -> None:
    wanted = [layer_id(name) for name in ("one", "two", "run", "fork", "above")]
    assert layers(grown(), "base", what_requires=True) == wanted
    assert layers(grown(), "app", what_requires=True) == wanted[1:3]


def test_a_layer_tells_its_images_containers_and_siblings() -> None:
    snapshot = grown().snapshot()
    found = tree(snapshot, snapshot.by_id[image_id("base")], what_requires=True)
    by_id = {layer.id: layer for layer in found}
    assert (found.id, found.names, found.size) == (image_id("base"), ("localhost/base:latest",), 110)
    two = by_id[layer_id("two")]
    assert [(image.id, image.names) for image in two.images] == [(image_id("app"), ()), (image_id("label"), ())]
    assert [by_id[layer_id(name)].siblings for name in ("one", "two", "fork", "above", "run")] == [0, 1, 1, 0, 0]
    run = by_id[layer_id("run")]
    assert (run.parent, run.size, run.size_pending, len(run.containers)) == (layer_id("two"), None, True, 1)


def test_an_image_without_a_layer_has_a_tree_without_one() -> None:
    store = Store()
    store.image("empty", config=config())
    snapshot = store.snapshot()
    for what_requires in (False, True):
        found = tree(snapshot, snapshot.by_id[image_id("empty")], what_requires=what_requires)
        assert (found.top_layer, found.layers) == (None, ())


def test_a_broken_chain_begins_where_it_breaks() -> None:
    store = Store()
    store.layer("upper", "gone")
    store.layer("top", "upper")
    store.image("i", layer="top", config=config())
    store.image("lost", layer="nowhere", config=config())
    assert layers(store, "i") == [layer_id("upper"), layer_id("top")]
    assert layers(store, "lost") == layers(store, "lost", what_requires=True) == []


def test_a_tree_tells_which_layer_is_lost() -> None:
    store = Store()
    store.layer("upper", "gone")
    store.image("i", layer="upper", config=config())
    store.image("lost", layer="nowhere", config=config())
    snapshot = store.snapshot()
    for what_requires in (False, True):
        found = [tree(snapshot, snapshot.by_id[image_id(name)], what_requires=what_requires) for name in ("i", "lost")]
        assert [each.damage and each.damage.name for each in found] == ["ParentLayerMissing", "TopLayerMissing"]


def test_a_ring_of_layers_is_walked_once() -> None:
    store = Store()
    store.layer("a", "b")
    store.layer("b", "a")
    store.image("i", layer="a", config=config())
    assert sorted(layers(store, "i", what_requires=True)) == sorted([layer_id("a"), layer_id("b")])
