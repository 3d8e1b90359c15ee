import pytest
from attrs import evolve

from storaged.operations import manifest_lists
from storaged.snapshot.model import Snapshot
from storaged_client.contract.errors import ImageDamaged, InvalidName, ManifestListUnknown, NotAManifestList
from storaged_client.contract.types import ManifestDetails
from tests.support.stores import AMD64, ARM64, HERE, Store, config, digest_of, family, image_id


def listed() -> Store:
    store = family()
    store.list("list", ("localhost/l:1",), instances=(("label", AMD64), ("elsewhere", ARM64), ("plain", None)))
    return store


def details(snapshot: Snapshot, name: str) -> ManifestDetails:
    return manifest_lists.details(snapshot, manifest_lists.find_list(snapshot, name, HERE))


def test_instances_are_matched_with_local_images_by_any_digest() -> None:
    store = listed()
    store.image("two", ("localhost/two:1",), config=config(), digests=("x", "elsewhere"))
    (row,) = manifest_lists.list_manifests(store.snapshot(), ("instances", "annotations"))
    assert row.instance_count == 3
    assert row.instances is not None
    assert [instance.image for instance in row.instances] == [image_id("label"), image_id("two"), None]
    assert row.instances[2].platform is None
    assert row.annotations == {}


def test_instances_and_annotations_come_only_when_included() -> None:
    (row,) = manifest_lists.list_manifests(listed().snapshot(), ())
    assert (row.instances, row.annotations, row.instance_count) == (None, None, 3)


def test_a_list_is_got_by_name_with_its_own_json() -> None:
    found = details(listed().snapshot(), "l:1")
    assert found.manifest.id == image_id("list")
    assert found.raw == {"manifests": []}
    for name, error in (("nope", ManifestListUnknown), ("localhost/base", NotAManifestList)):
        with pytest.raises(error):
            details(listed().snapshot(), name)


def test_a_manifest_nested_beyond_reason_is_damage() -> None:
    store = listed()
    facts = store.contents[-1].manifest
    assert facts is not None
    store.contents[-1] = evolve(store.contents[-1], manifest=evolve(facts, raw=b'{"x":' + b"[" * 100_000))
    with pytest.raises(ImageDamaged):
        details(store.snapshot(), "l:1")


def test_existence_is_podmans() -> None:
    snapshot = listed().snapshot()
    assert manifest_lists.exists(snapshot, "l:1", HERE)
    assert not manifest_lists.exists(snapshot, "nope", HERE)
    with pytest.raises(InvalidName):
        manifest_lists.exists(snapshot, "No Reference", HERE)
    with pytest.raises(NotAManifestList):
        manifest_lists.exists(snapshot, "localhost/base", HERE)


def test_a_list_that_cannot_be_read_is_a_damaged_row_with_what_it_last_named() -> None:
    before = listed().snapshot()
    store = family()
    store.list("list", ("localhost/l:1",), unreadable=True)
    snapshot = store.snapshot(before)
    (row,) = manifest_lists.list_manifests(snapshot, ())
    assert row.damage is not None
    assert (row.damage.name, row.instance_count) == ("manifest_missing", 3)
    assert manifest_lists.exists(snapshot, "l:1", HERE)
    with pytest.raises(ImageDamaged):
        details(snapshot, "l:1")


def test_the_digest_set_is_sorted_and_asked_by_digest() -> None:
    snapshot = listed().snapshot()
    found = manifest_lists.referenced(snapshot, None)
    assert [entry.digest for entry in found] == sorted(digest_of(n) for n in ("label", "elsewhere", "plain"))
    (one,) = manifest_lists.referenced(snapshot, digest_of("label"))
    assert (one.lists, one.image) == ((image_id("list"),), image_id("label"))
    assert len(manifest_lists.referenced(snapshot, digest_of("nope"))) == 0


def test_an_ordinary_image_with_the_id_of_a_list_is_no_row() -> None:
    store = listed()
    store.image("list", ("localhost/other:1",), config=config(), store=1)
    assert [row.read_only for row in manifest_lists.list_manifests(store.snapshot(), ())] == [False]
