"""``images.history``: podman's walk and arithmetic, without its siblings."""

from __future__ import annotations

from typing import Any

import pytest

from storaged.operations.image_history import history
from storaged.snapshot.sizes import KnownSizes
from storaged_client.contract.errors import ImageDamaged
from tests.support.stores import Store, config, family, image_id, layer_id


def blob(*instructions: str) -> dict[str, Any]:
    """A configuration; a dash before an instruction says that it made no layer."""
    return {
        "history": [
            {"created": "2026-01-01T00:00:00Z", "created_by": text.lstrip("-"), "empty_layer": text.startswith("-")}
            for text in instructions
        ]
    }


def ids(store: Store, name: str, *instructions: str) -> list[str | None]:
    snapshot = store.snapshot()
    return [row.id for row in history(snapshot, snapshot.by_id[image_id(name)], blob(*instructions))]


def test_each_row_bears_the_image_that_the_build_had_made_by_then() -> None:
    store = family()
    assert ids(store, "label", "a", "b", "-c") == [image_id("label"), image_id("app"), image_id("base")]
    assert ids(store, "app", "a", "b") == [image_id("app"), image_id("base")]


def test_a_sibling_on_the_same_layer_is_never_shown() -> None:
    store = Store()
    store.layer("one")
    store.image("first", ("localhost/first:1",), layer="one", config=config(("x",), ("d1",)))
    store.image("second", ("localhost/second:1",), layer="one", config=config(("y",), ("d1",)))
    snapshot = store.snapshot()
    (row,) = history(snapshot, snapshot.by_id[image_id("second")], blob("y"))
    assert (row.id, row.tags) == (image_id("second"), ("localhost/second:1",))


def test_a_chain_that_breaks_has_no_history_however_few_entries_there_are() -> None:
    store = Store()
    store.layer("upper", "gone")
    store.image("i", layer="upper", config=config())
    with pytest.raises(ImageDamaged, match=f"its parent {layer_id('gone')} is not in the store: layer not known"):
        ids(store, "i", "-a")


def test_rows_below_the_last_known_parent_have_no_image() -> None:
    store = Store()
    store.layer("one")
    store.layer("two", "one")
    store.layer("three", "two")
    store.image("base", ("localhost/base:1",), layer="one", config=config(("a",), ("d1",)))
    store.image("squashed", layer="three", config=config(("a", "b", "c"), ("d1", "d2", "d3")))
    assert ids(store, "squashed", "a", "b", "c") == [image_id("squashed"), None, None]


def test_tags_are_those_of_the_image_of_the_row_only() -> None:
    snapshot = family().snapshot()
    rows = history(snapshot, snapshot.by_id[image_id("label")], blob("a", "b", "-c")).history
    assert [row.tags for row in rows] == [(), (), ("localhost/base:latest",)]


def test_an_entry_takes_a_layer_unless_it_is_empty() -> None:
    store = Store()
    store.layer("one", size=7)
    store.layer("two", "one", size=9)
    store.image("i", layer="two", config=config())
    snapshot = store.snapshot()
    rows = history(snapshot, snapshot.by_id[image_id("i")], blob("-z", "a", "-b", "c", "-d"))
    assert [(row.created_by, row.size, row.empty_layer) for row in rows] == [
        ("d", 0, True),
        ("c", 9, False),
        ("b", 0, True),
        ("a", 7, False),
        ("z", 0, True),
    ]


def test_an_unknown_layer_size_is_null_until_it_is_measured() -> None:
    store = Store()
    store.layer("one", size=None)
    store.image("i", layer="one", config=config())
    for known, size in ((KnownSizes(), None), (KnownSizes(layers={layer_id("one"): 12}), 12)):
        snapshot = store.snapshot(known_sizes=known)
        (row,) = history(snapshot, snapshot.by_id[image_id("i")], blob("a"))
        assert row.size == size


@pytest.mark.parametrize("instructions", [("a", "b", "c"), ("a", "-x", "b", "c")])
def test_more_entries_than_layers_are_damage(instructions: tuple[str, ...]) -> None:
    store = family()
    with pytest.raises(ImageDamaged, match="no layer is left"):
        ids(store, "app", *instructions)


def test_a_lost_top_layer_is_damage() -> None:
    store = Store()
    store.image("i", layer="gone", config=config())
    with pytest.raises(ImageDamaged, match="top layer"):
        ids(store, "i", "-a")


def test_an_image_without_configuration_is_damage() -> None:
    snapshot = family().snapshot()
    with pytest.raises(ImageDamaged, match="configuration"):
        history(snapshot, snapshot.by_id[image_id("app")], None)


def test_an_image_without_layers_has_rows_of_no_size() -> None:
    store = Store()
    store.image("parent", config=config(("a",)))
    store.image("empty", config=config(("a", "b")))
    assert ids(store, "empty", "-a", "-b") == [image_id("empty"), image_id("parent")]


@pytest.mark.parametrize("entries", [None, 5, [None], ["text"], [{"created_by": 5, "empty_layer": "yes"}]])
def test_nonsense_in_a_history_is_an_entry_without_words_or_none(entries: Any) -> None:
    snapshot = family().snapshot()
    rows = history(snapshot, snapshot.by_id[image_id("app")], {"history": entries}).history
    assert len(rows) == (len(entries) if isinstance(entries, list) else 0)
    assert all(row.created_by is None and not row.empty_layer for row in rows)
