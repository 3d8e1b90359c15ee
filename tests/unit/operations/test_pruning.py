"""What a prune lets go, what it keeps and why, and what it costs."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest
from msgspec import structs

from storaged.operations import pruning
from storaged.operations.pruning import Pruning, prune
from storaged.operations.removals import Batch
from storaged.store.changes import Change
from storaged.store.layout.records import ImageID
from storaged_client.contract.errors import InvalidParams
from tests.support.applying import apply
from tests.support.stores import AMD64, HERE, Store, config, family, image_id, layer_id

NOW = datetime(2026, 6, 1, tzinfo=UTC)
PODMANS = '{"image-name":"x","name":"c","image-id":"y"}'


def decided(
    store: Store, *filters: object, view=HERE, among=None, most: int | None = None, **asked: bool
) -> tuple[Batch[ImageID], Change]:
    wish = Pruning(filters=filters, now=NOW, **asked)
    planned = prune(store.snapshot(), wish, view, among=among, most=most)
    apply(store, planned.change)
    return planned.result, planned.change


def gone(done: Batch[ImageID]) -> list[str]:
    return [removal.image.id for removal in done.removals]


def ids(*names: str) -> list[str]:
    return [image_id(name) for name in names]


def codes(done: Batch[ImageID], name: str) -> list[str]:
    (kept,) = [kept for kept in done.kept if kept.id == image_id(name)]
    return [reason.code for reason in kept.reasons]


def test_a_chain_of_dangling_ancestors_goes_in_one_pass_up_to_the_first_that_is_named() -> None:
    done, change = decided(family())
    assert gone(done) == ids("label", "app")
    assert [removal.reason.code for removal in done.removals] == ["dangling", "ancestor"]
    assert [removal.freed.size for removal in done.removals] == [10, 110]
    assert change.layers == (layer_id("two"),)
    assert codes(done, "base") == ["named"]


def test_an_ancestor_with_another_child_stays() -> None:
    store = family()
    store.image("other", ("localhost/o:1",), layer="two", config=config(("a", "b", "d"), ("d1", "d2")))
    done, _ = decided(store)
    assert gone(done) == ids("label")
    assert codes(done, "app") == ["child"]


def test_twins_lose_their_last_child_at_the_same_time() -> None:
    store = family()
    store.image("twin", layer="two", config=config(("a", "b"), ("d1", "d2")))
    done, change = decided(store)
    assert gone(done) == ids("label", "app", "twin")
    assert change.layers == (layer_id("two"),)
    assert [removal.freed.size for removal in done.removals] == [10, 10, 110]


def test_the_last_list_that_goes_lets_its_instances_go_in_the_same_pass() -> None:
    store = family()
    store.list("l", instances=(("label", AMD64),))
    store.list("named", ("localhost/n:1",), instances=(("other", AMD64),))
    done, change = decided(store)
    assert gone(done) == ids("l", "label", "app")
    # A list that goes, too: by other bytes it has another digest, which a list that stays may name.
    assert [(record.id, where) for record, where in change.evidence] == [(image_id("l"), 0), (image_id("named"), 0)]
    store.list("named2", ("localhost/n:2",), instances=(("label", AMD64),))
    done, _ = decided(store)
    assert gone(done) == ids("l")
    assert codes(done, "label") == ["manifest_list"]
    (kept,) = [kept for kept in done.kept if kept.id == image_id("label")]
    assert kept.reasons[0].list == image_id("named2")


def test_a_list_that_is_in_an_additional_store_too_goes_on_protecting() -> None:
    store = family()
    store.list("l", instances=(("label", AMD64),))
    store.list("l", instances=(("label", AMD64),), store=1)
    done, change = decided(store)
    assert gone(done) == ids("l")
    assert [where for _, where in change.evidence] == [0, 1]


@pytest.mark.parametrize("external", [False, True])
def test_containers_keep_images_and_with_external_only_podmans_do(external: bool) -> None:
    store = family()
    store.layer("rw", "two", size=7)
    used = store.container("b", "label", layer="rw", volatile=True)
    done, change = decided(store, external=external)
    if external:
        assert gone(done) == ids("label", "app")
        assert (change.containers, change.layers) == ((used,), (layer_id("rw"), layer_id("two")))
        store.container("p", "label", metadata=PODMANS)
        done, change = decided(store, external=external)
        (kept,) = [kept for kept in done.kept if kept.id == image_id("label")]
        assert [reason.owner for reason in kept.reasons] == ["podman"]
    assert gone(done) == []
    assert change.empty
    assert codes(done, "label") == ["container"]
    assert codes(done, "app") == ["child"]


def test_a_lease_keeps_an_image_and_what_it_was_built_on() -> None:
    done, change = decided(family(), view=structs.replace(HERE, leases={image_id("label"): ("l",)}))
    assert change.empty
    assert (codes(done, "label"), codes(done, "app")) == (["lease"], ["child"])


def test_an_ancestor_in_use_stays_and_is_told_without_the_child_that_went() -> None:
    store = family()
    store.container("c", "app", metadata=PODMANS)
    done, _ = decided(store)
    assert gone(done) == ids("label")
    assert codes(done, "app") == ["container"]


def test_read_only_images_stay() -> None:
    store = Store()
    store.image("far", config=config(), store=1)
    done, change = decided(store)
    assert change.empty
    assert codes(done, "far") == ["read_only"]


@pytest.mark.parametrize("all_", [False, True])
def test_nothing_goes_while_something_that_may_be_a_list_cannot_be_read(all_: bool) -> None:
    store = family()
    store.list("torn", ("localhost/torn:1",), unreadable=True)
    done, change = decided(store, all=all_)
    assert change.empty
    assert codes(done, "label") == ["unreadable_evidence"]
    (kept,) = [kept for kept in done.kept if kept.id == image_id("label")]
    assert kept.reasons[0].command == f"storagectl rmi --force {image_id('torn')}"


def test_nothing_goes_from_a_state_read_while_a_writer_was_at_work() -> None:
    store = family()
    store.proven = False
    for all_ in (False, True):
        done, change = decided(store, all=all_)
        assert change.empty
        assert codes(done, "label") == ["unreadable_evidence"]


def test_what_an_unreadable_image_may_have_been_built_on_stays() -> None:
    store = family()
    store.image("broken", ("localhost/b:1",), layer="two")
    done, change = decided(store)
    assert change.empty
    assert codes(done, "label") == ["unreadable_evidence"]


def test_filters_bind_ancestors_too_and_say_so() -> None:
    store = Store()
    store.layer("one")
    store.image("parent", layer="one", config=config(("a",), labels={"keep": "yes"}))
    store.image("child", layer="one", config=config(("a", "b"), labels={"go": "yes"}))
    done, _ = decided(store, "label=go")
    assert gone(done) == ids("child")
    assert codes(done, "parent") == ["filtered"]
    assert gone(decided(store, "label!=keep")[0]) == ids("child")
    assert gone(decided(store)[0]) == ids("child", "parent")


def test_until_goes_back_from_the_time_of_the_request() -> None:
    store = Store()
    store.image("old", config=config(("a",)), created="2026-05-31T10:00:00Z")
    store.image("new", config=config(("b",)), created="2026-05-31T23:30:00Z")
    done, _ = decided(store, "until=1h")
    assert gone(done) == ids("old")
    assert codes(done, "new") == ["filtered"]
    with pytest.raises(InvalidParams) as caught:
        decided(store, "dangling=true", "until=never")
    assert caught.value.data["path"] == "$.filters[1].value"


def test_all_takes_every_image_without_containers_and_every_list() -> None:
    store = family()
    store.list("l", ("localhost/l:1",), instances=(("label", AMD64),))
    store.container("c", "app", metadata=PODMANS)
    done, change = decided(store, all=True)
    assert gone(done) == ids("base", "l", "label")
    assert {removal.reason.code for removal in done.removals} == {"unused"}
    assert [name.name for name in done.untagged] == ["localhost/base:latest", "localhost/l:1"]
    assert codes(done, "app") == ["container"]
    assert change.layers == ()


def test_all_keeps_what_a_list_names_that_stays() -> None:
    store = family()
    store.list("l", ("localhost/l:1",), instances=(("label", AMD64), ("base", AMD64)))
    done, _ = decided(store, "manifest=false", all=True)
    assert gone(done) == ids("app")
    assert codes(done, "l") == ["filtered"]
    assert codes(done, "label") == codes(done, "base") == ["manifest_list"]


def test_a_list_that_names_itself_goes_with_all_but_is_not_dangling() -> None:
    store = Store()
    store.list("l", ("localhost/l:1",), instances=(("empty list", AMD64),))
    assert gone(decided(store, all=True)[0]) == ids("l")
    store.images.clear()
    store.contents.clear()
    store.list("l", instances=(("empty list", AMD64),))
    done, _ = decided(store)
    assert gone(done) == []
    assert codes(done, "l") == ["manifest_list"]


def test_the_filter_dangling_stands_for_what_prune_would_ask_itself() -> None:
    store = family()
    store.image("loose", config=config(("x",)))
    assert gone(decided(store, "dangling=true", all=True)[0]) == ids("label", "app", "loose")
    done, _ = decided(store, "dangling=false")
    assert gone(done) == ids("base", "app")
    assert codes(done, "label") == codes(done, "loose") == ["filtered"]


def test_a_plan_lets_go_of_nothing_that_it_did_not_list_and_tells_what_changed() -> None:
    store = family()
    store.image("loose", config=config(("x",)))
    listed, _ = decided(store)
    assert listed.items == tuple(ids("label", "app", "loose"))
    store.image("late", config=config(("y",)))
    store.container("c", "loose", metadata=PODMANS)
    done, _ = decided(store, among=listed.items)
    assert gone(done) == ids("label", "app")
    assert [(kept.id, kept.reasons[0].code) for kept in done.changed] == [(image_id("loose"), "container")]
    assert not {image_id("late"), image_id("loose")} & {kept.id for kept in done.kept}


def test_rounds_are_whole_removals_and_the_rest_is_decided_anew() -> None:
    store = Store()
    for name in "abcde":
        store.layer(name)
        store.image(name, layer=name, config=config((name,)))
    done, change = decided(store, most=8)
    assert (gone(done), change.layers) == (ids("a", "b"), (layer_id("a"), layer_id("b")))
    assert done.rest == tuple(ids("c", "d", "e"))
    later = apply(store, change)
    later.container("k", "d", metadata=PODMANS)
    done, _ = decided(later, among=done.rest, most=8)
    assert (gone(done), done.rest) == (ids("c", "e"), ())
    assert [kept.id for kept in done.changed] == ids("d")


def test_reasons_of_one_code_are_told_in_part_where_there_are_many() -> None:
    store = family()
    for number in range(30):
        name = f"localhost/c:{number}"
        store.image(f"c{number}", (name,), layer="two", config=config(("a", "b", "c", "d"), ("d1", "d2")))
    done, _ = decided(store)
    assert codes(done, "label") == ["child"] * 10


def test_a_report_on_very_many_images_stays_short_enough_to_be_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pruning, "_MANY_REASONS", 20)
    store = Store()
    for number in range(6):
        store.image(
            f"i{number}", tuple(f"localhost/i{number}:{tag}" for tag in range(10)), config=config((str(number),))
        )
    done, _ = decided(store)
    assert [len(kept.reasons) for kept in done.kept] == [10, 10, 1, 1, 1, 1]


def steps(store: Store, **asked: bool) -> int:
    """Lines of Python run to decide."""
    snapshot = store.snapshot()
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        prune(snapshot, Pruning(now=NOW, **asked), HERE)
    finally:
        sys.settrace(before)
    return count


def crowd(kind: str, count: int) -> Store:
    store = Store()
    store.layer("shared")
    for number in range(count):
        name = str(number)
        match kind:
            case "one layer":
                store.image(name, layer="shared", config=config((name,)))
            case "own layers":
                store.layer(name, "shared")
                store.image(name, layer=name, config=config((name,)))
            case "twins":
                store.image(name, layer="shared", config=config(("x",) if number % 2 else ("x", "y")))
            case "lists":
                store.image(name, layer="shared", config=config((name,)))
                store.list(f"l{name}", ("localhost/l:1",) if number % 2 else (), instances=((name, AMD64),))
            case "chain":
                history = tuple(map(str, range(number + 1)))
                store.image(name, layer="shared", config=config(history))
    return store


@pytest.mark.parametrize("kind", ["one layer", "own layers", "twins", "lists", "chain"])
def test_the_cost_is_linear_in_what_is_considered(kind: str) -> None:
    small, large = (steps(crowd(kind, count)) for count in (50, 400))
    assert large < 8.6 * small


def test_a_layer_that_very_many_dangling_images_share_goes_with_the_last_round() -> None:
    store = crowd("one layer", 5_000)
    rounds: list[Change] = []
    among: tuple[ImageID, ...] | None = None
    while among is None or among:
        done, change = decided(store, among=among, most=2_000)
        store, among = apply(store, change), done.rest
        rounds.append(change)
    assert [len(change.removed) for change in rounds] == [2_000, 2_000, 1_000]
    assert [change.layers for change in rounds] == [(), (), (layer_id("shared"),)]
