"""Names given and taken: order, history, stealing, and what is refused."""

from __future__ import annotations

import pytest
from msgspec import structs

from storaged.operations.tagging import tag, untag
from storaged.snapshot.model import Image
from storaged_client.contract.errors import DataUnknown, ImageDamaged, ImageUnknown, InvalidName, StoreBusy, TagUnknown
from storaged_client.contract.types import Moved, Tagged
from tests.support.applying import apply
from tests.support.stores import AMD64, HERE, Store, config, image_id


def nothing(image: Image, key: str) -> bytes:
    raise DataUnknown(f"{key} was asked for")


def after_tag(store: Store, name: str, *tags: str, view=HERE) -> tuple[Store, Tagged]:
    planned = tag(store.snapshot(), name, tags, view, nothing)
    return apply(store, planned.change), planned.result


def after_untag(store: Store, name: str, *tags: str, view=HERE) -> tuple[Store, Tagged]:
    planned = untag(store.snapshot(), name, tags, view, nothing)
    return apply(store, planned.change), planned.result


def record(store: Store, name: str):
    return next(row.record for row in store.images if row.record.id == image_id(name))


def named(*names: str) -> Store:
    store = Store()
    store.image("a", names, config=config())
    return store


def test_a_new_name_comes_first_and_the_history_has_the_oldest_first() -> None:
    store, result = after_tag(named("localhost/a:1"), "a:1", "b", "quay.io/c:2")
    assert result.names == ("quay.io/c:2", "localhost/b:latest", "localhost/a:1")
    assert record(store, "a").names == result.names
    assert record(store, "a").names_history == ("localhost/a:1", "localhost/b:latest", "quay.io/c:2")
    assert (result.changed, result.moved_from) == (True, ())


def test_names_get_podmans_full_form() -> None:
    _, result = after_tag(named("localhost/a:1"), "a:1", "docker.io/x", "ns/y:2")
    assert result.names[:2] == ("localhost/ns/y:2", "docker.io/library/x:latest")


def test_a_name_given_again_moves_to_the_front_and_one_that_is_there_changes_nothing() -> None:
    store = named("localhost/a:2", "localhost/a:1")
    moved, result = after_tag(store, "a:2", "a:1")
    assert (result.changed, result.names) == (True, ("localhost/a:1", "localhost/a:2"))
    planned = tag(moved.snapshot(), "a:2", ("a:1",), HERE, nothing)
    assert planned.change.empty
    assert not planned.result.changed


def test_tag_steals_a_name_and_says_from_whom() -> None:
    store = named("localhost/a:1")
    store.image("b", ("localhost/b:2", "localhost/b:1"), config=config(("b",)))
    store, result = after_tag(store, "a:1", "b:1")
    assert result.moved_from == (Moved(name="localhost/b:1", image=image_id("b")),)
    assert record(store, "b").names == ("localhost/b:2",)
    assert record(store, "b").names_history == ("localhost/b:2", "localhost/b:1")
    assert store.snapshot().by_name["localhost/b:1"].id == image_id("a")


def test_the_last_name_can_be_stolen_too_and_the_member_is_then_left_out() -> None:
    store = named("localhost/a:1")
    store.image("b", ("localhost/b:1",), config=config(("b",)))
    planned = tag(store.snapshot(), "a:1", ("b:1",), HERE, nothing)
    (loser, _) = planned.change.edits
    assert loser.members == {"names": None}
    assert apply(store, planned.change).snapshot().by_id[image_id("b")].dangling


def test_a_name_is_stolen_from_a_half_made_image_which_no_look_up_finds() -> None:
    store = named("localhost/a:1")
    store.image("half", ("localhost/new:1",), half_made=True)
    store, result = after_tag(store, "a:1", "new:1")
    assert result.moved_from == (Moved(name="localhost/new:1", image=image_id("half")),)
    assert record(store, "half").names is None


@pytest.mark.parametrize("wrong", ["sha256:" + "a" * 64, "x@sha256:" + "a" * 64, "UPPER", "a b", ""])
def test_a_digest_or_no_reference_is_refused_and_then_no_name_is_given(wrong: str) -> None:
    with pytest.raises(InvalidName):
        tag(named("localhost/a:1").snapshot(), "a:1", ("good", wrong), HERE, nothing)


def test_the_name_of_a_list_means_the_list_and_never_its_instance() -> None:
    store = named("localhost/a:1")
    store.list("l", ("localhost/l:1",), instances=(("a", AMD64),))
    store, result = after_tag(store, "l:1", "l:2")
    assert result.id == image_id("l")
    store, result = after_untag(store, "l:2")
    assert (result.id, result.names) == (image_id("l"), ())
    assert record(store, "a").names == ("localhost/a:1",)


def test_untag_takes_the_names_given_or_all_and_remembers_the_last_dropped_first() -> None:
    start = named("localhost/c:1", "localhost/b:1", "localhost/a:1")
    store, _ = after_tag(start, "a:1", "c:1")
    one, result = after_untag(store, "a:1", "b:1", "a:1")
    assert result.names == ("localhost/c:1",)
    assert record(one, "a").names_history == ("localhost/c:1", "localhost/a:1", "localhost/b:1")
    none, result = after_untag(store, "a:1")
    assert (result.names, result.changed) == ((), True)
    assert record(none, "a").names is None
    assert record(none, "a").names_history == ("localhost/a:1", "localhost/b:1", "localhost/c:1")


def test_a_name_that_is_not_borne_keeps_all_of_them() -> None:
    with pytest.raises(TagUnknown, match=r"^localhost/x:latest: tag not known$"):
        untag(named("localhost/a:2", "localhost/a:1").snapshot(), "a:1", ("a:1", "x"), HERE, nothing)


def test_untag_of_a_nameless_image_changes_nothing() -> None:
    planned = untag(named().snapshot(), image_id("a"), (), HERE, nothing)
    assert planned.change.empty
    assert not planned.result.changed


def test_names_with_digests_and_names_stored_in_no_full_form_can_be_taken() -> None:
    digested = "localhost/a@sha256:" + "d" * 64
    _, result = after_untag(named(digested, "odd:1"), image_id("a"), digested, "odd:1")
    assert result.names == ()
    with pytest.raises(InvalidName, match="untag by digest not supported"):
        untag(named("localhost/a:1").snapshot(), "a:1", ("sha256:" + "d" * 64,), HERE, nothing)


def test_untag_of_a_short_name_is_refused_while_registries_conf_cannot_be_read() -> None:
    doubtful = structs.replace(HERE, short_name_doubts=("/etc/containers/registries.conf: line 3",))
    store = named("localhost/a:2", "localhost/a:1")
    for name in ("a:1", image_id("a")[:12]):
        with pytest.raises(InvalidName, match=r"registries.conf.*full name"):
            untag(store.snapshot(), name, ("a:1",), doubtful, nothing)
    for name in ("localhost/a:1", image_id("a"), f"sha256:{image_id('a')}"):
        _, result = after_untag(store, name, "a:1", view=doubtful)
        assert result.names == ("localhost/a:2",)


def test_an_unknown_image_is_an_error() -> None:
    with pytest.raises(ImageUnknown):
        tag(Store().snapshot(), "x", ("y",), HERE, nothing)


def test_an_image_of_an_additional_store_is_copied_with_all_its_names_and_data() -> None:
    store = Store()
    store.image("far", ("localhost/far:2", "localhost/far:1"), config=config(), store=1, layer="one")
    store.image("near", ("localhost/far:2", "localhost/near:1"), config=config(("n",)))
    read: list[str] = []

    def data(image: Image, key: str) -> bytes:
        read.append(key)
        return b"{}"

    planned = tag(store.snapshot(), "far:1", ("near:1",), HERE, data)
    (copy,) = planned.change.added
    assert copy.members["id"] == image_id("far")
    assert copy.members["names"] == ("localhost/near:1", "localhost/far:1")
    assert copy.members["created"] == "2026-01-01T00:00:00Z"
    assert [item.key for item in copy.items] == read == ["manifest"]
    assert planned.result.moved_from == (Moved(name="localhost/near:1", image=image_id("near")),)
    after = apply(store, planned.change).snapshot()
    assert after.by_name["localhost/far:2"].id == image_id("near")
    assert after.by_name["localhost/near:1"].id == image_id("far")


def test_an_image_that_cannot_be_read_whole_is_not_copied() -> None:
    store = Store()
    store.image("far", ("localhost/far:1",), config=config(), store=1)

    def torn(image: Image, key: str) -> bytes:
        raise ImageDamaged(f"{key} is torn")

    with pytest.raises(ImageDamaged):
        tag(store.snapshot(), "far:1", ("x",), HERE, torn)


def test_ten_thousand_names_take_time_that_grows_with_them_alone() -> None:
    store = named(*(f"localhost/a:{number}" for number in range(10_000)))
    tags = tuple(f"localhost/b:{number}" for number in range(10_000))
    _, result = after_tag(store, image_id("a"), *tags)
    assert len(result.names) == 20_000
    _, result = after_untag(store, image_id("a"))
    assert result.names == ()


def test_a_name_that_two_other_images_bear_is_taken_from_both() -> None:
    store = named("localhost/a:1")
    store.image("b", ("localhost/n:1",), config=config(("b",)))
    store.image("c", ("localhost/c:1", "localhost/n:1"), config=config(("c",)))
    store, result = after_tag(store, "a:1", "n:1")
    assert [moved.image for moved in result.moved_from] == [image_id("b"), image_id("c")]
    assert (record(store, "b").names, record(store, "c").names) == (None, ("localhost/c:1",))


def test_a_name_given_again_is_taken_from_another_that_bears_it_too() -> None:
    store, _ = after_tag(named("localhost/a:1"), "a:1", "n:1")
    store.image("b", ("localhost/n:1",), config=config(("b",)))
    store, result = after_tag(store, "a:1", "n:1")
    assert (result.changed, result.moved_from) == (True, (Moved(name="localhost/n:1", image=image_id("b")),))
    assert record(store, "b").names is None


def test_an_image_of_an_additional_store_that_another_tool_is_copying_is_left_to_it() -> None:
    store = Store()
    store.image("a", config=config(), half_made=True)
    store.image("a", ("localhost/a:1",), config=config(), store=1)
    with pytest.raises(StoreBusy, match="try again"):
        tag(store.snapshot(), "a:1", ("n:1",), HERE, nothing)


@pytest.mark.parametrize("name", ["[::1]:5000/x", "[fe80::1]/x:1", "quay.io/" + "x" * 248])
def test_a_name_that_would_stop_podmans_listings_is_refused(name: str) -> None:
    with pytest.raises(InvalidName, match="podman"):
        tag(named("localhost/a:1").snapshot(), "a:1", (name,), HERE, nothing)


def test_the_longest_repository_that_podman_takes_is_taken() -> None:
    _, result = after_tag(named("localhost/a:1"), "a:1", "quay.io/" + "x" * 247)
    assert result.names[0] == "quay.io/" + "x" * 247 + ":latest"


def test_untag_of_a_list_takes_the_lists_names_or_as_podman_those_of_its_instance() -> None:
    for view, loser in ((HERE, "l"), (structs.replace(HERE, podman_lists=True), "a")):
        store = named("localhost/a:1")
        store.list("l", ("localhost/l:1",), instances=(("a", AMD64),))
        _, result = after_untag(store, "l:1", view=view)
        assert (result.id, result.names) == (image_id(loser), ())


def test_as_podman_a_list_without_a_local_instance_cannot_be_untagged() -> None:
    store = named("localhost/a:1")
    store.list("l", ("localhost/l:1",), instances=(("elsewhere", AMD64),))
    with pytest.raises(ImageUnknown, match="no instance of it"):
        after_untag(store, "l:1", view=structs.replace(HERE, podman_lists=True))
