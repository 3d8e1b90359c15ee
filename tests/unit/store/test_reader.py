from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from storaged.metrics import Metrics
from storaged.store import inventory
from storaged.store import reader as reader_module
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.reader import StoreReader, WriterActive
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import StoreBusy, StoreCorrupt
from tests.support.disk import Disk, hexes
from tests.support.files import Call, FaultyFiles
from tests.unit.store.holding import held_elsewhere

FUTURE = 4_000_000_000
"""Seconds since 1970."""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path)
    disk.locks()
    disk.write("layers", [{"id": hexes(10)}, {"id": hexes(11), "parent": hexes(10)}])
    disk.write("images", [{"id": hexes(n), "names": [f"localhost/{n}:1"], "layer": hexes(11)} for n in range(3)])
    return disk


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def reader(disk: Disk, metrics: Metrics) -> Iterator[StoreReader]:
    reader = StoreReader(disk.location, metrics=metrics)
    yield reader
    reader.close()


def interfering(name: str, action: Callable[[], object]) -> FaultyFiles:
    """Does something each time a certain file is about to be opened: a writer that wins the race."""
    return FaultyFiles("open", path=name, before=lambda _: action())


def test_a_load_holds_every_row_in_the_order_of_the_store(disk: Disk, reader: StoreReader) -> None:
    disk.write("containers", [{"id": hexes(20)}])
    disk.write("containers", [{"id": hexes(21)}], volatile=True)
    disk.write("layers", [{"id": hexes(12)}], volatile=True)
    loaded = reader.load()
    tables = loaded.tables
    assert [row.record.id for row in tables.images] == [hexes(0), hexes(1), hexes(2)]
    assert [(row.record.id, row.volatile) for row in tables.layers] == [
        (hexes(10), False),
        (hexes(11), False),
        (hexes(12), True),
    ]
    assert [(row.record.id, row.volatile) for row in tables.containers] == [(hexes(20), False), (hexes(21), True)]
    assert tables.proven
    assert loaded.stamp == reader.stamp()
    assert loaded.decoded == 8


def test_a_reload_reads_and_decodes_only_what_changed(disk: Disk, reader: StoreReader, metrics: Metrics) -> None:
    first = reader.load()
    read, opened = metrics.counters["tables.read"], metrics.counters["files.opened"]
    records = [{"id": hexes(n), "names": [f"localhost/{n}:1"], "layer": hexes(11)} for n in range(3)]
    records[1]["names"] = ["localhost/1:1", "localhost/1:2"]
    disk.write("images", records)
    second = reader.load()
    assert second.decoded == 1
    assert metrics.counters["tables.read"] == read + 1
    assert metrics.counters["files.opened"] == opened + 1
    assert second.tables.images[0] is first.tables.images[0]
    assert second.tables.layers[0] is first.tables.layers[0]


def test_an_unchanged_store_is_loaded_without_opening_a_file(reader: StoreReader, metrics: Metrics) -> None:
    reader.load()
    opened = metrics.counters["files.opened"]
    reader.load()
    assert metrics.counters["files.opened"] == opened
    assert metrics.counters["locks.acquired"] == 0


def test_a_writer_at_work_ends_the_load_at_once_and_is_named(disk: Disk, reader: StoreReader) -> None:
    for lock in inventory.lock_files(disk.location):
        with held_elsewhere(lock) as child:
            with pytest.raises(WriterActive) as caught:
                reader.load()
            assert (caught.value.holder.lock, caught.value.holder.pid) == (lock, child.pid)
            holder = reader.writer()
            assert holder is not None
            assert holder.pid == child.pid
    assert reader.writer() is None
    reader.load()


def test_readers_elsewhere_do_not_stop_a_load(disk: Disk, reader: StoreReader) -> None:
    with held_elsewhere(paths.images_lock(disk.location.graphroot, "vfs"), "read"):
        assert reader.load().tables.proven


def test_a_load_beside_a_writer_is_possible_but_unproven(disk: Disk, reader: StoreReader) -> None:
    with held_elsewhere(paths.layers_lock(disk.location.graphroot, "vfs")):
        loaded = reader.load_unproven()
    assert not loaded.tables.proven
    assert len(loaded.tables.images) == 3


def test_a_change_in_the_middle_of_a_load_loses_the_race_and_is_seen(disk: Disk, metrics: Metrics) -> None:
    changes = iter([[{"id": hexes(7)}]])

    def change_layers() -> None:
        for layers in changes:
            disk.write("layers", layers)

    reader = StoreReader(disk.location, metrics=metrics, files=interfering("images.json", change_layers))
    loaded = reader.load()
    assert [row.record.id for row in loaded.tables.layers] == [hexes(7)]
    assert metrics.counters["loads.lost_races"] == 1
    assert metrics.counters["locks.acquired"] == 0


def test_five_lost_races_are_settled_under_shared_locks(disk: Disk, metrics: Metrics) -> None:
    count = iter(range(5))

    def change() -> None:
        for n in count:
            disk.write("images", [{"id": hexes(100 + n)}])
            return

    reader = StoreReader(disk.location, metrics=metrics, files=interfering("images.json", change))
    loaded = reader.load()
    assert [row.record.id for row in loaded.tables.images] == [hexes(104)]
    assert loaded.tables.proven
    assert metrics.counters["loads.lost_races"] == 5
    assert metrics.counters["locks.acquired"] == 3


def test_a_store_written_without_its_locks_is_busy_not_wrong(disk: Disk, metrics: Metrics) -> None:
    count = iter(range(1000))
    reader = StoreReader(
        disk.location,
        metrics=metrics,
        files=interfering("images.json", lambda: disk.write("images", [{"id": hexes(next(count))}])),
    )
    with pytest.raises(StoreBusy):
        reader.load()


def test_the_fallback_gives_up_in_time_and_names_the_writer(
    disk: Disk, metrics: Metrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "PATIENCE", 0.05)
    lock = paths.layers_lock(disk.location.graphroot, "vfs")
    changes = iter(range(5))

    with ExitStack() as stack:

        def write(call: Call) -> None:
            if call.path == lock:
                if sum(each.path == lock for each in files.calls) == 2:
                    stack.enter_context(held_elsewhere(lock))
            elif (n := next(changes, None)) is not None:
                disk.write("images", [{"id": hexes(n)}])

        files = FaultyFiles("open", path=lambda call: call.path.endswith((lock, "images.json")), before=write)
        reader = StoreReader(disk.location, metrics=metrics, files=files)
        with pytest.raises(StoreBusy) as caught:
            reader.load()
    assert caught.value.data["lock"] == lock
    assert caught.value.data["holder"]["mode"] == "write"
    assert metrics.counters["loads.lost_races"] == 5
    assert metrics.counters["locks.acquired"] == 0


def test_a_cancelled_load_ends(reader: StoreReader) -> None:
    with pytest.raises(StoreBusy):
        reader.load(cancelled=lambda: True)


@pytest.mark.parametrize("data", [b'[{"id":', b"{}", b"\xff\xfe"])
def test_a_torn_table_is_corrupt_and_heals_with_the_file(disk: Disk, reader: StoreReader, data: bytes) -> None:
    reader.load()
    path = disk.write("layers", data)
    for attempt in (reader.load, reader.load_unproven):
        with pytest.raises(StoreCorrupt) as caught:
            attempt()
        assert caught.value.data["file"] == path
    disk.write("layers", [{"id": hexes(10)}])
    assert len(reader.load().tables.layers) == 1


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_corrupt_and_stops_nothing(
    disk: Disk, reader: StoreReader, make: Callable[[str], None]
) -> None:
    path = disk.path("containers")
    make(path)
    with pytest.raises(StoreCorrupt) as caught:
        reader.load()
    assert caught.value.data["file"] == path


def test_a_table_that_cannot_be_read_is_corrupt(disk: Disk, metrics: Metrics) -> None:
    def deny() -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(StoreCorrupt, match="Permission denied"):
        StoreReader(disk.location, metrics=metrics, files=interfering("images.json", deny)).load()


def test_a_bad_record_is_a_flaw_that_says_where(disk: Disk, reader: StoreReader) -> None:
    path = disk.write("images", [{"id": hexes(1)}, {"id": 5, "big-data-names": ["instances.json"]}])
    loaded = reader.load()
    (flaw,) = loaded.tables.flaws
    assert (flaw.file, flaw.index, flaw.table, flaw.store, flaw.evidence) == (path, 1, "images", 0, True)
    assert len(loaded.tables.images) == 1


def test_a_missing_store_is_empty_and_is_not_made(tmp_path: Path, metrics: Metrics) -> None:
    location = StoreLocation(graphroot=str(tmp_path / "g"), runroot=str(tmp_path / "r"), driver="overlay")
    reader = StoreReader(location, metrics=metrics)
    loaded = reader.load()
    assert loaded.tables.images == ()
    assert loaded.tables.proven
    assert reader.freshness == "file system"
    assert list(tmp_path.iterdir()) == []


def test_a_store_without_lock_files_is_read_by_file_identity(tmp_path: Path, metrics: Metrics) -> None:
    disk = Disk(tmp_path)
    disk.write("images", [{"id": hexes(1)}])
    reader = StoreReader(disk.location, metrics=metrics)
    assert reader.load().tables.proven
    freshness = [reader.freshness]
    disk.write("images", [{"id": hexes(2)}])
    assert [row.record.id for row in reader.load().tables.images] == [hexes(2)]
    assert not os.path.exists(paths.images_lock(disk.location.graphroot, "vfs"))
    disk.locks()
    freshness.append(reader.freshness)
    assert freshness == ["file system", "locks"]


def test_additional_stores_are_read_in_order_and_a_missing_one_is_a_flaw(tmp_path: Path, metrics: Metrics) -> None:
    additional = tuple(str(tmp_path / name) for name in ("ro1", "gone", "ro2"))
    disk = Disk(tmp_path, additional=additional)
    for store in (1, 3):
        disk.write("images", [{"id": hexes(store)}], store=store)
        disk.write("layers", [{"id": hexes(10 + store)}], store=store)
        disk.write("layers", [{"id": hexes(20 + store)}], store=store, volatile=True)
    disk.write("images", [{"id": hexes(0)}])
    loaded = StoreReader(disk.location, metrics=metrics).load()
    assert [(row.store, row.record.id) for row in loaded.tables.images] == [(n, hexes(n)) for n in (0, 1, 3)]
    assert [row.store for row in loaded.tables.layers] == [1, 1, 3, 3]
    (flaw,) = loaded.tables.flaws
    assert (flaw.file, flaw.store, flaw.evidence) == (additional[1], 2, False)


def test_a_split_store_has_the_image_stores_layers_and_images(tmp_path: Path, metrics: Metrics) -> None:
    split = str(tmp_path / "split")
    disk = Disk(tmp_path, image_store=split)
    for root, number in ((split, 1), (disk.location.graphroot, 2)):
        for folder, table in (("vfs-layers", "layers.json"), ("vfs-images", "images.json")):
            os.makedirs(os.path.join(root, folder), exist_ok=True)
            Path(root, folder, table).write_text(f'[{{"id":"{hexes(number)}"}}]')
    tables = StoreReader(disk.location, metrics=metrics).load().tables
    assert [(row.store, row.record.id) for row in tables.images] == [(0, hexes(1)), (0, hexes(2))]
    assert [(row.store, row.record.id) for row in tables.layers] == [(0, hexes(2)), (0, hexes(1))]


def test_a_young_table_is_read_again_when_only_the_token_tells(disk: Disk, metrics: Metrics) -> None:
    """A freed inode may come back within one tick of the clock: the same five values, other bytes."""
    seen: dict[str, os.stat_result] = {}

    class Frozen(Files):
        def stat(self, path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
            status = super().stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
            return seen.setdefault(path, status) if path.endswith("images.json") else status

        def fstat(self, fd: int) -> os.stat_result:
            status = super().fstat(fd)
            return next((old for path, old in seen.items() if os.readlink(f"/proc/self/fd/{fd}") == path), status)

    reader = StoreReader(disk.location, metrics=metrics, files=Frozen())
    disk.write("images", [{"id": hexes(1)}])
    path = paths.images_json(disk.location.graphroot, "vfs")
    os.utime(path, (FUTURE, FUTURE))  # still young when a busy machine comes to read it
    assert [row.record.id for row in reader.load().tables.images] == [hexes(1)]
    disk.write("images", [{"id": hexes(2)}])
    assert [row.record.id for row in reader.load().tables.images] == [hexes(2)]


def test_a_closed_reader_leaves_no_descriptor(disk: Disk, metrics: Metrics) -> None:
    before = len(os.listdir("/proc/self/fd"))
    reader = StoreReader(disk.location, metrics=metrics)
    reader.load()
    reader.stamp()
    reader.close()
    assert len(os.listdir("/proc/self/fd")) == before


# ------------------------------------------------------------------ after a change of our own


def written(disk: Disk, records: list[dict[str, object]]) -> dict[str, bytes]:
    """The table of images replaced, as by a commit of ours: its new bytes by path."""
    path = disk.write("images", records)
    return {path: Path(path).read_bytes()}


def test_what_was_just_written_is_adopted_without_opening_a_table(
    disk: Disk, reader: StoreReader, metrics: Metrics
) -> None:
    before = reader.load().tables
    new = written(disk, [{"id": hexes(0), "names": ["localhost/0:1"], "layer": hexes(11)}, {"id": hexes(5)}])
    stamp, read = reader.stamp(), metrics.counters["tables.read"]
    loaded = reader.adopt(stamp, new)
    assert loaded is not None
    assert metrics.counters["tables.read"] == read
    assert ([row.record.id for row in loaded.tables.images], loaded.decoded) == ([hexes(0), hexes(5)], 1)
    assert loaded.tables.images[0].record is before.images[0].record
    assert (loaded.tables.layers, loaded.stamp, loaded.tables.proven) == (before.layers, stamp, True)
    assert reader.load().tables == loaded.tables


@pytest.mark.parametrize("what", ["table", "token"])
def test_nothing_is_adopted_beside_a_change_of_another_table(disk: Disk, reader: StoreReader, what: str) -> None:
    reader.load()
    new = written(disk, [])
    if what == "table":
        disk.write("layers", [], token=False)
    else:
        with open(paths.layers_lock(disk.location.graphroot, "vfs"), "r+b") as lock:
            lock.write(b"x" * 64)
    assert reader.adopt(reader.stamp(), new) is None
    assert reader.load().tables.images == ()


def test_nothing_is_adopted_before_the_first_load_or_over_an_unproven_one(disk: Disk, reader: StoreReader) -> None:
    new = written(disk, [])
    assert reader.adopt(reader.stamp(), new) is None
    reader.load()
    disk.write("layers", [])
    reader.load_unproven()
    assert reader.adopt(reader.stamp(), new) is None


def test_under_our_own_locks_our_locks_are_no_writer_and_those_of_an_additional_store_are(tmp_path: Path) -> None:
    disk = Disk(tmp_path, additional=(str(tmp_path / "more"),))
    locks = disk.locks()
    disk.write("images", [{"id": hexes(1)}])
    reader = StoreReader(disk.location, metrics=Metrics())
    own = inventory.writable_lock_files(disk.location)
    with ExitStack() as stack:
        for path in own:
            stack.enter_context(held_elsewhere(path, language="ofd"))
        with pytest.raises(WriterActive):
            reader.load()
        assert [row.record.id for row in reader.load_locked().tables.images] == [hexes(1)]
        other = next(path for path in locks if path not in own)
        with held_elsewhere(other), pytest.raises(WriterActive, match="more"):
            reader.load_locked()
    reader.close()
