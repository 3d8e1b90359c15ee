from storaged.snapshot.tree import build_tree
from tests.support.stores import Store, config, image_id, layer_id


def test_children_depth_and_chain_follow_the_parents() -> None:
    store = Store()
    for name, parent in (("a", None), ("b", "a"), ("c", "b"), ("d", "a")):
        store.layer(name, parent)
    tree = build_tree(store.layers)
    assert tree.children[layer_id("a")] == (layer_id("b"), layer_id("d"))
    assert [tree.depth(layer_id(name)) for name in "abcd"] == [0, 1, 2, 1]
    assert tree.top_down == tuple(map(layer_id, "abcd"))
    assert not tree.damage
    assert not tree.flaws


def test_a_lost_parent_damages_the_layer_and_the_images_above_it() -> None:
    store = Store()
    store.layer("b", "lost")
    store.layer("c", "b")
    store.image("i", ("localhost/i:1",), layer="c", config=config())
    snapshot = store.snapshot()
    damage = {layer.id: layer.damage and layer.damage.name for layer in snapshot.layers}
    assert damage == {layer_id("b"): "ParentLayerMissing", layer_id("c"): "ChainBroken"}
    image = snapshot.by_id[image_id("i")]
    assert image.damage is not None
    assert image.damage.name == "ChainBroken"
    assert image.size is None
    assert image.layers == (layer_id("b"), layer_id("c"))
    assert [flaw.name for flaw in snapshot.flaws] == ["ParentLayerMissing"]


def test_an_unknown_top_layer_damages_the_image_and_is_no_error() -> None:
    store = Store()
    store.image("i", layer="lost", config=config())
    (image,) = store.snapshot().images
    assert image.damage is not None
    assert image.damage.name == "TopLayerMissing"
    assert image.layers == ()
    assert image.dangling


def test_an_incomplete_layer_is_hidden_and_damages_what_stands_on_it() -> None:
    store = Store()
    store.layer("a")
    store.layer("b", "a", incomplete=True)
    store.layer("c", "b")
    store.image("i", layer="b", config=config())
    snapshot = store.snapshot()
    assert [layer.id for layer in snapshot.layers] == [layer_id("a"), layer_id("c")]
    assert snapshot.images[0].damage is not None
    assert snapshot.images[0].damage.name == "TopLayerIncomplete"
    assert snapshot.layers[1].damage is not None
    assert snapshot.layers[1].damage.name == "ParentLayerIncomplete"


def test_a_ring_of_parents_is_damage_and_everything_above_it_is_reached() -> None:
    store = Store()
    for name, parent in (("x", "z"), ("y", "x"), ("z", "y"), ("above", "y"), ("self", "self"), ("fine", None)):
        store.layer(name, parent)
    store.image("i", layer="above", config=config())
    snapshot = store.snapshot()
    damage = {layer.id: layer.damage.name if layer.damage else None for layer in snapshot.layers}
    assert damage == {
        **dict.fromkeys(map(layer_id, ("x", "y", "z", "self")), "LayerCycle"),
        layer_id("above"): "ChainBroken",
        layer_id("fine"): None,
    }
    assert len(snapshot.images[0].layers) in (2, 3, 4)
    assert sorted(flaw.name for flaw in snapshot.flaws) == ["LayerCycle"] * 4


def test_of_layers_with_one_id_the_first_of_a_store_counts() -> None:
    store = Store()
    store.layer("a", size=1)
    store.layer("a", size=2)
    store.layer("a", size=3, store=1)
    snapshot = store.snapshot()
    assert [layer.size for layer in snapshot.layers] == [1, 3]
    assert snapshot.layer_by_id[layer_id("a")].size == 1
    assert [flaw.name for flaw in snapshot.flaws] == ["DuplicateLayer"]


def test_a_very_deep_chain_is_built_and_dropped_without_recursion() -> None:
    store = Store()
    for number in range(20_000):
        store.layer(str(number), str(number - 1) if number else None, size=1)
    store.image("i", layer="19999", config=config())
    snapshot = store.snapshot()
    assert len(snapshot.images[0].layers) == 20_000
    assert snapshot.images[0].size == 20_010
    assert repr(snapshot.images[0])
    del snapshot


def test_the_forest_and_untouched_layers_are_taken_over_where_no_layer_changed() -> None:
    store = Store()
    store.layer("a")
    store.layer("b")
    store.image("i", layer="a", config=config())
    first = store.snapshot()
    store.image("j", layer="b", config=config())
    second = store.snapshot(first)
    assert second.forest is first.forest
    assert second.layers[0] is first.layers[0]
    assert second.layers[1].images == (image_id("j"),)
    store.layer("c", "b")
    third = store.snapshot(second)
    assert third.forest is not second.forest
    assert third.layers[1].children == (layer_id("c"),)
