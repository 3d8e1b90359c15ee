"""What needs no wait is answered at once, and what does is answered the same after it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anyio.to_thread import run_sync

from storaged_client.contract.errors import ImageUnknown, InvalidParams, MethodNotFound
from tests.support.service import Desk, connected, whole

pytestmark = pytest.mark.anyio


def questions(desk: Desk) -> list[tuple[str, dict[str, Any]]]:
    name = sorted(desk.ground.sample.names)[0]
    assert desk.ground.cache.snapshot is not None
    layer = desk.ground.cache.snapshot.layers[0].id
    return [
        ("server.ping", {}),
        ("images.list", {}),
        ("images.list", {"filters": ["dangling=true"]}),
        ("images.list", {"limit": 2}),
        ("images.exists", {"name": name}),
        ("images.resolve", {"name": name}),
        ("images.why", {"name": name}),
        ("images.relations", {"name": name}),
        ("images.tree", {"name": name}),
        ("layers.list", {}),
        ("layers.get", {"id": layer}),
        ("layers.tree", {"id": layer}),
        ("manifests.list", {}),
        ("manifests.referenced", {"digest": "sha256:" + "0" * 64}),
        ("containers.list", {}),
    ]


def told(answer: Any) -> Any:
    """An answer without what differs from call to call."""
    found = json.loads(whole(answer))
    found.pop("next_cursor", None)
    return found


async def test_questions_of_a_current_snapshot_are_answered_at_once_and_as_after_a_wait(desk: Desk) -> None:
    async with desk.ground.running():
        await desk.ask("images.list")
        for method, params in questions(desk):
            answer = desk.service.begin(connected(), method, params)
            assert not callable(answer), method
            # With a token for its progress the same is answered in a task of its own.
            later = desk.service.begin(connected(), method, {**params, "progress_token": "t"})
            assert callable(later), method
            assert told(await later()) == told(answer), method


async def test_after_another_tools_change_the_answer_is_waited_for_and_has_it(desk: Desk) -> None:
    async with desk.ground.running():
        image = next(iter(desk.ground.sample.dangling))
        await desk.ask("images.exists", {"name": image})
        await run_sync(lambda: desk.ground.writer.set_names(image, ["localhost/just:tagged"]))
        for consistency, waits in (("cached", False), ("fresh", True), ("strict", True)):
            params = {"name": "localhost/just:tagged", "consistency": consistency}
            answer = desk.service.begin(connected(), "images.exists", params)
            assert callable(answer) is waits
            assert told(await answer() if callable(answer) else answer)["exists"] is waits
            if waits:
                await run_sync(lambda: desk.ground.writer.set_names(image, []))
                await desk.ask("images.list")
                await run_sync(lambda: desk.ground.writer.set_names(image, ["localhost/just:tagged"]))


async def test_each_request_counts_once_however_it_is_answered(desk: Desk) -> None:
    counters = desk.ground.metrics.counters
    async with desk.ground.running():
        name = sorted(desk.ground.sample.names)[0]
        for method, params in (
            ("images.exists", {"name": name}),
            ("images.exists", {"name": name, "progress_token": 1}),
            ("images.history", {"name": name}),
        ):
            before = counters[f"requests.{method}.count"]
            await desk.ask(method, params)
            assert counters[f"requests.{method}.count"] == before + 1
        for params in ({"name": "localhost/no:such"}, {"name": "localhost/no:such", "progress_token": 1}):
            before, unknown = counters["requests.images.why.errors"], counters["errors.ImageUnknown"]
            with pytest.raises(ImageUnknown):
                await desk.ask("images.why", params)
            assert counters["requests.images.why.errors"] == before + 1
            assert counters["errors.ImageUnknown"] == unknown + 1


async def test_wrong_parameters_are_refused_before_anything_is_waited_for(desk: Desk) -> None:
    async with desk.ground.running():
        for method in ("images.exists", "images.history", "server.ping"):
            with pytest.raises(InvalidParams):
                desk.service.begin(connected(), method, {"nmae": "a"})


async def test_a_method_that_does_not_exist_is_told_at_once(desk: Desk) -> None:
    async with desk.ground.running():
        with pytest.raises(MethodNotFound):
            desk.service.begin(connected(), "images.lst", {})
