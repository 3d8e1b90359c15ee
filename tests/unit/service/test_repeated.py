"""What is asked again and again: the answer of before, byte for byte, and never that of another time or question."""

from __future__ import annotations

import json
from typing import Any

import pytest
from anyio.to_thread import run_sync

from storaged.engine.row_cache import RowCache
from storaged.service.registry import HANDLERS
from storaged_client.contract.errors import ImageUnknown, InvalidParams
from tests.support.service import Desk, connected, whole

pytestmark = pytest.mark.anyio

AGAIN = "answers.repeated"


async def questions(desk: Desk) -> dict[str, dict[str, Any]]:
    """One of each method."""
    name = sorted(desk.ground.sample.names)[0]
    layer = (await desk.ask("layers.list"))["layers"][0]["id"]
    listed = sorted(desk.ground.sample.lists)[0]
    named = {"name": name}
    return {
        "images.list": {"filters": ["dangling=true"]},
        "images.exists": named,
        "images.resolve": named,
        "images.why": named,
        "images.relations": named,
        "images.tree": named,
        "layers.list": {},
        "layers.get": {"id": layer},
        "layers.tree": {},
        "manifests.list": {},
        "manifests.get": {"name": listed},
        "manifests.exists": {"name": listed},
        "manifests.referenced": {},
        "containers.list": {},
    }


async def foreign_tag(desk: Desk) -> None:
    """Another tool gives an image a name."""
    image = sorted(desk.ground.sample.dangling)[0]
    await run_sync(lambda: desk.ground.writer.set_names(image, ["localhost/foreign:1"]))


async def bytes_of(desk: Desk, method: str, params: Any) -> bytes:
    return whole(await desk.service.handle(connected(), method, params))


def repeated(desk: Desk) -> int:
    return desk.ground.metrics.counters[AGAIN]


async def test_each_is_answered_from_what_was_answered(desk: Desk) -> None:
    async with desk.ground.running():
        asked = await questions(desk)
        assert asked.keys() == {method for method, handler in HANDLERS.items() if handler.repeats}
        for number, (method, params) in enumerate(asked.items()):
            first = await bytes_of(desk, method, params)
            assert repeated(desk) == number
            assert await bytes_of(desk, method, dict(params)) == first
            assert repeated(desk) == number + 1


async def test_it_is_what_would_be_answered_anew(desk: Desk) -> None:
    async with desk.ground.running():
        for method, params in (await questions(desk)).items():
            await bytes_of(desk, method, params)
            kept = await bytes_of(desk, method, params)
            # Asked with a member that every method has, so that it is made anew.
            assert await bytes_of(desk, method, {**params, "timeout": 10.0}) == kept


async def test_a_change_of_the_store_or_of_a_lease_makes_it_another_question(desk: Desk) -> None:
    async with desk.ground.running():
        image = sorted(desk.ground.sample.dangling)[0]
        asked = {"filters": ["dangling=true"]}
        before = json.loads(await bytes_of(desk, "images.list", asked))
        why = await bytes_of(desk, "images.why", {"name": image})
        session = connected()
        await desk.ask("store.lease", {"images": [image]}, session=session)
        assert b'"lease"' in await bytes_of(desk, "images.why", {"name": image})
        session.end()
        assert b'"lease"' not in await bytes_of(desk, "images.why", {"name": image})
        assert b'"lease"' not in why
        await desk.ask("images.tag", {"name": image, "tags": ["localhost/kept:1"]})
        after = json.loads(await bytes_of(desk, "images.list", asked))
        assert {row["id"] for row in before["images"]} - {row["id"] for row in after["images"]} == {image}
        assert after["generation"] != before["generation"]
        assert repeated(desk) == 0


async def test_a_foreign_change_is_seen_by_who_asks_again(desk: Desk) -> None:
    async with desk.ground.running():
        asked = {"name": "localhost/foreign:1"}
        for _ in range(2):
            assert json.loads(await bytes_of(desk, "images.exists", asked))["exists"] is False
        await foreign_tag(desk)
        for _ in range(2):
            assert json.loads(await bytes_of(desk, "images.exists", asked))["exists"] is True
        assert repeated(desk) == 2


@pytest.mark.parametrize(
    "asked",
    [
        {"filters": ["until=24h"]},
        {"filters": [{"key": "until", "value": "24h", "negate": True}, "dangling=true"]},
        {"limit": 1},
        {"if_generation": "no such"},
        {"consistency": "cached"},
    ],
)
async def test_what_goes_by_the_time_or_leads_on_is_made_anew(desk: Desk, asked: dict[str, Any]) -> None:
    async with desk.ground.running():
        cursors = set()
        for _ in range(3):
            cursors.add((await desk.ask("images.list", asked))["next_cursor"])
        assert repeated(desk) == 0
        assert len(cursors) == (3 if "limit" in asked else 1)


async def test_a_last_page_is_not_what_the_whole_is(desk: Desk) -> None:
    async with desk.ground.running():
        first = await desk.ask("images.list", {"limit": 1})
        rest = await desk.ask("images.list", {"cursor": first["next_cursor"]})
        everything = await desk.ask("images.list", {})
        assert len(rest["images"]) == len(everything["images"]) - 1
        assert repeated(desk) == 0


async def test_an_error_is_an_error_each_time(desk: Desk) -> None:
    async with desk.ground.running():
        for _ in range(2):
            with pytest.raises(ImageUnknown):
                await desk.ask("images.resolve", {"name": "localhost/none:1"})
            with pytest.raises(InvalidParams):
                await desk.ask("images.exists", {"name": 5})
        await desk.ask("images.exists", {"name": "localhost/none:1", "manifest": True})
        with pytest.raises(InvalidParams):
            await desk.ask("images.exists", {"name": "localhost/none:1", "manifest": 1})
        assert repeated(desk) == 0


async def test_answers_go_with_their_snapshot(desk: Desk) -> None:
    async with desk.ground.running():
        await desk.ask("images.list", {})
        rows = (await desk.ground.cache.view()).rows
        await desk.ask("images.list", {})
        assert repeated(desk) == 1
        await foreign_tag(desk)
        view = await desk.ground.cache.view()
        assert isinstance(view.rows, RowCache)
        assert view.rows.kept is not rows.kept
