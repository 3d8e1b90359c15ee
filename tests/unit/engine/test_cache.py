"""The cache on a real store: fresh by proof, stale beside a writer, whole again by itself."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged.engine.cache import Cache
from storaged.errors import StoreBusy, StoreCorrupt
from storaged.metrics import Metrics
from storaged.snapshot.model import Snapshot
from storaged.store.content import ContentReader
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from tests.ground import Ground, held

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
            assert busy.value.evidence["holder"]["pid"] == pid
            assert busy.value.evidence["lock"] == ground.images_lock
        view = await ground.cache.view()
        assert view.stale is None
        assert "localhost/half:way" in view.snapshot.by_name


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
            assert corrupt.value.evidence["file"] == str(ground.images_json)
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


async def test_cached_view_does_not_look_at_the_store(ground: Ground) -> None:
    async with ground.running():
        before = (await ground.cache.view()).snapshot
        await run_sync(lambda: ground.writer.add_image("unseen"))
        assert (await ground.cache.view("cached")).snapshot is before
