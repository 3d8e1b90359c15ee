"""Deleting layers and images: what is theirs goes, nothing else, whatever else is at work on the store."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from storaged.errors import LockOrderViolation
from storaged.metrics import Metrics
from storaged.store.drivers.removal import OwnRemover
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.layout.records import LayerID
from storaged.store.locks.order import hold
from storaged.store.locks.record_lock import RecordLock
from storaged.store.tables import StoreLocation
from storaged.store.writing.deletion import LayerDeletion
from storaged.store.writing.in_use import LayersBusy
from storaged.store.writing.staging import StagingFolder
from storaged_client.contract.errors import ImageInUse, NoSpace, StoreBusy, StoreCorrupt, StoreUnsupported
from tests.support.files import Call, FaultyFiles
from tests.unit.store.holding import held_elsewhere

from .shop import Shop, descriptors, never, nothing, opened, seen_by_a_cleaner

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and attributes need root")


@contextmanager
def locked(shop: Shop) -> Iterator[tuple[RecordLock, ...]]:
    """Every lock of the store, as for a commit."""
    location = shop.location
    locks = [
        name(location.graphroot, location.driver)
        for name in (paths.layers_lock, paths.images_lock, paths.containers_lock)
    ]
    deadline = time.monotonic() + 20
    with hold(locks, "exclusive", deadline=deadline, files=shop.files, metrics=Metrics()) as held:
        yield held


@pytest.fixture(params=["overlay", "vfs"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path, request.param) as shop:
        before = descriptors()
        yield shop
        assert descriptors() == before


@pytest.fixture
def overlay(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path, "overlay") as shop:
        yield shop


def test_all_that_belongs_to_an_image_and_its_layer_goes_and_nothing_else(shop: Shop) -> None:
    before, victims = shop.everything(), shop.of_the_victims()
    assert len(victims) > 6
    deletion = shop.deletion()
    deletion.prepare()
    with locked(shop) as locks:
        deletion.confirm(locks)
        assert shop.everything() == before
        deletion.stage()
    assert not before.intersection(victims).intersection(shop.everything())
    assert deletion.finish(nothing, never) == ()
    assert shop.everything() == before - victims
    assert shop.journal() == []
    assert list((shop.graphroot / "storaged").iterdir()) == []


def test_what_is_missing_already_is_no_error(shop: Shop) -> None:
    for _ in range(2):
        deletion = shop.deletion()
        deletion.prepare()
        deletion.stage()
        assert deletion.finish(nothing, never) == ()
    assert not shop.contents.exists()


def test_an_abandoned_deletion_leaves_the_store_as_it_was(shop: Shop) -> None:
    before = shop.everything()
    deletion = shop.deletion()
    deletion.prepare()
    assert len(shop.journal()) == 1
    deletion.abandon()
    assert shop.everything() == before
    assert shop.journal() == []


def test_the_journal_names_all_that_goes_before_anything_is_moved(shop: Shop) -> None:
    deletion = shop.deletion()
    deletion.prepare()
    (entry,) = shop.journal()
    told = json.loads(entry.read_bytes())
    assert (told["kind"], told["images"], told["layers"]) == ("deletion", [shop.image], [shop.layer])
    assert f"{shop.location.driver}/tempdirs" in told["made"]
    deletion.abandon()


def test_a_staged_folder_is_locked_for_cleaners_of_other_tools_until_it_is_gone(shop: Shop) -> None:
    seen: list[str] = []

    def look(call: Call) -> None:
        folder, name = os.path.split(call.path)
        seen.append(seen_by_a_cleaner(Path(folder, name.replace("temp-dir-", "lock-"))))

    deletion = shop.deletion(FaultyFiles("rmdir", path=lambda call: "temp-dir-" in call.path, before=look))
    deletion.prepare()
    deletion.stage()
    locks = list(shop.staging.glob("lock-*"))
    assert [seen_by_a_cleaner(lock) for lock in locks] == ["held"]
    names = sorted(path.name for path in shop.staging.glob("temp-dir-*/*"))
    # Upstream's form: a number, a dash, and the name it had.
    assert [name.split("-", 1)[0] for name in names] == [str(number) for number in range(len(names))]
    assert names[-1].endswith(f"-{shop.layer}")
    deletion.finish(nothing, never)
    assert seen == ["held", "held", "held"]


def test_a_lock_file_that_a_cleaner_takes_away_before_it_is_locked_is_made_again(shop: Shop) -> None:
    class Cleaning(Files):
        taken = 0

        def close(self, fd: int) -> None:
            name = os.readlink(f"/proc/self/fd/{fd}")
            super().close(fd)
            # Just made and not locked yet: a cleaner that opens the store at this moment may lock and remove it.
            if "/lock-" in name and self.taken < 2:
                self.taken += 1
                os.unlink(name)

    files = Cleaning()
    deletion = shop.deletion(files)
    deletion.prepare()
    deletion.stage()
    assert files.taken == 2
    assert [seen_by_a_cleaner(lock) for lock in shop.staging.glob("lock-*")] == ["held"]
    assert deletion.finish(nothing, never) == ()
    assert not shop.staging.exists()


def test_a_cleaner_that_holds_the_fresh_lock_file_is_waited_for(shop: Shop) -> None:
    folder = StagingFolder(str(shop.staging), "1", files=shop.files, remover=OwnRemover(shop.files))
    shop.staging.mkdir()
    lock = shop.staging / "lock-1"
    lock.touch()
    with held_elsewhere(str(lock)) as cleaner:
        assert cleaner.stdin is not None
        threading.Timer(0.05, cleaner.stdin.close).start()
        folder.open()
    assert seen_by_a_cleaner(lock) == "held"
    folder.leave()


def test_folders_that_other_tools_made_for_staging_stay_and_ours_go(shop: Shop) -> None:
    shop.staging.mkdir()
    deletion = shop.deletion()
    deletion.prepare()
    deletion.stage()
    deletion.finish(nothing, never)
    assert list(shop.staging.iterdir()) == []
    assert not (shop.graphroot / f"{shop.location.driver}-layers" / "tmp").exists()


def test_the_folder_of_links_stays_even_when_it_is_empty(overlay: Shop) -> None:
    layers = [row.record.id for row in overlay.tables().layers]
    deletion = LayerDeletion(overlay.location, layers, files=overlay.files, metrics=Metrics())
    deletion.prepare()
    deletion.stage()
    assert deletion.finish(nothing, never) == ()
    assert list((overlay.graphroot / "overlay" / "l").iterdir()) == []
    assert sorted(path.name for path in (overlay.graphroot / "overlay").iterdir()) == ["l"]


@pytest.mark.parametrize("text", ["another layer's", "../../etc/passwd", "", "A" * 27, "a" * 26])
def test_only_the_link_that_points_to_the_layer_goes_with_it(overlay: Shop, text: str) -> None:
    other = next(
        path for path in sorted((overlay.graphroot / "overlay").iterdir()) if path.name not in (overlay.layer, "l")
    )
    short = (overlay.contents / "link").read_text()
    (overlay.contents / "link").write_text((other / "link").read_text() if text.startswith("another") else text)
    links = sorted((overlay.graphroot / "overlay" / "l").iterdir())
    deletion = overlay.deletion()
    deletion.prepare()
    deletion.stage()
    assert deletion.finish(nothing, never) == ()
    assert not overlay.contents.exists()
    assert sorted((overlay.graphroot / "overlay" / "l").iterdir()) == links
    assert overlay.graphroot / "overlay" / "l" / short in links


def test_an_image_that_is_pulled_again_while_its_files_are_removed_keeps_its_new_ones(shop: Shop) -> None:
    folder = shop.graphroot / f"{shop.location.driver}-images" / shop.image
    deletion = shop.deletion()
    deletion.prepare()
    deletion.stage()
    folder.mkdir()
    (folder / "manifest").write_bytes(b"new")
    shop.contents.mkdir()
    assert deletion.finish(nothing, never) == ()
    assert (folder / "manifest").read_bytes() == b"new"
    assert shop.contents.exists()


def test_the_folders_of_a_container_go_in_both_roots(shop: Shop) -> None:
    driver = shop.location.driver
    folders = [root / f"{driver}-containers" / shop.container for root in (shop.graphroot, shop.runroot)]
    for folder in folders:
        (folder / "userdata").mkdir(parents=True, exist_ok=True)
    deletion = LayerDeletion(shop.location, (), containers=(shop.container,), files=shop.files, metrics=Metrics())
    deletion.prepare()
    deletion.stage()
    assert deletion.finish(nothing, never) == ()
    assert [folder.exists() for folder in folders] == [False, False]
    assert shop.contents.exists()


@contextmanager
def precious_at(point: Path, tmp_path: Path) -> Iterator[None]:
    """A folder that must survive, bound to a place that is to be removed."""
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "kept").write_bytes(b"")
    if subprocess.run(["mount", "--bind", precious, point], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield
        assert (precious / "kept").exists()
    finally:
        subprocess.run(["umount", point], check=True)


@as_root
@pytest.mark.parametrize("below", ["", "userdata"])
def test_a_bind_mount_in_a_containers_folder_of_the_runroot_is_left_alone_and_named(
    shop: Shop, tmp_path: Path, below: str
) -> None:
    point = shop.runroot / f"{shop.location.driver}-containers" / shop.container / below
    point.mkdir(parents=True, exist_ok=True)
    deletion = LayerDeletion(shop.location, (), containers=(shop.container,), files=shop.files, metrics=Metrics())
    deletion.prepare()
    deletion.stage()
    with precious_at(point, tmp_path):
        (left,) = deletion.finish(nothing, never)
    assert left.path == str(point)
    assert len(shop.journal()) == 1


# -------------------------------------------------------------- mounts and pulls


def test_a_layer_that_the_store_counts_as_mounted_is_refused_by_name(shop: Shop) -> None:
    shop.mount_counts.write_text(json.dumps([{"id": shop.layer, "path": "/mnt/x", "count": 1}]))
    before = shop.everything()
    with pytest.raises(ImageInUse) as caught:
        shop.deletion().prepare()
    assert shop.layer[:12] in caught.value.message
    assert "/mnt/x" in caught.value.message
    assert "unmount" in caught.value.message
    assert caught.value.data["mounted"] == {shop.layer: "/mnt/x"}
    assert shop.everything() == before
    assert shop.journal() == []


def test_other_layers_mounts_and_counts_of_zero_stop_nothing(shop: Shop) -> None:
    counts = [{"id": "f" * 64, "path": "/mnt/x", "count": 3}, {"id": shop.layer, "path": "/mnt/y", "count": 0}]
    shop.mount_counts.write_text(json.dumps(counts))
    deletion = shop.deletion()
    deletion.prepare()
    with locked(shop) as locks:
        deletion.confirm(locks)
    deletion.abandon()


@pytest.mark.parametrize("text", ["null", ""])
def test_no_mounts_may_be_told_in_any_form_go_writes(shop: Shop, text: str) -> None:
    shop.mount_counts.write_text(text)
    deletion = shop.deletion()
    deletion.prepare()
    deletion.abandon()


def test_counts_that_cannot_be_understood_stop_a_deletion(shop: Shop) -> None:
    shop.mount_counts.write_text("[{")
    with pytest.raises(StoreCorrupt) as caught:
        shop.deletion().prepare()
    assert caught.value.data["file"] == str(shop.mount_counts)


@as_root
def test_a_layer_with_a_mount_below_it_is_refused_whoever_made_that(shop: Shop) -> None:
    point = shop.contents / "merged"
    point.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", point], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        with pytest.raises(ImageInUse) as caught:
            shop.deletion().prepare()
    finally:
        subprocess.run(["umount", point], check=True)
    assert str(point) in caught.value.message


def test_what_is_mounted_after_the_preparation_stops_the_deletion_before_its_first_step(shop: Shop) -> None:
    deletion = shop.deletion()
    deletion.prepare()
    shop.mount_counts.write_text(json.dumps([{"id": shop.layer, "path": "/mnt/x", "count": 1}]))
    before = shop.everything()
    with locked(shop) as locks, pytest.raises(ImageInUse):
        deletion.confirm(locks)
    deletion.abandon()
    assert shop.everything() == before
    assert shop.journal() == []


@as_root
def test_what_root_moves_aside_does_not_lock_the_owner_of_the_store_out(shop: Shop) -> None:
    subprocess.run(["chown", "-R", "12345:12346", str(shop.graphroot)], check=True)
    deletion = shop.deletion()
    deletion.prepare()
    deletion.stage()
    made = [shop.staging, *shop.staging.glob("*-*")]
    made += [*shop.graphroot.glob("*-layers/tmp"), *shop.graphroot.glob("*-layers/tmp/*-*")]
    assert len(made) == 6
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(12345, 12346)}
    assert deletion.finish(nothing, never) == ()


@as_root
def test_a_bind_mount_below_staged_files_is_left_alone_and_named(shop: Shop, tmp_path: Path) -> None:
    deletion = shop.deletion()
    deletion.prepare()
    deletion.stage()
    (point,) = shop.staging.glob(f"temp-dir-*/*-{shop.layer}")
    with precious_at(point, tmp_path):
        (left,) = deletion.finish(nothing, never)
    assert left.path == str(point)
    assert len(shop.journal()) == 1


def test_a_pull_that_copies_out_of_layers_is_named_and_waited_for(overlay: Shop) -> None:
    folder = overlay.graphroot / "overlay" / "staging" / "abc"
    folder.mkdir(parents=True)
    (folder / "staging.lock").touch()
    (folder.parent / "without a lock").mkdir()
    with held_elsewhere(str(folder / "staging.lock")) as pull:
        with pytest.raises(StoreBusy) as caught:
            overlay.deletion().prepare()
        assert caught.value.data["lock"] == str(folder / "staging.lock")
        assert caught.value.data["holder"]["pid"] == pull.pid
        with pytest.raises(StoreBusy):
            overlay.deletion().prepare(deadline=time.monotonic() + 60, cancelled=lambda: True)
        assert pull.stdin is not None
        threading.Timer(0.1, pull.stdin.close).start()
        deletion = overlay.deletion()
        deletion.prepare(deadline=time.monotonic() + 20)
    with locked(overlay) as locks:
        deletion.confirm(locks)
        with held_elsewhere(str(folder / "staging.lock")), pytest.raises(LayersBusy):
            deletion.confirm(locks)
    deletion.abandon()


def test_a_pull_is_never_waited_for_with_a_lock_in_hand_for_it_needs_that_lock_to_end(overlay: Shop) -> None:
    folder = overlay.graphroot / "overlay" / "staging" / "abc"
    folder.mkdir(parents=True)
    (folder / "staging.lock").touch()
    deadline = time.monotonic() + 3600
    locks = [paths.layers_lock(overlay.location.graphroot, "overlay")]
    with (
        held_elsewhere(str(folder / "staging.lock")),
        hold(locks, "exclusive", deadline=deadline, files=overlay.files, metrics=Metrics()),
        pytest.raises(StoreBusy),
    ):
        overlay.deletion().prepare(deadline=deadline)


def test_an_import_that_reads_layers_is_named_and_waited_for(shop: Shop) -> None:
    path = paths.layers_lock(shop.location.graphroot, shop.location.driver)
    with held_elsewhere(path, "read", "flock") as reader:
        with pytest.raises(LayersBusy) as caught:
            shop.deletion().prepare()
        assert caught.value.data["lock"] == path
        assert caught.value.data["holder"]["pid"] == reader.pid
        assert f"pid {reader.pid}" in caught.value.message
        assert shop.journal() == []
        assert reader.stdin is not None
        threading.Timer(0.1, reader.stdin.close).start()
        deletion = shop.deletion()
        deletion.prepare(deadline=time.monotonic() + 20)
    deletion.abandon()


def test_an_import_that_began_after_the_preparation_stops_a_deletion_before_its_first_step(shop: Shop) -> None:
    path = paths.layers_lock(shop.location.graphroot, shop.location.driver)
    before = shop.everything()
    deletion = shop.deletion()
    deletion.prepare()
    with held_elsewhere(path, "read", "flock") as reader:
        with locked(shop) as locks, pytest.raises(LayersBusy) as caught:
            deletion.confirm(locks)
        assert caught.value.data["holder"]["pid"] == reader.pid
        deletion.abandon()
        with locked(shop):
            pass
    assert shop.everything() == before
    assert shop.journal() == []


def test_no_import_begins_between_the_last_look_and_the_end_of_the_hold(shop: Shop) -> None:
    path = paths.layers_lock(shop.location.graphroot, shop.location.driver)
    deletion = shop.deletion()
    deletion.prepare()
    with locked(shop) as locks:
        deletion.confirm(locks)
        assert subprocess.run(["flock", "--shared", "--nonblock", path, "true"], check=False).returncode == 1
        deletion.stage()
    assert subprocess.run(["flock", "--shared", "--nonblock", path, "true"], check=False).returncode == 0
    assert deletion.finish(nothing, never) == ()


def test_layers_never_go_without_their_lock(shop: Shop) -> None:
    deletion = shop.deletion()
    deletion.prepare()
    with pytest.raises(LockOrderViolation):
        deletion.confirm(())
    deletion.abandon()


# -------------------------------------------------------------- what goes wrong


def test_progress_counts_the_trees_that_are_gone(shop: Shop) -> None:
    told: list[tuple[int, int]] = []
    deletion = shop.deletion()
    deletion.prepare()
    deletion.stage()
    deletion.finish(lambda done, total: told.append((done, total)), never)
    total = 4 if shop.location.driver == "overlay" else 3
    assert told == [(number, total) for number in range(1, total + 1)]


def test_a_deletion_that_fails_in_a_strange_way_gives_its_entry_to_recovery(shop: Shop) -> None:
    def strange(done: int, total: int) -> None:
        raise RuntimeError

    before = descriptors()
    deletion = shop.deletion()
    deletion.prepare()
    deletion.stage()
    with pytest.raises(RuntimeError):
        deletion.finish(strange, never)
    assert descriptors() == before
    assert len(shop.journal()) == 1


def test_a_cancelled_deletion_says_what_is_left_to_whom(shop: Shop) -> None:
    deletion = shop.deletion()
    deletion.prepare()
    deletion.stage()
    (left,) = deletion.finish(nothing, lambda: True)
    assert "cancelled" in left.detail
    assert "next start" in left.detail
    assert [seen_by_a_cleaner(lock) for lock in shop.staging.glob("lock-*")] == ["free"]
    assert len(shop.journal()) == 1


def test_a_file_that_cannot_be_removed_is_named_and_the_journal_remembers(shop: Shop) -> None:
    deletion = shop.deletion(FaultyFiles("unlink", path="tar-split.gz", error=errno.EPERM))
    deletion.prepare()
    deletion.stage()
    (left,) = deletion.finish(nothing, never)
    assert left.path.endswith(f"{shop.layer}.tar-split.gz")
    assert "lsattr" in left.detail
    assert not list(shop.staging.glob("*"))
    assert len(shop.journal()) == 1


def test_a_full_disk_while_files_are_moved_can_be_tried_again(shop: Shop) -> None:
    before, victims = shop.everything(), shop.of_the_victims()
    files = FaultyFiles("mkdir", path="-layers/tmp", error=errno.ENOSPC)
    deletion = shop.deletion(files)
    deletion.prepare()
    with pytest.raises(NoSpace):
        deletion.stage()
    files.armed = False
    deletion.stage()
    assert deletion.finish(nothing, never) == ()
    assert shop.everything() == before - victims


def test_files_on_another_file_system_are_removed_where_they_lie(shop: Shop) -> None:
    def of_the_contents(call: Call) -> bool:
        return call.arguments["source"] == str(shop.contents)

    before, victims = shop.everything(), shop.of_the_victims()
    deletion = shop.deletion(FaultyFiles("rename", path=of_the_contents, error=errno.EXDEV))
    deletion.prepare()
    deletion.stage()
    assert not shop.contents.exists()
    assert deletion.finish(nothing, never) == ()
    assert shop.everything() == before - victims


def test_a_deletion_that_breaks_off_leaves_its_journal_entry_to_recovery(shop: Shop) -> None:
    deletion = shop.deletion(
        FaultyFiles("rename", path=lambda call: call.arguments["source"].endswith("tar-split.gz"), error=errno.EIO)
    )
    deletion.prepare()
    with pytest.raises(OSError, match="Input/output"):
        deletion.stage()
    deletion.abandon()
    assert len(shop.journal()) == 1
    assert [seen_by_a_cleaner(lock) for lock in shop.staging.glob("lock-*")] == ["free"]


def test_a_removal_that_cannot_be_flushed_stays_in_the_journal(shop: Shop) -> None:
    files = FaultyFiles("fsync", error=errno.EIO, armed=False)
    deletion = shop.deletion(files)
    deletion.prepare()
    deletion.stage()
    files.armed = True
    assert deletion.finish(nothing, never) == ()
    assert len(shop.journal()) == 1


@pytest.mark.parametrize("change", [{"driver": "btrfs"}, {"image_store": "/elsewhere"}, {"transient": True}])
def test_layers_of_other_stores_are_refused_before_anything_is_done(overlay: Shop, change: dict[str, object]) -> None:
    location = StoreLocation(
        **{"graphroot": overlay.location.graphroot, "runroot": overlay.location.runroot, "driver": "overlay"} | change  # type: ignore[arg-type]
    )
    deletion = LayerDeletion(location, (LayerID(overlay.layer),), files=overlay.files, metrics=Metrics())
    with pytest.raises(StoreUnsupported, match="podman"):
        deletion.prepare()
    assert overlay.journal() == []
