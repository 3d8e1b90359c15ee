"""Big data and the record that describes it: one change."""

import errno
import hashlib
import json
import os
import stat
import threading
import time
from types import SimpleNamespace

import pytest

from storaged.store.changes import Change, ImageEdit, Item, NewImage
from storaged.store.content import ContentReader
from storaged.store.layout import paths
from storaged.store.layout.records import ImageID, LayerID
from storaged.store.writing import locking
from storaged.store.writing.prepared import ListLocked, PlanOutdated
from storaged_client.contract.errors import ImageDamaged, StoreBusy, StoreCorrupt, StoreUnsupported
from tests.support.disk import hexes
from tests.support.files import FaultyFiles
from tests.unit.store.holding import held_elsewhere

from .workshop import Workshop, opened

INDEX = "application/vnd.oci.image.index.v1+json"
NEW = ImageID(hexes(77))
CREATED = "2024-01-02T03:04:05.123456789Z"


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def index(*digests: str) -> bytes:
    manifests = [{"mediaType": "x/y", "digest": name, "size": 1} for name in digests]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).encode()


def new_list(*names: str, **more) -> Change:
    items = (
        Item(key="manifest", data=index()),
        Item(key="instances.json", data=b"{}"),
        Item(key="artifacts.json", data=b"{}"),
    )
    members = {"id": NEW, "names": list(names), "names-history": list(names), "created": CREATED, **more}
    return Change(added=(NewImage(members=members, items=items),))


def edited(*digests: str) -> Change:
    items = (Item(key="manifest", data=index(*digests)), Item(key="instances.json", data=b'{"a":"b"}'))
    return Change(edits=(ImageEdit(image=NEW, items=items),), editing=(NEW,))


def folder(shop: Workshop) -> str:
    return paths.image_dir(shop.location.graphroot, "overlay", NEW)


def sound(shop: Workshop) -> bool:
    """Whether every image's data is what its record says."""
    reader = ContentReader(shop.location, shop.metrics)
    return not any(reader.read(row).damage for row in shop.load().tables.images)


def test_a_new_record_comes_last_with_its_data_described_in_the_order_of_go(tmp_path) -> None:
    with opened(tmp_path) as shop:
        before = shop.raws()
        shop.apply(new_list("localhost/list:1"))
        *others, raw = shop.raws()
        assert others == before
        assert list(json.loads(raw)) == [
            *("id", "digest", "names", "names-history"),
            *("big-data-names", "big-data-sizes", "big-data-digests", "created"),
        ]
        record = shop.images()[NEW]
        assert record.digest == digest(index())
        assert record.big_data_names == ("manifest", "instances.json", "artifacts.json")
        assert record.big_data_sizes == {"manifest": len(index()), "instances.json": 2, "artifacts.json": 2}
        assert f'"created":"{CREATED}"'.encode() in raw
        assert stat.S_IMODE(os.stat(folder(shop)).st_mode) == 0o700
        assert {
            stat.S_IMODE(os.stat(os.path.join(folder(shop), name)).st_mode) for name in os.listdir(folder(shop))
        } == {0o600}
        assert sound(shop)
        assert shop.leftovers() == []


def test_the_digest_of_a_list_follows_its_bytes_and_that_of_an_image_does_not(tmp_path) -> None:
    with opened(tmp_path) as shop:
        shop.apply(new_list())
        shop.apply(edited(digest(b"one")))
        record = shop.images()[NEW]
        assert record.digest == digest(index(digest(b"one"))) == record.big_data_digests["manifest"]
        assert record.big_data_names == ("manifest", "instances.json", "artifacts.json")
        image, before = next((name, record) for name, record in shop.images().items() if record.layer)
        other = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json"}
        items = (Item(key="manifest", data=json.dumps(other).encode()),)
        shop.apply(Change(edits=(ImageEdit(image=ImageID(image), items=items),)))
        assert shop.images()[image].digest == before.digest
        assert shop.images()[image].big_data_digests["manifest"] == digest(items[0].data)


def test_the_digest_lock_is_held_around_the_edit_of_a_list(tmp_path) -> None:
    with opened(tmp_path) as shop:
        shop.apply(new_list())
        prepared = shop.writer.prepare(edited(digest(b"one")), shop.load().stamp)
        lock = paths.digest_lock(shop.location.runroot, "overlay", NEW)
        assert stat.S_IMODE(os.stat(lock).st_mode) == 0o644
        with held_elsewhere(lock), pytest.raises(StoreBusy) as refused:
            shop.writer.commit(prepared, deadline=time.monotonic() + 0.05)
        assert refused.value.data["lock"] == lock
        assert shop.leftovers() == []


def test_a_commit_that_waited_for_the_lock_of_a_list_gives_its_last_holder_a_moment(tmp_path, monkeypatch) -> None:
    """What an old podman writes from memory then is seen, and planned on; no lock of the store is held meanwhile."""
    monkeypatch.setattr(locking, "_AFTER_ANOTHER", 2.0)
    with opened(tmp_path) as shop:
        shop.apply(new_list())
        change = edited(digest(b"one"))
        prepared = shop.writer.prepare(change, shop.load().stamp)
        lock = paths.digest_lock(shop.location.runroot, "overlay", NEW)
        other = next(image for image in shop.images() if image != NEW)
        with held_elsewhere(lock) as podman:
            assert podman.stdin is not None
            end = threading.Timer(0.2, podman.stdin.close)
            write = threading.Timer(0.4, shop.rival.set_names, (other, ["localhost/late:1"]))
            for timer in (end, write):
                timer.start()
            with pytest.raises(PlanOutdated):
                shop.writer.commit(prepared, deadline=time.monotonic() + 20)
            for timer in (end, write):
                timer.join()
        assert shop.images()[other].names == ("localhost/late:1",)
        assert shop.leftovers() == []


def test_the_digest_lock_is_held_within_the_exclusive_locks_too(tmp_path) -> None:
    with opened(tmp_path) as shop:
        shop.apply(new_list())
        lock = paths.digest_lock(shop.location.runroot, "overlay", NEW)
        for busy in (True, False):
            with shop.writer.exclusively(time.monotonic() + 5):
                prepared = shop.writer.prepare(edited(digest(b"one")), shop.reader.load_locked().stamp)
                if busy:
                    with held_elsewhere(lock), pytest.raises(ListLocked):
                        shop.writer.commit(prepared, deadline=time.monotonic() + 5)
                else:
                    shop.writer.commit(prepared, deadline=time.monotonic() + 5)
        assert shop.images()[NEW].digest == digest(index(digest(b"one")))


def test_an_expected_edit_waits_for_its_digest_lock_before_the_exclusive_ones(tmp_path, monkeypatch) -> None:
    """Podman holds it while it waits for images.lock: within the exclusive locks it could not be waited for. An old
    podman writes once more when it has given it back, and is given a moment for that.
    """
    slept: list[float] = []
    monkeypatch.setattr(locking, "time", SimpleNamespace(monotonic=time.monotonic, sleep=slept.append))
    with opened(tmp_path) as shop:
        shop.apply(new_list())
        change = edited(digest(b"one"))
        lock = paths.digest_lock(shop.location.runroot, "overlay", NEW)
        shop.writer.discard(shop.writer.prepare(change, shop.load().stamp))  # makes the lock file
        with held_elsewhere(lock) as podman:
            assert podman.stdin is not None
            timer = threading.Timer(0.2, podman.stdin.close)
            timer.start()
            with shop.writer.editing(change, time.monotonic() + 20), shop.writer.exclusively(time.monotonic() + 20):
                assert slept == [locking._AFTER_ANOTHER]
                assert podman.wait(20) == 0
                prepared = shop.writer.prepare(change, shop.reader.load_locked().stamp)
                shop.writer.commit(prepared, deadline=time.monotonic())
            timer.join()
        assert shop.images()[NEW].digest == digest(index(digest(b"one")))
        with (
            held_elsewhere(lock),
            pytest.raises(StoreBusy) as refused,
            shop.writer.editing(change, time.monotonic() + 0.05),
        ):
            pytest.fail("entered")
        assert refused.value.data["lock"] == lock


def test_a_list_without_instances_is_never_written(tmp_path) -> None:
    with opened(tmp_path) as shop:
        before = shop.everything()
        change = Change(
            added=(NewImage(members={"id": NEW, "created": CREATED}, items=(Item(key="manifest", data=index()),)),)
        )
        with pytest.raises(StoreCorrupt, match=r"instances\.json"):
            shop.writer.prepare(change, shop.load().stamp)
        assert shop.everything() == before
        assert not os.path.exists(folder(shop))


@pytest.mark.parametrize("more", [{"created": "yesterday"}, {"id": "f" * 63}, {"no-member": 1}, {"names": 3}])
def test_a_record_that_other_tools_cannot_read_is_never_written(tmp_path, more) -> None:
    with opened(tmp_path) as shop:
        before = shop.everything()
        with pytest.raises(StoreCorrupt):
            shop.writer.prepare(new_list(**more), shop.load().stamp)
        assert shop.everything() == before


def test_a_signed_manifest_of_schema_1_is_refused(tmp_path) -> None:
    signed = json.dumps({"schemaVersion": 1, "signatures": [{}], "fsLayers": []}).encode()
    with opened(tmp_path) as shop:
        image = ImageID(next(iter(shop.images())))
        change = Change(edits=(ImageEdit(image=image, items=(Item(key="manifest", data=signed),)),))
        with pytest.raises(StoreUnsupported, match="schema 1"):
            shop.writer.prepare(change, shop.load().stamp)


def test_a_key_that_cannot_be_a_file_is_refused(tmp_path) -> None:
    with opened(tmp_path) as shop:
        image = ImageID(next(iter(shop.images())))
        change = Change(edits=(ImageEdit(image=image, items=(Item(key="..", data=b""),)),))
        with pytest.raises(StoreUnsupported, match="names a directory"):
            shop.writer.prepare(change, shop.load().stamp)
        assert shop.leftovers() == []


def test_a_new_image_that_is_discarded_leaves_no_folder(tmp_path) -> None:
    with opened(tmp_path) as shop:
        before = shop.everything()
        prepared = shop.writer.prepare(new_list(), shop.load().stamp)
        assert os.path.isdir(folder(shop))
        shop.writer.discard(prepared)
        assert not os.path.exists(folder(shop))
        assert shop.everything() == before
        assert shop.leftovers() == []


def test_a_folder_that_somebody_removed_before_the_commit_is_a_lost_race(tmp_path) -> None:
    with opened(tmp_path) as shop:
        prepared = shop.writer.prepare(new_list(), shop.load().stamp)
        for name in os.listdir(folder(shop)):
            os.unlink(os.path.join(folder(shop), name))
        os.rmdir(folder(shop))
        with pytest.raises(PlanOutdated):
            shop.writer.commit(prepared, deadline=time.monotonic() + 5)
        assert NEW not in shop.images()
        assert shop.leftovers() == []


@pytest.mark.parametrize("strange", ["link", "file", "nothing"])
def test_nothing_is_written_through_a_folder_that_is_none(tmp_path, strange) -> None:
    with opened(tmp_path) as shop:
        shop.apply(new_list())
        os.rename(folder(shop), tmp_path / "outside")
        if strange == "link":
            os.symlink(tmp_path / "outside", folder(shop))
        elif strange == "file":
            (shop.images_json.parent / NEW).write_bytes(b"")
        before = {path.name: path.read_bytes() for path in (tmp_path / "outside").iterdir()}
        with pytest.raises(ImageDamaged):
            shop.writer.prepare(edited(digest(b"one")), shop.load().stamp)
        assert {path.name: path.read_bytes() for path in (tmp_path / "outside").iterdir()} == before
        assert shop.leftovers() == []


def test_a_new_image_is_never_written_through_a_link(tmp_path) -> None:
    with opened(tmp_path) as shop:
        (tmp_path / "outside").mkdir()
        os.symlink(tmp_path / "outside", folder(shop))
        with pytest.raises(ImageDamaged):
            shop.writer.prepare(new_list(), shop.load().stamp)
        assert list((tmp_path / "outside").iterdir()) == []
        assert os.path.islink(folder(shop))


def test_a_record_rests_on_whole_layers_only(tmp_path) -> None:
    with opened(tmp_path) as shop:
        there = next(row.record.id for row in shop.load().tables.layers)
        change = Change(added=new_list().added, needs_layers=(there, LayerID(hexes(5))))
        with pytest.raises(StoreUnsupported, match="is incomplete"):
            shop.writer.prepare(change, shop.load().stamp)
        prepared = shop.writer.prepare(Change(added=new_list().added, needs_layers=(there,)), shop.load().stamp)
        lock = paths.layers_lock(shop.location.graphroot, "overlay")
        with held_elsewhere(lock, "read"):
            shop.writer.commit(prepared, deadline=time.monotonic() + 5)
        prepared = shop.writer.prepare(Change(edits=edited().edits, needs_layers=(there,)), shop.load().stamp)
        with held_elsewhere(lock), pytest.raises(StoreBusy):
            shop.writer.commit(prepared, deadline=time.monotonic() + 0.05)


def test_evidence_that_is_not_the_recorded_bytes_is_refused(tmp_path) -> None:
    with opened(tmp_path) as shop:
        shop.apply(new_list())
        record = shop.images()[NEW]
        target = next(name for name in shop.images() if name != NEW)
        change = Change(
            edits=(ImageEdit(image=ImageID(target), members={"names": ["localhost/a:1"]}),), evidence=((record, 0),)
        )
        prepared = shop.writer.prepare(change, shop.load().stamp)
        manifest = os.path.join(folder(shop), "manifest")
        os.rename(manifest, manifest + ".away")
        with open(manifest, "wb") as file:
            file.write(index())
        with pytest.raises(PlanOutdated):
            shop.writer.commit(prepared, deadline=time.monotonic() + 5)
        with open(manifest, "wb") as file:
            file.write(index(digest(b"x")))
        with pytest.raises(ImageDamaged):
            shop.writer.prepare(change, shop.load().stamp)
        assert shop.images()[target].names != ("localhost/a:1",)


@pytest.mark.parametrize("after", range(4))
def test_an_edit_that_breaks_off_leaves_what_recovery_needs(tmp_path, after) -> None:
    """Whatever is in place, the list protects what it named or will name, or counts as unreadable evidence."""
    files = FaultyFiles(
        "rename", path=lambda call: "/overlay-images/" in call.path, error=errno.EIO, at=after + 1, armed=False
    )
    with opened(tmp_path, files=files) as shop:
        shop.apply(new_list())
        shop.apply(edited(digest(b"old")))
        files.armed = True
        with pytest.raises(OSError, match="Input/output") if after < 3 else pytest.raises(AssertionError):
            shop.apply(edited(digest(b"new")))
            raise AssertionError
        row = next(row for row in shop.load().tables.images if row.record.id == NEW)
        content = ContentReader(shop.location, shop.metrics).read(row)
        named = [instance.digest for instance in content.manifest.instances]
        entries = [path for path in shop.leftovers() if "journal-" in path]
        temporaries = [path for path in shop.leftovers() if "journal-" not in path]
        if after == 0:  # nothing was in its place: taken back
            assert (named, content.damage, entries, temporaries) == ([digest(b"old")], (), [], [])
        elif after == 1:  # instances.json alone: the list is the old one
            assert (named, len(entries), len(temporaries)) == ([digest(b"old")], 1, 1)
        elif after == 2:  # the manifest too: protected by the new bytes, and no evidence for a removal
            assert (named, content.unreadable_evidence) == ([digest(b"new")], True)
            assert (len(entries), temporaries) == (1, [])
        else:
            assert (named, content.damage, entries, temporaries) == ([digest(b"new")], (), [], [])
