"""The walker: each unknown size once, in the background, told by the next generation."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged.engine.cache import Cache
from storaged.engine.sizes import LayerSizes
from storaged.metrics import Metrics
from storaged.snapshot.model import Snapshot
from storaged.store.content import ContentReader
from storaged.store.drivers.measuring import Measurer
from storaged.store.layout import paths
from storaged.store.layout.records import ContainerID, LayerID
from tests.support.files import FaultyFiles
from tests.support.ground import DRIVER, Ground, held

pytestmark = pytest.mark.anyio


class Store:
    """The layers of a ground, changed as another tool changes them."""

    def __init__(self, ground: Ground) -> None:
        self.ground = ground
        self.table = Path(paths.layers_json(ground.location.graphroot, DRIVER))

    def change(self, edit: Callable[[list[dict[str, Any]]], None]) -> None:
        rows = json.loads(self.table.read_text())
        edit(rows)
        fresh = self.table.with_name(".tmp-layers.json-test")
        fresh.write_text(json.dumps(rows))
        Path(paths.layers_lock(self.ground.location.graphroot, DRIVER)).write_bytes(os.urandom(64))
        fresh.rename(self.table)

    def forget_size(self, layer: str) -> None:
        def edit(rows: list[dict[str, Any]]) -> None:
            for row in rows:
                if row["id"] == layer:
                    row.pop("diff-digest")
                    row.pop("diff-size")

        self.change(edit)

    def fill(self, layer: str, size: int) -> None:
        folder = Path(paths.layer_contents(self.ground.location.graphroot, DRIVER, LayerID(layer))) / "diff"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file").write_bytes(b"x" * size)

    def tops(self) -> list[str]:
        """Top layers of images that nothing stands on, in the order of the table."""
        rows = json.loads(self.table.read_text())
        parents = {row.get("parent") for row in rows}
        images = {row.get("layer") for row in json.loads(self.ground.images_json.read_text())}
        return [row["id"] for row in rows if row["id"] in images - parents and row.get("diff-digest")]


async def prepared(ground: Ground, size: int | None) -> tuple[Store, str]:
    """A store with one top layer whose size no record tells; ``size`` bytes are in its folder, None: it has none."""

    def prepare() -> tuple[Store, str]:
        store = Store(ground)
        layer = store.tops()[0]
        store.forget_size(layer)
        if size is not None:
            store.fill(layer, size)
        return store, layer

    return await run_sync(prepare)


@asynccontextmanager
async def measuring(ground: Ground) -> AsyncIterator[None]:
    async with ground.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(ground.sizes.run, ground.cache)
        yield
        tasks.cancel_scope.cancel()


async def until(cache: Cache, holds: Callable[[Snapshot], bool]) -> Snapshot:
    """The first snapshot of which it holds."""
    while True:
        snapshot = cache.snapshot
        assert snapshot is not None
        if holds(snapshot):
            return snapshot
        await cache.moved(snapshot.generation)


def is_measured(layer: str) -> Callable[[Snapshot], bool]:
    return lambda snapshot: snapshot.layer_by_id[LayerID(layer)].size is not None


async def test_an_unknown_size_is_told_by_a_later_generation(ground: Ground) -> None:
    _, layer = await prepared(ground, 1234)
    async with ground.running():
        before = (await ground.cache.view()).snapshot
        image = next(image for image in before.images if image.record.layer == layer)
        assert (image.size, image.size_pending, before.layer_by_id[LayerID(layer)].size) == (None, True, None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ground.sizes.run, ground.cache)
            after = await until(ground.cache, is_measured(layer))
            tasks.cancel_scope.cancel()
    assert after.generation != before.generation
    assert after.layer_by_id[LayerID(layer)].size == 1234
    measured = after.by_id[image.id]
    assert measured.size is not None
    assert not measured.size_pending
    assert ground.metrics.counters["locks.acquired"] == 0


async def test_each_size_is_measured_once_whatever_else_changes(ground: Ground) -> None:
    store, layer = await prepared(ground, 10)
    async with measuring(ground):
        await until(ground.cache, is_measured(layer))
        settled = ground.metrics.counters["sizes.measured"], ground.metrics.counters["sizes.unknown"]
        await run_sync(lambda: (store.fill(layer, 99), ground.writer.add_image("more", names=["localhost/more:1"])))
        snapshot = (await ground.cache.view()).snapshot
        assert "localhost/more:1" in snapshot.by_name
        await ground.sizes.renew(ground.cache, 5)
        assert (ground.metrics.counters["sizes.measured"], ground.metrics.counters["sizes.unknown"]) == settled
        assert snapshot.layer_by_id[LayerID(layer)].size == 10


async def test_a_size_that_cannot_be_had_is_null_with_its_reason_and_not_pending(ground: Ground) -> None:
    layer = LayerID((await prepared(ground, None))[1])
    async with measuring(ground):
        snapshot = await until(ground.cache, lambda snapshot: not snapshot.layer_by_id[layer].size_pending)
    found = snapshot.layer_by_id[layer]
    assert (found.size, found.size_reason is not None and "missing" in found.size_reason) == (None, True)
    assert not any(image.size_pending for image in snapshot.images)


async def test_a_layer_that_vanishes_is_forgotten(ground: Ground) -> None:
    store, layer = await prepared(ground, 10)
    async with measuring(ground):
        await until(ground.cache, is_measured(layer))
        assert LayerID(layer) in ground.sizes.known.layers
        await run_sync(lambda: store.change(lambda rows: rows.remove(next(r for r in rows if r["id"] == layer))))
        snapshot = (await ground.cache.view()).snapshot
        assert LayerID(layer) not in snapshot.layer_by_id
        await ground.sizes.renew(ground.cache, 5)
        assert LayerID(layer) not in ground.sizes.known.layers
        assert ground.metrics.counters["sizes.forgotten"] == 1


async def test_containers_are_measured_again_when_usage_is_asked(ground: Ground) -> None:
    store = Store(ground)
    layer = LayerID("c" * 64)

    def prepare() -> None:
        store.change(lambda rows: rows.append({"id": layer, "parent": rows[0]["id"]}))
        container = {"id": "d" * 64, "names": ["one"], "image": next(iter(ground.sample.images)), "layer": layer}
        table = Path(paths.containers_json(ground.location.graphroot, DRIVER))
        table.write_text(json.dumps([container]))
        store.fill(layer, 100)

    await run_sync(prepare)
    async with measuring(ground):
        await ground.sizes.renew(ground.cache, 5)
        snapshot = ground.cache.snapshot
        assert snapshot is not None
        assert snapshot.layer_by_id[layer].containers
        assert snapshot.layer_by_id[layer].size == 100
        await run_sync(lambda: store.fill(layer, 250))
        # What was measured a moment ago is left as it is for a moment.
        while snapshot.layer_by_id[layer].size != 250:
            await ground.sizes.renew(ground.cache, 5)
            snapshot = ground.cache.snapshot


async def test_files_of_containers_are_measured_when_usage_is_asked_and_forgotten_with_them(ground: Ground) -> None:
    graphroot, runroot = ground.location.graphroot, ground.location.runroot
    table = Path(paths.containers_json(graphroot, DRIVER))
    container = ContainerID("d" * 64)

    def record(rows: list[dict[str, Any]]) -> None:
        Path(paths.containers_lock(graphroot, DRIVER)).write_bytes(os.urandom(64))
        table.write_text(json.dumps(rows))

    def prepare() -> None:
        record([{"id": container, "names": ["one"], "image": next(iter(ground.sample.images))}])
        for root, size in ((graphroot, 10), (runroot, 5)):
            folder = Path(paths.container_files(root, DRIVER, container))
            folder.mkdir(parents=True)
            (folder / "file").write_bytes(b"x" * size)

    await run_sync(prepare)
    async with measuring(ground):
        await ground.sizes.renew(ground.cache, 5)
        assert ground.cache.snapshot is not None
        assert ground.cache.snapshot.known_sizes.containers == {container: 15}
        await run_sync(record, [])
        snapshot = (await ground.cache.view()).snapshot
        assert not snapshot.containers
        await ground.sizes.renew(ground.cache, 5)
        assert container not in ground.sizes.known.containers


async def test_volumes_are_measured_when_usage_is_asked(ground: Ground) -> None:
    data = Path(paths.volume_data(ground.location.graphroot, "v"))

    def prepare() -> None:
        data.mkdir(parents=True)
        (data / "f").write_bytes(b"x" * 77)

    async with measuring(ground):
        await ground.sizes.renew(ground.cache, 5)
        assert ground.sizes.known.volumes is None
        await run_sync(prepare)
        await ground.sizes.renew(ground.cache, 5)
        assert ground.sizes.known.volumes == {"v": 77}
        assert ground.cache.snapshot is not None
        assert ground.cache.snapshot.known_sizes is ground.sizes.known


async def test_readers_do_not_wait_while_sizes_are_measured(ground: Ground) -> None:
    _, layer = await prepared(ground, 10)
    reached, go = threading.Event(), threading.Event()
    files = FaultyFiles("open", before=lambda _: (reached.set(), go.wait()))
    sizes = LayerSizes(Measurer(ground.location, files), Metrics())
    cache = Cache(
        ground.reader, ContentReader(ground.location, ground.metrics), ground.metrics, known_sizes=lambda: sizes.known
    )
    await cache.start()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(cache.run)
        tasks.start_soon(sizes.run, cache)
        try:
            await run_sync(reached.wait)
            view = await cache.view()
            assert view.snapshot.layer_by_id[LayerID(layer)].size_pending
            await sizes.renew(cache, 0.01)
            assert (await cache.view()).snapshot is view.snapshot
        finally:
            go.set()
        await until(cache, is_measured(layer))
        tasks.cancel_scope.cancel()


async def test_a_measurement_under_way_ends_with_the_daemon_and_leaves_no_descriptor(ground: Ground) -> None:
    _, layer = await prepared(ground, 10)
    folder = Path(paths.layer_contents(ground.location.graphroot, DRIVER, LayerID(layer)))

    def fill() -> None:
        for number in range(2000):
            (folder / "diff" / str(number)).write_bytes(b"")

    def open_there() -> list[str]:
        found = []
        for name in os.listdir("/proc/self/fd"):
            try:
                found.append(os.readlink(f"/proc/self/fd/{name}"))
            except FileNotFoundError:
                continue
        return [path for path in found if path.startswith(str(folder))]

    await run_sync(fill)
    began = threading.Event()
    files = FaultyFiles("open", before=lambda _: began.set())
    sizes = LayerSizes(Measurer(ground.location, files), Metrics())
    async with ground.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(sizes.run, ground.cache)
        await run_sync(began.wait)
        tasks.cancel_scope.cancel()
    assert await run_sync(open_there) == []


async def test_sizes_enter_when_a_writer_lets_go(ground: Ground) -> None:
    _, layer = await prepared(ground, 10)
    async with ground.running():
        await ground.cache.view()
        async with anyio.create_task_group() as tasks:
            async with held(ground.images_lock):
                tasks.start_soon(ground.sizes.run, ground.cache)
                while LayerID(layer) not in ground.sizes.known.layers:
                    await ground.sizes.renew(ground.cache, 0.02)
                view = await ground.cache.view()
                assert (view.stale, view.snapshot.layer_by_id[LayerID(layer)].size) == (None, None)
            await until(ground.cache, is_measured(layer))
            tasks.cancel_scope.cancel()
