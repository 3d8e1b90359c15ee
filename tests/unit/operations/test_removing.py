"""podman's decision table for names that are to go, and what goes along."""

from __future__ import annotations

import pytest
from msgspec import structs

from storaged.operations.removal_request import RequestedName, everything
from storaged.operations.removals import Batch
from storaged.operations.removing import Removing, remove
from storaged.store.changes import Change
from storaged_client.contract.errors import ImageUnknown, InvalidName
from tests.support.applying import apply
from tests.support.stores import AMD64, HERE, Store, config, digest_of, family, image_id, layer_id

PODMANS = '{"image-name":"x","name":"c","image-id":"y"}'


def decided(
    store: Store, *names: str, view=HERE, most: int | None = None, **asked: bool
) -> tuple[Batch[RequestedName], Change]:
    wanted = [RequestedName(name=name) for name in names]
    planned = remove(store.snapshot(), wanted, Removing(**asked), view, most=most)
    apply(store, planned.change)
    return planned.result, planned.change


def gone(done: Batch[RequestedName]) -> list[str]:
    return [removal.image.id for removal in done.removals]


def errors(done: Batch[RequestedName]) -> list[tuple[str | None, str]]:
    return [(refusal.name, type(refusal.error).__name__) for refusal in done.refused]


def untagged(done: Batch[RequestedName]) -> list[str]:
    return [each.name for each in done.untagged]


def named(*names: str) -> Store:
    store = Store()
    store.layer("one")
    store.image("a", names, layer="one", config=config(("a",)))
    return store


TWO = ("localhost/a:2", "localhost/a:1")


ONE, REMOVED, UNTAGGED = ("localhost/a:1",), True, False
A = image_id("a")
DIGEST = digest_of("a")


@pytest.mark.parametrize(
    ("names", "asked", "force", "outcome", "taken"),
    [
        (TWO, ["a:1"], False, UNTAGGED, ["localhost/a:1"]),
        (TWO, ["a:1"], True, UNTAGGED, ["localhost/a:1"]),
        (TWO, ["a:1", "localhost/a:1", "a:1"], False, UNTAGGED, ["localhost/a:1"]),
        (ONE, ["a:1"], False, REMOVED, ["localhost/a:1"]),
        (TWO, ["a:1", "a:2"], False, REMOVED, ["localhost/a:1", "localhost/a:2"]),
        (TWO, ["a:1", A], False, REMOVED, ["localhost/a:1", "localhost/a:2"]),
        (TWO, [A], True, REMOVED, [*TWO]),
        (TWO, [A[:12]], True, REMOVED, [*TWO]),
        (TWO, [DIGEST], True, REMOVED, [*TWO]),
        (TWO, [f"localhost/a@{DIGEST}"], False, REMOVED, [*TWO]),
        (("quay.io/x:1", *TWO), [f"localhost/a@{DIGEST}"], False, UNTAGGED, [*TWO]),
        ((), [A[:12]], False, REMOVED, []),
    ],
)
def test_names_are_taken_and_with_the_last_one_the_image(
    names: tuple[str, ...], asked: list[str], force: bool, outcome: bool, taken: list[str]
) -> None:
    done, change = decided(named(*names), *asked, force=force)
    assert (gone(done), untagged(done), errors(done)) == ([A] if outcome else [], taken, [])
    if outcome is UNTAGGED:
        left = tuple(name for name in names if name not in taken)
        assert (change.edits[0].members["names"], change.layers) == (left, ())
    else:
        assert not change.edits
        assert change.layers == (layer_id("one"),)


def test_an_image_that_stays_is_told_with_its_reasons() -> None:
    done, change = decided(named(*TWO), "a:1")
    assert change.edits[0].members["names-history"] == ("localhost/a:2", "localhost/a:1")
    (kept,) = done.kept
    assert (kept.names, [reason.name for reason in kept.reasons]) == (("localhost/a:2",), ["localhost/a:2"])


def test_a_removal_says_why_and_what_it_freed() -> None:
    done, _ = decided(named("localhost/a:1"), "a:1")
    assert (done.removals[0].freed.size, done.removals[0].reason.code) == (110, "requested")


@pytest.mark.parametrize(("address", "word"), [(A, "ID"), (A[:12], "ID"), (DIGEST, "digest")])
def test_an_id_or_a_digest_needs_force_where_there_are_several_names(address: str, word: str) -> None:
    done, change = decided(named(*TWO), address)
    assert errors(done) == [(address, "MultipleNames")]
    assert f"by {word} with more than one tag ([localhost/a:2 localhost/a:1])" in done.refused[0].error.message
    assert change.empty


def test_two_digits_of_an_id_remove_nothing() -> None:
    done, change = decided(named(), A[:2])
    assert isinstance(done.refused[0].error, InvalidName)
    assert change.empty


def test_a_short_name_removes_nothing_while_registries_conf_cannot_be_read() -> None:
    view = structs.replace(HERE, short_name_doubts=("/etc/containers/registries.conf: line 3",))
    for name in ("a:1", image_id("a")[:12], f"a@{digest_of('a')}"):
        done, change = decided(named("localhost/a:1"), name, view=view)
        assert errors(done) == [(name, "InvalidName")]
        assert change.empty
    for name in ("localhost/a:1", image_id("a"), digest_of("a"), f"localhost/a@{digest_of('a')}"):
        assert gone(decided(named("localhost/a:1"), name, view=view)[0]) == [image_id("a")]


def test_one_failure_hinders_no_other_and_the_unknown_can_be_ignored() -> None:
    store = named("localhost/a:1")
    store.image("b", ("localhost/b:1",), config=config(("b",)))
    store.container("c", "b", metadata=PODMANS)
    done, _ = decided(store, "nobody", "b:1", "UPPER", "a:1")
    assert gone(done) == [image_id("a")]
    assert errors(done) == [("nobody", "ImageUnknown"), ("UPPER", "InvalidName"), ("b:1", "ImageInUse")]
    done, _ = decided(store, "nobody", "b:1", "a:1", ignore=True)
    assert errors(done) == [("b:1", "ImageInUse")]


def test_an_image_in_use_keeps_its_last_name_and_the_container_is_named_with_the_command() -> None:
    store = named(*TWO)
    store.container("work-working-container", "a", volatile=True)
    done, change = decided(store, "a:1", "a:2")
    assert (untagged(done), errors(done)) == (["localhost/a:1"], [("a:2", "ImageInUse")])
    assert change.edits[0].members["names"] == ("localhost/a:2",)
    error = done.refused[0].error
    assert error.message.startswith("image used by ")
    assert (
        "image is in use by a container: consider listing external containers and force-removing image: it is "
        in error.message
    )
    assert error.data["containers"][0]["command"] == "buildah rm work-working-container"


def test_force_takes_containers_of_other_tools_along_but_never_podmans() -> None:
    store = named("localhost/a:1")
    store.layer("rw", "one", size=7)
    external = store.container("b", "a", layer="rw", volatile=True)
    done, change = decided(store, "a:1", force=True)
    assert (gone(done), change.containers) == ([image_id("a")], (external,))
    assert change.layers == (layer_id("rw"), layer_id("one"))
    assert done.removals[0].freed.size == 117
    store.container("p", "a", metadata=PODMANS)
    done, change = decided(store, "a:1", force=True)
    assert errors(done) == [("a:1", "ImageInUse")]
    assert "`podman rm p`" in done.refused[0].error.message
    assert change.empty


def test_a_lease_stops_the_last_name_and_no_other() -> None:
    view = structs.replace(HERE, leases={image_id("a"): ("lease-1",)})
    done, _ = decided(named("localhost/a:1"), "a:1", view=view, force=True)
    assert errors(done) == [("a:1", "Leased")]
    done, _ = decided(named(*TWO), "a:1", view=view)
    assert (untagged(done), errors(done)) == (["localhost/a:1"], [])


def test_a_read_only_image_is_refused() -> None:
    store = Store()
    store.image("far", ("localhost/far:1",), config=config(), store=1)
    done, change = decided(store, "far:1", force=True)
    assert errors(done) == [("far:1", "ReadOnlyImage")]
    assert change.empty
    assert everything(store.snapshot()) == ()


def test_dangling_ancestors_go_along_each_with_its_own_bytes() -> None:
    store = family()
    done, change = decided(store, image_id("label"))
    assert gone(done) == [image_id("label"), image_id("app")]
    assert [removal.reason.code for removal in done.removals] == ["requested", "ancestor"]
    assert done.removals[1].reason.image == image_id("label")
    assert [removal.freed.size for removal in done.removals] == [10, 110]
    assert change.layers == (layer_id("two"),)
    done, change = decided(store, image_id("label"), no_prune=True)
    assert gone(done) == [image_id("label")]
    assert change.layers == ()


def test_what_holds_an_ancestor_is_told_and_is_no_failure() -> None:
    for hold in ("container", "lease"):
        store = family()
        view = HERE
        if hold == "container":
            store.container("c", "app", metadata=PODMANS)
        else:
            view = structs.replace(HERE, leases={image_id("app"): ("l",)})
        done, _ = decided(store, image_id("label"), view=view)
        assert (gone(done), done.refused) == ([image_id("label")], ())
        (kept,) = done.kept
        assert (kept.id, [reason.code for reason in kept.reasons]) == (image_id("app"), [hold])


def test_an_ancestor_that_a_list_names_by_any_digest_stays() -> None:
    store = family()
    store.images.clear()
    store.contents.clear()
    store.image("base", layer="one", config=config(("a",), ("d1",)), digests=("m1", "m2"))
    store.image("app", layer="two", config=config(("a", "b"), ("d1", "d2")))
    assert gone(decided(store, image_id("app"))[0]) == [image_id("app"), image_id("base")]
    store.list("l", instances=(("m2", AMD64),))
    done, change = decided(store, image_id("app"))
    assert gone(done) == [image_id("app")]
    assert change.evidence == ()


def test_the_lists_that_stay_are_evidence_as_soon_as_an_ancestor_goes() -> None:
    store = family()
    store.list("l", ("localhost/l:1",))
    _, change = decided(store, image_id("label"))
    assert [(record.id, where) for record, where in change.evidence] == [(image_id("l"), 0)]


def test_an_unreadable_list_keeps_ancestors_but_nothing_that_is_named() -> None:
    store = family()
    store.list("torn", ("localhost/torn:1",), unreadable=True)
    done, change = decided(store, image_id("label"), "torn:1")
    assert gone(done) == [image_id("label"), image_id("torn")]
    assert change.evidence == ()


def test_a_list_is_removed_itself_and_its_instance_stays() -> None:
    store = named("localhost/a:1")
    store.list("l", ("localhost/l:1",), instances=(("a", AMD64),))
    done, _ = decided(store, "l:1")
    assert (gone(done), untagged(done)) == ([image_id("l")], ["localhost/l:1"])


AS_PODMAN = structs.replace(HERE, podman_lists=True)


def test_as_podman_the_instance_goes_with_its_only_name_and_the_list_stays() -> None:
    for name in ("l:1", image_id("l")):
        store = named("localhost/a:1")
        store.list("l", ("localhost/l:1",), instances=(("a", AMD64),))
        done, change = decided(store, name, view=AS_PODMAN)
        assert (gone(done), untagged(done), errors(done)) == ([image_id("a")], ["localhost/a:1"], [])
        assert change.removed == (image_id("a"),)


@pytest.mark.parametrize("names", [(), TWO])
def test_as_podman_a_list_whose_instance_has_no_or_several_names_is_a_tag_not_known(names: tuple[str, ...]) -> None:
    store = named(*names)
    store.list("l", ("localhost/l:1",), instances=(("a", AMD64),))
    for force in (False, True):
        done, change = decided(store, "l:1", view=AS_PODMAN, force=force)
        assert (errors(done), change) == ([("l:1", "TagUnknown")], Change())


def test_as_podman_a_list_without_a_local_instance_goes_itself() -> None:
    store = named("localhost/a:1")
    store.list("l", ("localhost/l:1",), instances=(("elsewhere", AMD64),))
    done, _ = decided(store, "l:1", view=AS_PODMAN)
    assert gone(done) == [image_id("l")]


def test_as_podman_manifest_rm_still_means_the_list() -> None:
    store = named("localhost/a:1")
    store.list("l", ("localhost/l:1",), instances=(("a", AMD64),))
    done, _ = decided(store, "l:1", view=AS_PODMAN, manifest=True)
    assert gone(done) == [image_id("l")]


def test_only_lists_are_meant_by_manifest_rm() -> None:
    store = named("localhost/a:1")
    store.list("torn", ("localhost/torn:1",), unreadable=True)
    done, _ = decided(store, "a:1", "torn:1", "nobody", manifest=True)
    assert errors(done) == [
        ("a:1", "NotAManifestList"),
        ("torn:1", "ImageDamaged"),
        ("nobody", "ImageUnknown"),
    ]


def test_everything_goes_in_one_call_parents_before_children_or_after() -> None:
    store = family()
    store.image("far", ("localhost/far:1",), config=config(), store=1)
    wanted = everything(store.snapshot())
    planned = remove(store.snapshot(), wanted, Removing(), HERE)
    assert gone(planned.result) == [image_id("base"), image_id("app"), image_id("label")]
    assert planned.change.layers == (layer_id("two"), layer_id("one"))
    after = apply(store, planned.change)
    assert [row.record.id for row in after.images] == [image_id("far")]
    assert after.layers == []


def test_rounds_take_few_layers_each_and_what_went_as_an_ancestor_is_done() -> None:
    store = family()
    names = [image_id("label"), "base:latest", image_id("app")]
    done, change = decided(store, *names, most=1)
    assert gone(done) == [image_id("label"), image_id("app"), image_id("base")][:2]
    assert change.layers == (layer_id("two"),)
    later = apply(store, change)
    rest = remove(later.snapshot(), done.rest, Removing(), HERE, most=1, gone=gone(done)).result
    assert (gone(rest), rest.refused, rest.rest) == ([image_id("base")], (), ())


def test_a_name_that_leads_elsewhere_in_a_later_round_removes_nothing() -> None:
    store = named("localhost/a:1")
    store.layer("other")
    store.image("b", ("localhost/b:1",), layer="other", config=config(("b",)))
    done, change = decided(store, "a:1", "b:1", most=1)
    assert [item.name for item in done.rest] == ["b:1"]
    later = apply(store, change)
    later.image("c", ("localhost/b:1",), config=config(("c",)))
    planned = remove(later.snapshot(), done.rest, Removing(), HERE)
    assert gone(planned.result) == []
    assert isinstance(planned.result.refused[0].error, ImageUnknown)


def test_layers_that_anything_else_needs_stay() -> None:
    for hold in ("image", "mapped", "half made", "container", "child", "incomplete"):
        store = named("localhost/a:1")
        match hold:
            case "image":
                store.image("b", ("localhost/b:1",), layer="one", config=config(("b",)))
            case "mapped":
                store.image("b", ("localhost/b:1",), mapped=("one",), config=config(("b",)))
            case "half made":
                store.image("b", layer="one", half_made=True)
            case "container":
                store.container("c", layer="one")
            case "child":
                store.layer("two", "one")
            case "incomplete":
                store.layer("two", "one", incomplete=True)
        done, change = decided(store, "a:1")
        assert gone(done) == [image_id("a")]
        assert (change.layers, done.removals[0].freed.size) == ((), 10), hold


def test_mapped_copies_of_the_top_layer_go_before_it() -> None:
    store = Store()
    store.layer("base")
    store.layer("top", "base")
    store.layer("copy", "base")
    store.image("a", ("localhost/a:1",), layer="top", mapped=("copy",), config=config())
    _, change = decided(store, "a:1")
    assert change.layers == (layer_id("copy"), layer_id("top"), layer_id("base"))


def test_layers_of_an_additional_store_stay_there() -> None:
    store = Store()
    store.layer("far", store=1)
    store.layer("near", "far")
    store.image("a", ("localhost/a:1",), layer="near", config=config())
    _, change = decided(store, "a:1")
    assert change.layers == (layer_id("near"),)


def test_an_unknown_size_makes_the_freed_bytes_unknown() -> None:
    store = Store()
    store.layer("one", size=None)
    store.image("a", ("localhost/a:1",), layer="one", config=config())
    done, _ = decided(store, "a:1")
    assert done.removals[0].freed.size is None


def test_a_cycle_of_layers_ends() -> None:
    store = Store()
    store.layer("x", "y")
    store.layer("y", "x")
    store.image("a", ("localhost/a:1",), layer="x", config=config())
    done, change = decided(store, "a:1")
    assert (gone(done), change.layers) == ([image_id("a")], ())
