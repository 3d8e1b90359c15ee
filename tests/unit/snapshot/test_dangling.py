import pytest
from msgspec import structs

from storaged.snapshot.evidence import removal_command
from storaged.store.layout.contents import ContentDamage, ImageContent, ManifestFacts
from storaged.store.tables import RecordFlaw
from tests.support.stores import AMD64, Store, config, digest_of, family, image_id, missing


def dangling(store: Store, previous=None) -> set[str]:
    return {image.id for image in store.snapshot(previous).images if image.dangling}


def test_untagged_childless_images_in_no_list_dangle() -> None:
    assert dangling(family()) == {image_id("label")}


@pytest.mark.parametrize("names", [(), ("localhost/l:1",)])
def test_a_list_protects_its_instances_whether_it_is_named_or_not(names) -> None:
    store = family()
    store.list("list", names, instances=(("label", AMD64),))
    assert dangling(store) == (set() if names else {image_id("list")})


def test_an_image_is_in_a_list_by_any_of_its_digests() -> None:
    store = Store()
    store.image("two", config=config(), digests=("first", "second"))
    store.list("list", ("localhost/l:1",), instances=(("second", None),))
    snapshot = store.snapshot()
    assert snapshot.by_id[image_id("two")].in_lists == (image_id("list"),)
    assert not snapshot.by_id[image_id("two")].dangling


def test_a_list_in_a_list_is_protected_and_its_instances_only_by_the_first_level() -> None:
    store = Store()
    store.image("leaf", config=config())
    store.list("inner", instances=(("leaf", None),))
    store.list("outer", ("localhost/o:1",), instances=(("inner", None),))
    snapshot = store.snapshot()
    assert not any(image.dangling for image in snapshot.images)
    assert snapshot.referenced == {digest_of("leaf"): (image_id("inner"),), digest_of("inner"): (image_id("outer"),)}


def test_a_read_only_list_protects_too() -> None:
    store = Store()
    store.image("leaf", config=config())
    store.list("far", instances=(("leaf", None),), store=1)
    assert image_id("leaf") not in dangling(store)


def test_the_digest_of_a_list_is_that_of_its_bytes() -> None:
    store = Store()
    store.list("list", digest="now")
    (image,) = store.snapshot().images
    assert image.digest == digest_of("now")
    assert image.digests == (digest_of("empty list"), digest_of("now"))


def test_nothing_dangles_while_a_list_cannot_be_read_and_the_record_is_named() -> None:
    store = family()
    broken = store.list("broken", ("localhost/l:1",), unreadable=True)
    snapshot = store.snapshot()
    assert not any(image.dangling for image in snapshot.images)
    (evidence,) = snapshot.evidence
    assert evidence.image == broken
    assert evidence.command == f"storagectl rmi --force {broken}"
    assert evidence.file.endswith("/manifest")


def test_nothing_dangles_in_a_state_that_is_not_proven() -> None:
    store = family()
    store.proven = False
    assert dangling(store) == set()


def test_nothing_dangles_while_a_record_that_may_be_a_list_cannot_be_decoded() -> None:
    store = family()
    store.flaws.append(RecordFlaw(file="/g/images.json", index=3, detail="names is a number", evidence=True))
    assert dangling(store) == set()
    store.flaws[0] = structs.replace(store.flaws[0], evidence=False)
    assert dangling(store) == {image_id("label")}


def test_a_list_goes_on_protecting_what_it_last_named_until_its_record_is_gone() -> None:
    before = family()
    before.list("list", instances=(("label", None),))
    first = before.snapshot()
    broken = family()
    broken.list("list", unreadable=True)
    second = broken.snapshot(first)
    assert second.by_id[image_id("label")].in_lists == (image_id("list"),)
    third = broken.snapshot(second)
    assert third.by_id[image_id("label")].in_lists == (image_id("list"),)
    after = family()
    fourth = after.snapshot(third)
    assert fourth.by_id[image_id("label")].dangling
    assert not fourth.last_lists


@pytest.mark.parametrize("known", [True, False])
def test_a_list_whose_record_cannot_be_decoded_any_more_is_still_known(known) -> None:
    before = family()
    listed = before.list("list", instances=(("label", None),))
    after = family()
    flaw_id = listed if known else None
    after.flaws.append(RecordFlaw(file="/g/images.json", index=3, detail="bad", id=flaw_id, evidence=True))
    snapshot = after.snapshot(before.snapshot())
    assert snapshot.by_id[image_id("label")].in_lists == (listed,)


def test_a_record_that_is_now_an_ordinary_image_is_no_list_any_more() -> None:
    before = family()
    before.list("list", instances=(("label", None),))
    after = family()
    after.image("list", ("localhost/l:1",), config=config())
    assert dangling(after, before.snapshot()) == {image_id("label")}


def test_an_image_without_a_readable_configuration_never_dangles() -> None:
    store = Store()
    store.image("broken", config=None)
    assert dangling(store) == set()


TORN = ContentDamage(name="config_mismatch", detail="other bytes", file="/g/vfs-images/i/=c", seen=(1,))


@pytest.mark.parametrize("layer", ["two", "three"], ids=["its own layer", "the layer above"])
@pytest.mark.parametrize("names", [(), ("localhost/broken:1",)])
def test_an_image_that_cannot_be_read_keeps_what_it_may_have_been_built_on(layer, names) -> None:
    store = family()
    store.layer("three", "two")
    broken = store.image("broken", names, layer=layer, config=None)
    snapshot = store.snapshot()
    assert not any(image.dangling for image in snapshot.images)
    assert snapshot.by_id[image_id("label")].possible_children == (broken,)
    assert snapshot.by_id[broken].possible_children == ()


def test_a_configuration_of_other_bytes_is_not_trusted_for_kin_of_either_side() -> None:
    store = family()
    store.image("torn", layer="two", config=config(("x",), ("d1", "d2")), damage=(TORN,))
    snapshot = store.snapshot()
    assert not any(image.dangling for image in snapshot.images)
    assert snapshot.by_id[image_id("label")].possible_children == (image_id("torn"),)


def test_damage_that_leaves_the_configuration_whole_puts_no_kin_in_doubt() -> None:
    store = family()
    store.image("other", ("localhost/o:1",), layer="two", config=config(("x",)), damage=(missing(),))
    assert dangling(store) == {image_id("label")}


def test_images_without_a_layer_may_be_parents_of_one_that_has_none_and_cannot_be_read() -> None:
    store = family()
    store.image("bare", config=config(("a",)))
    store.list("list")
    assert dangling(store) == {image_id("label"), image_id("bare"), image_id("list")}
    store.image("broken", config=None)
    assert dangling(store) == {image_id("label"), image_id("list")}


def test_an_image_that_cannot_be_read_puts_nothing_in_doubt_on_layers_further_off() -> None:
    store = family()
    store.layer("three", "two")
    store.layer("four", "three")
    store.image("broken", layer="four", config=None)
    store.image("beneath", layer="one", config=None)
    assert dangling(store) == {image_id("label")}


def test_many_images_that_cannot_be_read_are_told_to_their_layer_once() -> None:
    store = family()
    for number in range(300):
        store.image(f"broken{number}", layer="two", config=None)
        store.image(f"loose{number}", layer="two", config=config((f"{number}",), ("d1", "d2")))
    loose = [image.possible_children for image in store.snapshot().images if image.content.config and image.names == ()]
    assert {len(found) for found in loose} == {300}
    assert len({id(found) for found in loose}) == 1


def test_the_command_fits_what_podman_will_make_of_the_record() -> None:
    store = Store()
    store.list("gone", unreadable=True)
    store.list("other", ("localhost/a:1", "localhost/b c:1"), mismatched=True)
    store.list("far", mismatched=True, store=1)
    rows, contents = store.images, store.contents
    torn = ImageContent(
        damage=(ContentDamage(name="x", detail="torn", file="/g/vfs-images/i/manifest", seen=(1,)),),
        unreadable_evidence=True,
    )
    gone, other, far = image_id("gone"), image_id("other"), image_id("far")
    assert removal_command(rows[0], contents[0]) == f"storagectl rmi --force {gone}"
    assert removal_command(rows[1], contents[1]) == "storagectl manifest rm localhost/a:1 'localhost/b c:1'"
    assert removal_command(rows[2], contents[2]) == f"podman --root /g --storage-driver vfs manifest rm {far}"
    assert removal_command(rows[1], torn) == f"storagectl rmi --force {other}"
    torn_far = removal_command(rows[2], torn)
    assert torn_far == f"podman --root /g --storage-driver vfs manifest rm {far} || {torn_far.partition(' || ')[2]}"
    assert torn_far.endswith(f" --storage-driver vfs image rm --force {far}")


def test_two_lists_of_one_id_both_go_on_protecting() -> None:
    before = family()
    before.list("list", instances=(("label", None),))
    before.list("list", instances=(("app", None),), store=1)
    after = family()
    listed = after.list("list", unreadable=True)
    snapshot = after.snapshot(before.snapshot())
    assert snapshot.by_id[image_id("label")].in_lists == (listed,)
    assert snapshot.by_id[image_id("app")].in_lists == (listed,)


@pytest.mark.parametrize("manifest", [None, "other"])
def test_a_list_on_a_layer_goes_on_protecting_what_it_last_named(manifest) -> None:
    """An image converted to a list: its record alone would not tell that it may be one."""

    def converted(content: ImageContent) -> Store:
        store = family()
        store.image("list", ("localhost/l:1",), layer="one", config=config())
        store.contents[-1] = content
        return store

    whole = Store()
    whole.list("list", instances=(("label", None),))
    ordinary = ManifestFacts(media_type=None, is_list=False, annotations={})
    damage = ContentDamage(name="manifest_mismatch", detail="other bytes", file="/g/vfs-images/i/manifest", seen=(1,))
    torn = ImageContent(manifest=ordinary if manifest else None, damage=(damage,))
    before = converted(whole.contents[0]).snapshot()
    assert before.by_id[image_id("label")].in_lists == (image_id("list"),)
    after = converted(torn).snapshot(before)
    again = converted(torn).snapshot(after)
    assert again.by_id[image_id("label")].in_lists == (image_id("list"),)
    assert not again.by_id[image_id("label")].dangling
