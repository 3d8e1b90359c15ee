"""``server.stats``: what a real service counts, under which names, and what the answer costs."""

from __future__ import annotations

from typing import Any

import pytest

from storaged.metrics import BOUNDS, Metrics
from storaged.store.files import Files
from storaged.store.layout.paths import digest_lock
from storaged.store.locks.order import hold
from storaged_client.contract.errors import ImageUnknown, InvalidParams, MethodNotFound
from tests.support.service import Desk

pytestmark = pytest.mark.anyio


async def test_requests_and_errors_are_counted_by_method(desk: Desk) -> None:
    async with desk.ground.running():
        await desk.ask("images.list")
        await desk.ask("rpc.discover")
        with pytest.raises(ImageUnknown):
            await desk.ask("images.why", {"name": "nosuch"})
        with pytest.raises(InvalidParams):
            await desk.ask("images.list", {"nothing": 1})
        for name in ("x", "y\n", "z" * 1000):
            with pytest.raises(MethodNotFound):
                await desk.ask(name)
        stats = await desk.ask("server.stats")
    told = {name: (each["duration"]["count"], each["errors"]) for name, each in stats["methods"].items()}
    assert told == {"images.list": (2, 1), "images.why": (1, 1), "rpc.discover": (1, 0), "unknown": (3, 3)}
    assert stats["errors"] == {"ImageUnknown": 1, "InvalidParams": 1, "MethodNotFound": 3}
    assert stats["bounds"] == list(BOUNDS)
    for each in stats["methods"].values():
        assert len(each["duration"]["buckets"]) == len(BOUNDS) + 1
        assert sum(each["duration"]["buckets"]) == each["duration"]["count"]
        assert each["duration"]["seconds"] > 0


async def test_reloads_and_locks_of_a_change_are_timed(desk: Desk) -> None:
    image = sorted(desk.ground.sample.dangling)[0]
    async with desk.ground.running():
        before = await desk.ask("server.stats")
        await desk.ask("images.tag", {"name": image, "tags": ["localhost/a:1"]})
        await desk.ask("images.list")
        after = await desk.ask("server.stats")
    assert before["locks"] == {}
    assert after["locks"]["images.lock"]["hold"]["count"] == 1
    assert after["locks"]["images.lock"]["wait"] == {"count": 0, "seconds": 0.0, "buckets": []}
    assert after["changes"]["count"] == 1
    assert after["reloads"]["count"] >= 1


async def test_an_answer_looks_neither_at_the_store_nor_at_each_of_its_layers(desk: Desk) -> None:
    class Layers(tuple[Any, ...]):
        walked = 0

        def __iter__(self) -> Any:
            Layers.walked += 1
            return super().__iter__()

    async with desk.ground.running():
        await desk.ask("images.list")
        snapshot = desk.ground.cache.snapshot
        assert snapshot is not None
        object.__setattr__(snapshot, "layers", Layers(snapshot.layers))
        first = await desk.ask("server.stats")
        walked = Layers.walked
        for _ in range(5):
            again = await desk.ask("server.stats")
        assert desk.ground.cache.snapshot is snapshot
    assert Layers.walked == walked > 0
    for name in ("files.opened", "loads"):
        assert again["counters"].get(name) == first["counters"].get(name)
    assert again["gauges"]["layers"] == len(snapshot.layers)


def test_locks_of_many_lists_have_one_name(tmp_path: Any) -> None:
    metrics, files = Metrics(), Files()
    (tmp_path / "vfs-locks").mkdir()
    for letter in "abc":
        path = digest_lock(str(tmp_path), "vfs", letter * 64)  # type: ignore[arg-type]
        open(path, "w").close()
        with hold((path,), "exclusive", deadline=float("inf"), files=files, metrics=metrics):
            pass
    assert set(metrics.buckets) == {"locks.held.digest lock"}
    assert metrics.counters["locks.held.digest lock.count"] == 3


def test_a_duration_is_counted_in_the_bucket_of_the_next_bound() -> None:
    metrics = Metrics()
    for seconds in (0.0, 0.0001, 0.00011, 30.0, 30.1):
        metrics.spend("x", seconds)
    counts = metrics.buckets["x"]
    assert (counts[0], counts[1], counts[-2], counts[-1], sum(counts)) == (2, 1, 1, 1, 5)
