"""A failure of the machine is no damage of the store: nothing is told of it, and it is forgotten when it ends."""

from __future__ import annotations

import errno
import os

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged.engine import reloads
from storaged.engine.cache import Cache
from storaged.engine.sizes import LayerSizes
from storaged.metrics import Metrics
from storaged.operations import store_flaws
from storaged.store.content import ContentReader
from storaged.store.drivers.measuring import Measurer
from storaged.store.files import Files
from storaged.store.layout.records import LayerID
from storaged.store.reader import StoreReader
from storaged_client.contract.errors import StoreBusy
from tests.support.files import Call, FaultyFiles
from tests.support.ground import Ground
from tests.unit.engine.test_sizes import prepared

pytestmark = pytest.mark.anyio

EXHAUSTED = [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINTR]


def cache_over(ground: Ground, files: Files) -> Cache:
    reader = StoreReader(ground.location, metrics=ground.metrics, files=files)
    return Cache(reader, ContentReader(ground.location, ground.metrics, files), ground.metrics)


@pytest.mark.parametrize("number", EXHAUSTED)
@pytest.mark.parametrize("name", ["manifest", "images.json", "images.lock"])
async def test_what_ends_is_forgotten(ground: Ground, number: int, name: str) -> None:
    files = FaultyFiles("open", path=name, error=number, times=3)
    cache = cache_over(ground, files)
    with anyio.fail_after(20):
        await cache.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cache.run)
            snapshot = (await cache.view("strict")).snapshot
            tasks.cancel_scope.cancel()
    assert files.failed == 3
    assert snapshot.evidence == ()
    assert store_flaws.flaws(snapshot) == ()
    assert {image.id for image in snapshot.images if image.dangling} == ground.sample.dangling


async def test_while_it_lasts_the_last_state_is_served_and_nothing_is_evidence(ground: Ground) -> None:
    files = FaultyFiles("open", path="manifest", error=errno.EMFILE, armed=False)
    cache = cache_over(ground, files)
    with anyio.fail_after(20):
        await cache.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cache.run)
            before = (await cache.view()).snapshot
            files.armed = True
            with pytest.raises(StoreBusy) as busy:
                await cache.refresh()
            assert "lacks descriptors or memory" in busy.value.message
            await run_sync(lambda: ground.writer.add_image("new", names=["localhost/new:1"]))
            view = await cache.view()
            assert view.snapshot is before
            assert view.stale is not None
            assert view.stale.reason == "unreadable"
            assert view.stale.file is not None
            assert view.stale.file.endswith("/manifest")
            # Nobody asks: the reload tries again by itself.
            files.armed = False
            await cache.moved(before.generation)
            after = (await cache.view()).snapshot
            assert "localhost/new:1" in after.by_name
            assert after.evidence == ()
            tasks.cancel_scope.cancel()


async def test_a_disk_that_fails_for_good_spoils_one_list_and_no_command_deletes_it(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = await run_sync(lambda: ground.writer.add_image("kept"))
    created = await run_sync(lambda: ground.writer.create_list("localhost/list:1", [image]))

    def of_the_list(call: Call) -> bool:
        folder = call.arguments["dir_fd"]
        inside = folder is not None and os.readlink(f"/proc/self/fd/{folder}").endswith(created)
        return inside and call.path == "manifest"

    files = FaultyFiles("open", path=of_the_list, error=errno.EIO)
    cache = cache_over(ground, files)
    with anyio.fail_after(30):
        await cache.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cache.run)
            snapshot = (await cache.view("strict")).snapshot
            assert [(found.image, found.command) for found in snapshot.evidence] == [(created, "")]
            assert "Input/output error" in snapshot.evidence[0].detail
            assert len(snapshot.images) > 1
            assert not any(each.dangling for each in snapshot.images)
            files.armed = False
            for wait in ("_DAMAGE_LOOK", "_UNSETTLED_LOOK"):
                monkeypatch.setattr(reloads, wait, 0.0)
            assert (await cache.view()).snapshot.evidence == ()
            tasks.cancel_scope.cancel()


class Healing(Files):
    """Gives other bytes for a file of one name, as often as told."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wrong = 0
        self._fds: set[int] = set()

    def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        fd = super().open(path, flags, mode, dir_fd=dir_fd)
        if self.wrong and os.path.basename(path) == self.name:
            self.wrong -= 1
            self._fds.add(fd)
        return fd

    def read(self, fd: int, count: int) -> bytes:
        return b"" if fd in self._fds else super().read(fd, count)

    def close(self, fd: int) -> None:
        self._fds.discard(fd)
        super().close(fd)


async def test_damage_that_a_second_look_does_not_find_is_never_told(ground: Ground) -> None:
    files = Healing("manifest")
    cache = cache_over(ground, files)
    with anyio.fail_after(20):
        await cache.start()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(cache.run)
            files.wrong = 1
            snapshot = (await cache.refresh()).snapshot
            tasks.cancel_scope.cancel()
    assert files.wrong == 0
    assert store_flaws.flaws(snapshot) == ()


async def test_a_list_lost_for_good_is_removed_by_a_command_only_after_two_looks(ground: Ground) -> None:
    image = await run_sync(lambda: ground.writer.add_image("kept"))
    created = await run_sync(lambda: ground.writer.create_list("localhost/list:1", [image]))
    async with ground.running():
        await ground.cache.view()
        read = ground.metrics.counters["manifests.read"]
        images = len((await ground.cache.view()).snapshot.images)
        await run_sync(ground.item(created, "manifest").unlink)
        snapshot = (await ground.cache.refresh()).snapshot
        assert [found.image for found in snapshot.evidence] == [created]
        assert snapshot.evidence[0].command
        assert ground.metrics.counters["manifests.read"] - read == images + 1


async def test_blob_that_cannot_be_read_now_is_no_damaged_image(ground: Ground) -> None:
    async with ground.running():
        record = (await ground.cache.view()).snapshot.images[0].record
    contents = ContentReader(
        ground.location, Metrics(), FaultyFiles("open", path="manifest", error=errno.EMFILE, times=1)
    )
    with pytest.raises(StoreBusy):
        await run_sync(contents.blob, record, 0, "manifest", 1 << 20)
    assert await run_sync(contents.blob, record, 0, "manifest", 1 << 20)


async def test_a_size_that_could_not_be_measured_for_want_of_descriptors_is_measured_later(ground: Ground) -> None:
    """A reason would be kept for as long as the layer is there."""
    _, name = await prepared(ground, 1234)
    layer = LayerID(name)
    files = FaultyFiles("open", path="diff", error=errno.EMFILE, times=1)
    sizes = LayerSizes(Measurer(ground.location, files), ground.metrics)
    with anyio.fail_after(20):
        async with ground.running(), anyio.create_task_group() as tasks:
            tasks.start_soon(sizes.run, ground.cache)
            while layer not in sizes.known.layers:
                assert layer not in sizes.known.reasons
                await anyio.sleep(0.01)
            tasks.cancel_scope.cancel()
    assert files.failed == 1
