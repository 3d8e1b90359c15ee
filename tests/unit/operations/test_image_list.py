import pytest

from storaged.operations.image_list import check_fields, sizes_pending, summary
from storaged_client.contract.errors import InvalidParams
from tests.support.stores import AMD64, Store, config, digest_of, family, image_id
from tests.unit.operations.asking import choose


def test_intermediate_images_are_left_out_unless_asked_for() -> None:
    store = family()
    assert choose(store, all=False) == ["base", "label"]
    assert choose(store) == ["base", "app", "label"]
    for spelling in ("intermediate=true", "intermediate=1", "intermediate!=false"):
        assert choose(store, spelling, all=False) == ["app"]
    assert choose(store, "intermediate=false", all=False) == ["base", "label"]
    assert choose(store, "intermediate!=true") == ["base", "label"]


def test_orders_are_podmans_and_stable() -> None:
    store = Store()
    store.image("a", ("q.io/z:2",), config=config(), data=5, created="2026-01-01T00:00:00.000000001Z")
    store.image("b", ("q.io/a:3", "q.io/x:1"), config=config(), data=None, created="2026-01-01T02:00:00+02:00")
    store.image("c", (), config=config(), data=5, created="2026-01-02T00:00:00Z")
    store.image("d", ("q.io/a:1",), config=config(), data=1, created="never")

    def order(sort: str) -> str:
        return "".join(choose(store, sort=sort))

    assert order("store") == "abcd"
    assert order("created") == "cabd"
    assert order("size") == "dacb"
    assert order("repository") == "cdba"
    assert order("tag") == "dabc"
    assert order("id") == "".join(sorted("abcd", key=image_id))
    with pytest.raises(InvalidParams) as caught:
        choose(store, sort="colour")
    assert caught.value.data["path"] == "$.sort"


def test_rows_equal_to_the_order_stay_in_that_of_the_store() -> None:
    store = Store()
    for name, tags in {"b": ("q.io/x:1",), "a": (), "d": ("q.io/x:1",), "c": ()}.items():
        store.image(name, tags, config=config())
    for sort, expected in {"created": "badc", "size": "badc", "repository": "acbd", "tag": "bdac"}.items():
        assert "".join(choose(store, sort=sort)) == expected, sort


def test_an_order_by_name_is_by_the_name_that_is_shown() -> None:
    store = Store()
    store.image("b", ("q.io/own.x/foo:1",), config=config())
    store.image("a", ("z.io/first:1", "own.x/foo:1"), config=config())
    assert choose(store, "reference=foo:1", sort="repository") == ["b", "a"]
    assert choose(store, "reference=own.x/foo:1", sort="repository") == ["a", "b"]


def test_fields_are_checked_and_named_once() -> None:
    assert check_fields(None) is None
    assert check_fields(("names", "id", "names")) == ("names", "id")
    with pytest.raises(InvalidParams) as caught:
        check_fields(("id", "Colour"))
    assert caught.value.data["path"] == "$.fields[1]"


def test_a_row_tells_what_the_snapshot_knows() -> None:
    store = family()
    store.list("list", ("localhost/l:1",), instances=(("app", AMD64),), digest="now")
    store.container("c", "app")
    snapshot = store.snapshot()
    row = summary(snapshot, snapshot.by_id[image_id("app")])
    assert (row.parent, row.children, row.containers) == (image_id("base"), 1, 1)
    assert (row.intermediate, row.dangling, row.manifest_list) == (True, False, False)
    assert (row.architecture, row.os, row.in_lists) == ("amd64", "linux", (image_id("list"),))
    listed = summary(snapshot, snapshot.by_id[image_id("list")])
    assert (listed.labels, listed.architecture, listed.manifest_list) == (None, None, True)
    assert listed.digest == digest_of("now")


def test_sizes_still_to_be_measured_are_counted_and_those_that_cannot_be_are_not() -> None:
    store = Store()
    store.layer("open", size=None)
    store.layer("lost", "nowhere", size=None)
    store.image("a", config=config(), data=None)
    store.image("b", config=config())
    store.image("c", layer="open", config=config())
    store.image("d", layer="lost", config=config())
    images = store.snapshot().images
    assert [image.size is None for image in images] == [True, False, True, True]
    assert sizes_pending(images) == 1
