import pytest

from storaged.errors import InvalidParams
from storaged.operations.listing import check_fields, select, sizes_pending, summary
from storaged_client.contract.params import ImagesList
from tests.unit.snapshot.stores import AMD64, Store, config, digest_of, family, image_id


def test_intermediate_images_are_left_out_unless_asked_for() -> None:
    snapshot = family().snapshot()

    def ids(**params: object) -> list[str]:
        return [image.id for image in select(snapshot, ImagesList(**params))]

    assert ids() == [image_id("base"), image_id("label")]
    assert ids(all=True) == [image_id("base"), image_id("app"), image_id("label")]
    for spelling in ("intermediate=true", "intermediate=1", "intermediate!=false"):
        assert ids(filters=(spelling,)) == [image_id("app")]
    assert ids(filters=("intermediate=false",)) == ids()
    assert ids(filters=("intermediate!=true",), all=True) == ids()


def test_orders_are_podmans_and_stable() -> None:
    store = Store()
    store.image("a", ("q.io/z:2",), config=config(), data=5, created="2026-01-01T00:00:00.000000001Z")
    store.image("b", ("q.io/a:3", "q.io/x:1"), config=config(), data=None, created="2026-01-01T02:00:00+02:00")
    store.image("c", (), config=config(), data=5, created="2026-01-02T00:00:00Z")
    store.image("d", ("q.io/a:1",), config=config(), data=1, created="never")
    snapshot = store.snapshot()

    def order(sort: str) -> str:
        known = {image_id(name): name for name in "abcd"}
        return "".join(known[image.id] for image in select(snapshot, ImagesList(sort=sort)))

    assert order("store") == "abcd"
    assert order("created") == "cabd"
    assert order("size") == "dacb"
    assert order("repository") == "cdba"
    assert order("tag") == "dabc"
    assert order("id") == "".join(sorted("abcd", key=image_id))
    with pytest.raises(InvalidParams) as caught:
        select(snapshot, ImagesList(sort="colour"))
    assert caught.value.evidence["path"] == "sort"


def test_fields_are_checked_and_named_once() -> None:
    assert check_fields(None) is None
    assert check_fields(("names", "id", "names")) == ("names", "id")
    with pytest.raises(InvalidParams) as caught:
        check_fields(("id", "Colour"))
    assert caught.value.evidence["path"] == "fields[1]"


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


def test_unknown_sizes_are_counted() -> None:
    store = Store()
    store.image("a", config=config(), data=None)
    store.image("b", config=config())
    assert sizes_pending(store.snapshot().images) == 1
