"""The cache on a real store: fresh by proof, stale beside a writer, whole again by itself."""

from __future__ import annotations

import fcntl
import gc
import os
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from itertools import count
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged.engine.cache import Cache
from storaged.metrics import Metrics
from storaged.snapshot.model import Snapshot
from storaged.store.content import ContentReader
from storaged.store.files import Files
from storaged.store.locks.record_lock import FLOCK
from storaged.store.reader import StoreReader, WriterActive
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import StoreBusy, StoreCorrupt
from tests.support.files import Call, FaultyFiles
from tests.support.ground import Ground, held

pytestmark = pytest.mark.anyio


def names(snapshot: Snapshot) -> set[str]:
    return set(snapshot.by_name)


async def replace_name(ground: Ground) -> None:
    """What a writer halfway has done: a whole new table by rename, the lock still held."""
    text = await anyio.Path(ground.images_json).read_text()
    fresh = anyio.Path(ground.images_json.with_name(".tmp-images.json-test"))
    await fresh.write_text(text.replace(next(iter(ground.sample.names)), "localhost/half:way"))
    await fresh.rename(ground.images_json)


async def test_first_view_is_the_whole_store(ground: Ground) -> None:
    async with ground.running():
        view = await ground.cache.view()
        assert {image.id for image in view.snapshot.images} == set(ground.sample.images)
        assert {image.id for image in view.snapshot.images if image.dangling} == ground.sample.dangling
        assert view.stale is None


async def test_steady_read_takes_no_lock_and_opens_no_file(ground: Ground) -> None:
    async with ground.running():
        first = await ground.cache.view()
        before = dict(ground.metrics.counters)
        for _ in range(100):
            assert (await ground.cache.view()).snapshot is first.snapshot
        after = ground.metrics.counters
        for counter in ("locks.acquired", "files.opened", "loads"):
            assert after[counter] == before.get(counter, 0), counter
        assert after["locks.acquired"] == 0


async def test_foreign_tag_at_800_images_decodes_one_record_and_reads_no_manifest(big_ground: Ground) -> None:
    ground = big_ground
    async with ground.running():
        await ground.cache.view()
        before = dict(ground.metrics.counters)
        image = next(iter(ground.sample.dangling))
        await run_sync(lambda: ground.writer.set_names(image, ["localhost/just:tagged"]))
        view = await ground.cache.view()
        assert view.snapshot.by_name["localhost/just:tagged"].id == image
        after = ground.metrics.counters
        assert after["records.decoded"] - before["records.decoded"] == 1
        assert after["manifests.read"] - before["manifests.read"] == 0
        assert after["configs.read"] - before["configs.read"] == 0
        assert after["locks.acquired"] == 0


async def test_every_foreign_change_shows_in_the_next_read(ground: Ground) -> None:
    async with ground.running():
        generations = {(await ground.cache.view()).snapshot.generation}
        image = await run_sync(lambda: ground.writer.add_image("new", names=["localhost/new:1"]))
        view = await ground.cache.view()
        assert names(view.snapshot) == {*ground.sample.names, "localhost/new:1"}
        generations.add(view.snapshot.generation)
        created = await run_sync(lambda: ground.writer.create_list(None, [image]))
        view = await ground.cache.view()
        assert view.snapshot.by_id[image].in_lists == (created,)
        generations.add(view.snapshot.generation)
        await run_sync(lambda: ground.writer.remove_record(created))
        view = await ground.cache.view()
        assert view.snapshot.by_id[image].in_lists == ()
        generations.add(view.snapshot.generation)
        assert len(generations) == 4


async def test_token_without_a_change_keeps_the_generation(ground: Ground) -> None:
    async with ground.running():
        before = (await ground.cache.view()).snapshot
        await anyio.Path(ground.images_lock).write_bytes(b"t" * 64)
        assert (await ground.cache.view()).snapshot is before


async def test_locked_but_unchanged_is_not_stale(ground: Ground) -> None:
    async with ground.running():
        await ground.cache.view()
        async with held(ground.images_lock):
            assert (await ground.cache.view()).stale is None


async def test_changed_beside_a_writer_is_stale_and_names_it(ground: Ground) -> None:
    async with ground.running():
        before = (await ground.cache.view()).snapshot
        async with held(ground.images_lock) as pid:
            await replace_name(ground)
            for _ in range(3):
                view = await ground.cache.view()
                assert view.snapshot is before
                assert view.stale is not None
                assert view.stale.reason == "locked"
                assert view.stale.holder is not None
                assert view.stale.holder.pid == pid
            with pytest.raises(StoreBusy) as busy:
                await ground.cache.view("strict", 0.1)
            assert busy.value.data["holder"]["pid"] == pid
            assert busy.value.data["lock"] == ground.images_lock
        view = await ground.cache.view()
        assert view.stale is None
        assert "localhost/half:way" in view.snapshot.by_name


@pytest.mark.usefixtures("no_collection")
async def test_a_load_that_met_a_writer_leaves_nothing_behind(ground: Ground) -> None:
    async with ground.running():
        await ground.cache.view()
        async with held(ground.images_lock):
            await replace_name(ground)
            for _ in range(3):
                await ground.cache.view()
        assert ground.metrics.counters["reads.stale.locked"] == 3
        assert not [each for each in gc.get_objects() if isinstance(each, WriterActive)]


async def test_strict_waits_for_the_writer_to_end(ground: Ground) -> None:
    async with ground.running():
        await ground.cache.view()
        answers: list[bool] = []

        async def ask() -> None:
            view = await ground.cache.view("strict", 20)
            answers.append("localhost/half:way" in view.snapshot.by_name and view.stale is None)

        async with anyio.create_task_group() as tasks, held(ground.images_lock):
            await replace_name(ground)
            tasks.start_soon(ask)
            await anyio.sleep(0.2)
            assert answers == []
        assert answers == [True]


async def test_started_beside_a_writer_serves_what_it_can_read_and_calls_nothing_dangling(ground: Ground) -> None:
    async with AsyncExitStack() as hold:
        await hold.enter_async_context(held(ground.images_lock))
        async with ground.running():
            view = await ground.cache.view()
            assert view.stale is not None
            assert view.stale.reason == "incomplete"
            assert {image.id for image in view.snapshot.images} == set(ground.sample.images)
            assert not any(image.dangling for image in view.snapshot.images)
            with pytest.raises(StoreBusy):
                await ground.cache.view("strict", 0.05)
            await hold.aclose()
            view = await ground.cache.view()
            assert view.stale is None
            assert {image.id for image in view.snapshot.images if image.dangling} == ground.sample.dangling


async def test_torn_table_serves_the_last_state_and_heals(ground: Ground) -> None:
    async with ground.running():
        before = (await ground.cache.view()).snapshot
        table = anyio.Path(ground.images_json)
        whole = await table.read_bytes()
        await table.write_bytes(whole[: len(whole) // 2])
        view = await ground.cache.view()
        assert view.snapshot is before
        assert view.stale is not None
        assert (view.stale.reason, view.stale.file) == ("unreadable", str(ground.images_json))
        with pytest.raises(StoreCorrupt):
            await ground.cache.view("strict", 0.1)
        await table.write_bytes(whole)
        assert (await ground.cache.view()).stale is None


async def test_torn_table_without_an_earlier_state_is_an_error_until_it_heals(ground: Ground) -> None:
    table = anyio.Path(ground.images_json)
    whole = await table.read_bytes()
    await table.write_bytes(b'[{"id": "')
    async with ground.running():
        for _ in range(2):
            with pytest.raises(StoreCorrupt) as corrupt:
                await ground.cache.view()
            assert corrupt.value.data["file"] == str(ground.images_json)
        await table.write_bytes(whole)
        assert {image.id for image in (await ground.cache.view()).snapshot.images} == set(ground.sample.images)


async def test_lost_manifest_of_a_list_makes_nothing_dangling_until_it_is_back(ground: Ground) -> None:
    async with ground.running():
        image = await run_sync(lambda: ground.writer.add_image("kept"))
        created = await run_sync(lambda: ground.writer.create_list("localhost/list:1", [image]))
        assert not (await ground.cache.view()).snapshot.evidence
        manifest = anyio.Path(ground.item(created, "manifest"))
        content = await manifest.read_bytes()
        await manifest.unlink()
        view = await ground.cache.refresh()
        assert [found.image for found in view.snapshot.evidence] == [created]
        assert not any(each.dangling for each in view.snapshot.images)
        # What the list is known to have named goes on being named.
        assert view.snapshot.by_id[image].in_lists == (created,)
        await manifest.write_bytes(content)
        with anyio.fail_after(5):
            while (await ground.cache.view()).snapshot.evidence:
                await anyio.lowlevel.checkpoint()
        view = await ground.cache.view()
        assert {each.id for each in view.snapshot.images if each.dangling} == ground.sample.dangling


async def test_missing_graphroot_is_an_empty_store_and_stays_missing(tmp_path: Path) -> None:
    location = StoreLocation(graphroot=str(tmp_path / "none"), runroot=str(tmp_path / "norun"), driver="overlay")
    metrics = Metrics()
    cache = Cache(StoreReader(location, metrics=metrics), ContentReader(location, metrics), metrics)
    await cache.start()
    view = await cache.view()
    assert view.snapshot.images == ()
    assert not await anyio.Path(tmp_path / "none").exists()


async def test_fifty_readers_of_one_change_share_one_reload(ground: Ground) -> None:
    async with ground.running():
        await ground.cache.view()
        loads = ground.metrics.counters["loads"]
        await run_sync(lambda: ground.writer.add_image("once", names=["localhost/once:1"]))
        seen: list[bool] = []

        async def read() -> None:
            seen.append("localhost/once:1" in (await ground.cache.view()).snapshot.by_name)

        async with anyio.create_task_group() as tasks:
            for _ in range(50):
                tasks.start_soon(read)
        assert seen == [True] * 50
        assert ground.metrics.counters["loads"] - loads <= 2


@contextmanager
def held_here(path: str) -> Iterator[None]:
    """Hold a lock file for writing by an open file description of this process: no pid is told of it."""
    fd = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        yield
    finally:
        os.close(fd)


def cache_over(ground: Ground, files: Files) -> Cache:
    """A second cache of the same store, whose disk does what the test wants."""
    reader = StoreReader(ground.location, metrics=ground.metrics, files=files)
    return Cache(reader, ContentReader(ground.location, ground.metrics, files), ground.metrics)


def gated(name: str, action: Callable[[], object]) -> FaultyFiles:
    """Calls ``action`` before a worker thread opens a file of this name."""
    return FaultyFiles("open", path=lambda call: call.path.endswith(name) and in_worker(), before=lambda _: action())


def in_worker() -> bool:
    return threading.current_thread() is not threading.main_thread()


async def test_busy_names_the_holder_of_a_lock_that_belongs_to_no_process(ground: Ground) -> None:
    async with ground.running():
        await ground.cache.view()
        with held_here(ground.images_lock):
            await replace_name(ground)
            for ask in (lambda: ground.cache.view("strict", 0.1), lambda: ground.cache.refresh(0.1)):
                with pytest.raises(StoreBusy) as busy:
                    await ask()
                assert busy.value.data["holder"]["pid"] == os.getpid()
                assert f"pid {os.getpid()}" in busy.value.message


async def test_reader_that_saw_no_writer_is_not_kept_by_one_that_comes_after(ground: Ground) -> None:
    async with ground.running():
        await ground.cache.view()
        answers: list[str | None] = []

        async def ask() -> None:
            view = await ground.cache.view()
            answers.append(view.stale.reason if view.stale else None)

        with anyio.fail_after(5):
            async with anyio.create_task_group() as tasks:
                with ExitStack() as hold:
                    hold.enter_context(held_here(ground.images_lock))
                    await replace_name(ground)
                    await ask()  # from now on the end of the hold is waited for
                    await anyio.sleep(0.01)  # away from the next look for it, which comes when this one gave up
                    hold.close()
                    tasks.start_soon(ask)
                    for _ in range(3):
                        await anyio.lowlevel.checkpoint()
                    hold.enter_context(held_here(ground.images_lock))
                    while len(answers) < 2:  # noqa: ASYNC110 - bounded by fail_after
                        await anyio.sleep(0.01)
        assert answers[0] == "locked"


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
async def test_lock_file_that_is_no_file_makes_the_store_unreadable_at_once(
    ground: Ground, make: Callable[[str], None]
) -> None:
    async with ground.running():
        before = (await ground.cache.view()).snapshot
        await anyio.Path(ground.images_lock).unlink()
        make(ground.images_lock)
        with anyio.fail_after(5):
            view = await ground.cache.view()
        assert view.snapshot is before
        assert view.stale is not None
        assert (view.stale.reason, view.stale.file) == ("unreadable", ground.images_lock)


async def test_cached_view_of_what_was_read_beside_a_writer_is_incomplete(ground: Ground) -> None:
    async with held(ground.images_lock), ground.running():
        view = await ground.cache.view("cached")
        assert view.stale is not None
        assert view.stale.reason == "incomplete"


async def test_each_reader_of_a_torn_store_gets_an_error_of_its_own(ground: Ground) -> None:
    await anyio.Path(ground.images_json).write_bytes(b'[{"id": "')
    async with ground.running():
        errors = []
        for _ in range(3):
            with pytest.raises(StoreCorrupt) as corrupt:
                await ground.cache.view()
            errors.append(corrupt.value)
    assert len({id(error) for error in errors}) == 3
    assert len({len(traceback.extract_tb(error.__traceback__)) for error in errors}) == 1


async def test_refresh_does_not_report_what_a_load_before_it_met(ground: Ground) -> None:
    met, go, torn = threading.Event(), threading.Event(), threading.Event()

    looks = count(1)

    def wait(_: Call) -> None:
        """Keeps the load that met the torn table from ending: its last stamp has passed that table already."""
        if next(looks) == 2:
            met.set()
            go.wait(10)

    def later(call: Call) -> bool:
        return in_worker() and torn.is_set() and call.path.endswith("/containers.json")

    cache = cache_over(ground, FaultyFiles("stat", path=later, before=wait))
    await cache.start()
    table = anyio.Path(ground.images_json)
    whole = await table.read_bytes()
    refreshed: list[bool] = []

    async def refresh() -> None:
        refreshed.append((await cache.refresh()).stale is None)

    async with anyio.create_task_group() as running:
        running.start_soon(cache.run)
        await table.write_bytes(whole[:100])
        torn.set()
        async with anyio.create_task_group() as query_context:
            query_context.start_soon(cache.view)
            await run_sync(met.wait, 10)
            await table.write_bytes(whole)
            query_context.start_soon(refresh)
            await anyio.lowlevel.checkpoint()
            go.set()
        running.cancel_scope.cancel()
    assert refreshed == [True]


async def test_start_that_is_cancelled_reads_no_further(ground: Ground) -> None:
    reading, cancelled = threading.Event(), threading.Event()

    def wait() -> None:
        reading.set()
        cancelled.wait(10)

    cache = cache_over(ground, gated("manifest", wait))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.start)
        await run_sync(reading.wait, 10)
        tasks.cancel_scope.cancel()
        with anyio.CancelScope(shield=True):
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
        cancelled.set()
    assert ground.metrics.counters["manifests.read"] == 1
    assert cache.snapshot is None


async def test_data_changed_by_a_writer_that_is_not_done_is_no_state_of_the_store(ground: Ground) -> None:
    """Up to 1.46 a writer replaces a manifest, then the table, then the token: the stamp alone tells nothing."""
    image = await run_sync(lambda: ground.writer.add_image("kept"))
    created = await run_sync(lambda: ground.writer.create_list("localhost/list:1", [image]))
    manifest = ground.item(created, "manifest")
    whole = await run_sync(manifest.read_bytes)
    with ExitStack() as hold:

        def begin_to_write() -> None:
            if manifest.read_bytes() == whole:
                hold.enter_context(held_here(ground.images_lock))
                manifest.write_bytes(whole + b" ")

        cache = cache_over(ground, gated("manifest", begin_to_write))
        await cache.start()
        assert cache.snapshot is not None
        assert not cache.snapshot.proven
        hold.close()


async def test_cached_view_does_not_look_at_the_store(ground: Ground) -> None:
    async with ground.running():
        before = (await ground.cache.view()).snapshot
        await run_sync(lambda: ground.writer.add_image("unseen"))
        assert (await ground.cache.view("cached")).snapshot is before


_NEVER_PAUSING = """
import fcntl, os, sys, time
lock, table, old = open(sys.argv[1], "r+b"), sys.argv[2], sys.argv[3]
text = open(table).read()
for number in range(10**9):
    fcntl.lockf(lock, fcntl.LOCK_EX)
    lock.seek(0)
    lock.write(os.urandom(64))
    lock.flush()
    with open(table + ".new", "w") as fresh:
        fresh.write(text.replace(old, f"localhost/round:{number}"))
    os.rename(table + ".new", table)
    if number == 0:
        print("begun", end="", flush=True)
    time.sleep(0.005)
    fcntl.lockf(lock, fcntl.LOCK_UN)
"""


# Each look at the locks is a race for a gap of microseconds, and a busy machine looks less often.
@pytest.mark.timeout(180)
async def test_a_writer_that_never_pauses_keeps_nobody_from_a_current_state_for_ever(ground: Ground) -> None:
    async with ground.running():
        first = await ground.cache.view()
        name = next(iter(ground.sample.names))
        command = [sys.executable, "-c", _NEVER_PAUSING, ground.images_lock, str(ground.images_json), name]
        async with await anyio.open_process(command, stderr=None) as rival:
            assert rival.stdout is not None
            assert await rival.stdout.receive() == b"begun"
            seen = {first.generation}
            while len(seen) < 2:
                view = await ground.cache.view()
                assert view.snapshot.proven
                seen.add(view.generation)
                await anyio.sleep(0.01)
            rival.kill()
        # The locks were ours for as long as a read of the tables takes, each time they were had.
        assert ground.metrics.counters["loads.shared"] >= 1
        assert ground.metrics.counters["locks.held.images.lock.count"] <= ground.metrics.counters["loads.shared"]
