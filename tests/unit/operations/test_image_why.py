from attrs import evolve
from msgspec import structs

from storaged.operations.image_why import why
from storaged.store.layout.contents import ContentDamage
from storaged_client.contract.types import Why
from tests.support.stores import AMD64, HERE, Store, config, digest_of, family, image_id


def explained(store: Store, name: str, view=HERE) -> Why:
    snapshot = store.snapshot()
    return why(snapshot, snapshot.by_id[image_id(name)], view)


def test_a_dangling_image_has_no_reason_and_can_go() -> None:
    found = explained(family(), "label")
    assert (found.dangling, found.prunable, found.removable, found.reasons) == (True, True, True, ())


def test_names_and_children_are_told_one_by_one() -> None:
    found = explained(family(), "base")
    assert [reason.code for reason in found.reasons] == ["named", "child"]
    assert found.reasons[0].name == "localhost/base:latest"
    assert found.reasons[1].image == image_id("app")
    assert explained(family(), "app").intermediate


def test_a_list_is_named_with_the_digest_and_the_command() -> None:
    store = family()
    store.list("list", ("localhost/l:1",), instances=(("label", AMD64),))
    found = explained(store, "label")
    assert not found.dangling
    (reason,) = found.reasons
    assert (reason.code, reason.list, reason.list_names) == ("manifest_list", image_id("list"), ("localhost/l:1",))
    assert reason.digest == digest_of("label")
    assert reason.command == f"storagectl manifest remove localhost/l:1 {digest_of('label')}"
    assert "storagectl manifest rm localhost/l:1" in reason.detail


def test_a_list_is_explained_itself() -> None:
    store = Store()
    store.list("list", ("localhost/l:1",))
    (reason,) = explained(store, "list").reasons
    assert reason.command == f"storagectl untag {image_id('list')[:12]} localhost/l:1"
    # There a list's name means its instance, and untag would take a name from that.
    (reason,) = explained(store, "list", structs.replace(HERE, podman_lists=True)).reasons
    assert reason.command == "storagectl manifest rm localhost/l:1"


def test_containers_hold_a_dangling_image_and_are_named_with_their_owner() -> None:
    store = family()
    store.container("build-working-container", "label", volatile=True)
    found = explained(store, "label")
    assert (found.dangling, found.prunable, found.removable) == (True, False, False)
    (reason,) = found.reasons
    assert (reason.code, reason.owner, reason.name) == ("container", "buildah", "build-working-container")
    assert reason.command == "buildah rm build-working-container"


def test_a_lease_holds() -> None:
    found = explained(family(), "label", structs.replace(HERE, leases={image_id("label"): ("lease-1",)}))
    assert not found.prunable
    assert [(reason.code, reason.name) for reason in found.reasons] == [("lease", "lease-1")]


def test_a_read_only_image_dangles_but_is_not_pruned() -> None:
    store = Store()
    store.image("far", config=config(), store=1)
    found = explained(store, "far")
    assert (found.dangling, found.prunable, found.removable) == (True, False, False)
    assert [reason.code for reason in found.reasons] == ["read_only"]


def test_unreadable_evidence_is_told_where_it_decides_with_file_and_command() -> None:
    store = family()
    broken = store.list("broken", ("localhost/l:1",), unreadable=True)
    found = explained(store, "label")
    assert not found.dangling
    (reason,) = found.reasons
    assert (reason.code, reason.image) == ("unreadable_evidence", broken)
    assert reason.file is not None
    assert reason.file.endswith("/manifest")
    assert reason.command == f"storagectl rmi --force {broken}"
    assert [reason.code for reason in explained(store, "app").reasons] == ["child"]


def test_a_list_that_became_unreadable_is_told_by_what_it_last_named() -> None:
    before = family()
    before.list("list", ("localhost/l:1",), instances=(("label", AMD64),))
    after = family()
    listed = after.list("list", ("localhost/l:1",), unreadable=True)
    snapshot = after.snapshot(before.snapshot())
    found = why(snapshot, snapshot.by_id[image_id("label")], HERE)
    (reason,) = found.reasons
    assert (reason.code, reason.list, reason.digest) == ("manifest_list", listed, digest_of("label"))
    assert reason.command == f"storagectl rmi --force {listed}"


def test_an_unproven_state_and_an_unreadable_configuration_are_reasons() -> None:
    store = family()
    store.proven = False
    assert [reason.code for reason in explained(store, "label").reasons] == ["unreadable_evidence"]
    broken = Store()
    broken.image("broken")
    (reason,) = explained(broken, "broken").reasons
    assert reason.command == f"storagectl rmi --force {image_id('broken')}"


def test_an_image_that_may_be_a_child_and_cannot_be_read_is_told_with_the_command_that_removes_it() -> None:
    store = family()
    damage = ContentDamage(name="config_missing", detail="the file is missing", file="/g/vfs-images/i/=c", seen=None)
    broken = store.image("broken", ("localhost/b:1",), layer="two", damage=(damage,))
    found = explained(store, "label")
    assert (found.dangling, found.prunable) == (False, False)
    (reason,) = found.reasons
    assert (reason.code, reason.image, reason.name) == ("unreadable_evidence", broken, "localhost/b:1")
    assert (reason.file, reason.command) == (damage.file, f"storagectl rmi --force {broken}")
    assert reason.detail.startswith("image localhost/b:1 may have been built on it")
    assert [reason.code for reason in explained(store, "app").reasons] == ["child"]


def test_a_configuration_of_other_bytes_keeps_the_image_itself() -> None:
    store = Store()
    damage = ContentDamage(name="config_mismatch", detail="other bytes", file="/g/vfs-images/i/=c", seen=(1,))
    store.image("torn", config=config(), damage=(damage,))
    (reason,) = explained(store, "torn").reasons
    assert (reason.code, reason.image, reason.file) == ("unreadable_evidence", image_id("torn"), damage.file)


def test_names_are_quoted_in_commands() -> None:
    store = Store()
    store.image("evil", ("localhost/a:1; rm -rf /",), config=config())
    (reason,) = explained(store, "evil").reasons
    assert reason.command == f"storagectl untag {image_id('evil')[:12]} 'localhost/a:1; rm -rf /'"


def test_a_command_is_told_only_where_the_list_found_by_that_id_is_the_one_that_names_it() -> None:
    store = family()
    store.list("list", ("localhost/l:1",), instances=(("elsewhere", AMD64),))
    store.list("list", ("localhost/l:1",), instances=(("label", AMD64),), store=1)
    (reason,) = explained(store, "label").reasons
    assert (reason.code, reason.list, reason.digest) == ("manifest_list", image_id("list"), digest_of("label"))
    assert reason.command is None
    assert "another record of the same id" in reason.detail


def test_the_lists_of_an_image_are_looked_up_and_never_compared_with_each_other() -> None:
    compared = 0

    class Counted(str):
        def __eq__(self, other: object) -> bool:
            nonlocal compared
            compared += 1
            return str.__eq__(self, other)  # type: ignore[arg-type]

        __hash__ = str.__hash__

    store = family()
    for number in range(200):
        store.list(f"list{number}", (f"localhost/l:{number}",), instances=(("label", AMD64),))
    snapshot = store.snapshot()
    image = snapshot.by_id[image_id("label")]
    lists = tuple(Counted(list_id) for list_id in image.in_lists)
    snapshot = evolve(snapshot, referenced={digest_of("label"): lists})
    found = why(snapshot, evolve(image, in_lists=lists), HERE)
    assert [reason.digest for reason in found.reasons] == [digest_of("label")] * 200
    assert compared <= 4 * 200
