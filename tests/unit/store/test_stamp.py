from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storaged.metrics import Metrics
from storaged.store import inventory
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.stamp import StampWatch
from storaged.store.tables import StoreLocation
from tests.support.disk import Disk, hexes
from tests.support.files import FaultyFiles
from tests.unit.store.holding import held_elsewhere


def watch_of(location: StoreLocation, files: Files | None = None, metrics: Metrics | None = None) -> StampWatch:
    tables = [table.path for table in inventory.table_files(location)]
    return StampWatch(inventory.lock_files(location), tables, files or Files(), metrics or Metrics())


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path)
    disk.locks()
    disk.write("images", [])
    disk.write("layers", [])
    return disk


def test_an_unchanged_store_has_equal_stamps_for_every_watch(disk: Disk) -> None:
    watch = watch_of(disk.location)
    assert watch.take() == watch.take() == watch_of(disk.location).take()


@pytest.mark.parametrize(
    ("kind", "volatile"),
    [("images", False), ("layers", False), ("layers", True), ("containers", False), ("containers", True)],
)
def test_every_table_is_in_the_stamp(disk: Disk, kind: str, volatile: bool) -> None:
    watch = watch_of(disk.location)
    before = watch.take()
    disk.write(kind, [{"id": hexes(1)}], volatile=volatile, token=False)
    assert watch.take() != before


def test_a_table_that_vanishes_changes_the_stamp(disk: Disk) -> None:
    watch = watch_of(disk.location)
    before = watch.take()
    os.unlink(disk.path("images"))
    assert watch.take() != before


def test_a_token_alone_changes_the_stamp(disk: Disk) -> None:
    watch = watch_of(disk.location)
    before = watch.take()
    with open(paths.images_lock(disk.location.graphroot, "vfs"), "r+b") as lock:
        lock.write(b"x" * 64)
    assert watch.take() != before


def test_a_replaced_lock_file_is_noticed_and_opened_again(disk: Disk) -> None:
    metrics = Metrics()
    watch = watch_of(disk.location, metrics=metrics)
    before = watch.take()
    opened = metrics.counters["files.opened"]
    lock = paths.images_lock(disk.location.graphroot, "vfs")
    Path(lock + ".new").write_bytes(b"")
    os.rename(lock + ".new", lock)
    assert watch.take() != before
    assert metrics.counters["files.opened"] == opened + 1
    with held_elsewhere(lock):
        holder = watch.writer()
    assert holder is not None
    assert holder.lock == lock


def test_nothing_is_opened_in_the_steady_state(disk: Disk) -> None:
    files = FaultyFiles("open")
    watch = watch_of(disk.location, files)
    watch.take()
    first = len(files.calls)
    for _ in range(100):
        watch.take()
        watch.writer()
    assert (first, len(files.calls)) == (3, 3)


def test_a_missing_store_has_a_stamp_and_stays_missing(tmp_path: Path) -> None:
    location = StoreLocation(graphroot=str(tmp_path / "g"), runroot=str(tmp_path / "r"), driver="overlay")
    watch = watch_of(location)
    before = watch.take()
    assert before == watch.take()
    assert watch.writer() is None
    assert len(watch.unreadable()) == 3
    assert list(tmp_path.iterdir()) == []
    os.makedirs(tmp_path / "g" / "overlay-images")
    (tmp_path / "g" / "overlay-images" / "images.lock").touch()
    assert watch.take() != before


def test_what_cannot_be_looked_at_is_a_value_of_its_own(disk: Disk) -> None:
    denied = watch_of(disk.location, FaultyFiles("stat", path="images.json", error=errno.EACCES)).take()
    assert denied != watch_of(disk.location).take()
    os.unlink(disk.path("images"))
    assert denied != watch_of(disk.location).take()


def test_a_fifo_in_place_of_a_lock_file_stops_nothing(disk: Disk) -> None:
    lock = paths.images_lock(disk.location.graphroot, "vfs")
    os.unlink(lock)
    os.mkfifo(lock)
    watch = watch_of(disk.location)
    assert watch.take() == watch.take()


def test_the_writer_of_any_lock_is_seen(disk: Disk) -> None:
    watch = watch_of(disk.location)
    watch.take()
    for lock in inventory.lock_files(disk.location):
        with held_elsewhere(lock) as child:
            holder = watch.writer()
            assert holder is not None
            assert (holder.lock, holder.pid) == (lock, child.pid)
        assert watch.writer() is None


def test_a_holder_is_named_anew_at_each_hold(disk: Disk) -> None:
    """A pid may come back as another program's."""
    names = iter([b"podman\n", b"buildah\n"])

    class Renaming(Files):
        comm = -1
        parts: Iterator[bytes] = iter(())

        def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
            fd = super().open(path, flags, mode, dir_fd=dir_fd)
            if path.endswith("/comm"):
                self.comm, self.parts = fd, iter([next(names), b""])
            return fd

        def read(self, fd: int, count: int) -> bytes:
            part = next(self.parts, None) if fd == self.comm else None
            return super().read(fd, count) if part is None else part

    lock = paths.images_lock(disk.location.graphroot, "vfs")
    watch = watch_of(disk.location, Renaming())
    watch.take()
    found: list[str | None] = []
    with held_elsewhere(lock) as child:
        for _ in range(2):
            holder = watch.writer()
            assert holder is not None
            found.append(holder.command)
        os.rename(lock, lock + ".aside")
        Path(lock).touch()
        watch.take()
        assert watch.writer() is None
        os.rename(lock + ".aside", lock)
        watch.take()
        holder = watch.writer()
        assert holder is not None
        assert holder.pid == child.pid
        found.append(holder.command)
    assert found == ["podman", "podman", "buildah"]


def test_closed_watches_leave_no_descriptor(disk: Disk) -> None:
    before = len(os.listdir("/proc/self/fd"))
    watch = watch_of(disk.location)
    watch.take()
    assert len(os.listdir("/proc/self/fd")) == before + 3
    watch.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.fixture
def writer_elsewhere(disk: Disk) -> Iterator[int]:
    with held_elsewhere(paths.images_lock(disk.location.graphroot, "vfs")) as child:
        yield child.pid


@pytest.mark.anyio
async def test_stamp_and_probe_may_run_on_the_event_loop(disk: Disk, writer_elsewhere: int) -> None:
    """The detector of blocking calls watches; a lock file is opened and a holder named on the way."""
    watch = watch_of(disk.location)
    assert watch.take() == watch.take()
    holder = watch.writer()
    assert holder is not None
    assert holder.pid == writer_elsewhere
    watch.close()
