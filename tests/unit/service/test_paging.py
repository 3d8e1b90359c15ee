"""Listings in pages: what a cursor stands for, what may come with it, and that nobody waits for a long one."""

from __future__ import annotations

import json
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio.to_thread import run_sync

from storaged.service.encoding import array_in_turns, encode, encode_in_turns
from storaged_client.contract import types as t
from storaged_client.contract.errors import GenerationGone, InvalidParams, LayerUnknown
from tests.support.ground import held
from tests.support.service import Desk, whole

pytestmark = pytest.mark.anyio


async def pages(desk: Desk, method: str, member: str, limit: int, params: dict[str, Any]) -> list[Any]:
    page = await desk.ask(method, {**params, "limit": limit})
    rows = list(page[member])
    while page["next_cursor"] is not None:
        assert len(page[member]) == limit
        page = await desk.ask(method, {"cursor": page["next_cursor"], "limit": limit})
        rows += page[member]
    return rows


@pytest.mark.parametrize(
    ("method", "member"), [("images.list", "images"), ("layers.list", "layers"), ("layers.tree", "layers")]
)
async def test_the_pages_together_are_the_whole_listing(desk: Desk, method: str, member: str) -> None:
    async with desk.ground.running():
        whole = (await desk.ask(method))[member]
        for limit in (1, 7, len(whole), len(whole) + 1):
            assert await pages(desk, method, member, limit, {}) == whole


async def test_a_subtree_comes_in_pages_of_its_own_generation(desk: Desk) -> None:
    async with desk.ground.running():
        forest = (await desk.ask("layers.tree"))["layers"]
        root = max(forest, key=lambda layer: layer["children"])
        whole = (await desk.ask("layers.tree", {"id": root["id"]}))["layers"]
        assert whole[0] == root
        assert len(whole) > root["children"]
        assert await pages(desk, "layers.tree", "layers", 2, {"id": root["id"]}) == whole
        page = await desk.ask("layers.tree", {"id": root["id"], "limit": 1})
        await run_sync(lambda: desk.ground.writer.add_image("in between"))
        rest = await desk.ask("layers.tree", {"cursor": page["next_cursor"]})
        assert rest["generation"] == page["generation"]
        assert page["layers"] + rest["layers"] == whole
        with pytest.raises(LayerUnknown):
            await desk.ask("layers.tree", {"id": "0" * 64, "limit": 1})


@pytest.mark.parametrize(
    ("method", "given"),
    [
        ("images.list", {"filters": ["dangling=true"]}),
        ("images.list", {"all": True}),
        ("images.list", {"sort": "size"}),
        ("images.list", {"fields": ["id"]}),
        ("layers.tree", {"id": "0" * 64}),
    ],
    ids=["filters", "all", "sort", "fields", "id"],
)
async def test_what_comes_with_a_cursor_and_would_be_ignored_is_refused_with_its_path(
    desk: Desk, method: str, given: dict[str, Any]
) -> None:
    async with desk.ground.running():
        page = await desk.ask(method, {"limit": 1})
        (name,) = given
        with pytest.raises(InvalidParams, match=f"{name} cannot be given with a cursor") as refused:
            await desk.ask(method, {**given, "cursor": page["next_cursor"]})
        assert refused.value.data["path"] == f"$.{name}"
        assert await desk.ask(method, {"cursor": page["next_cursor"]})


async def test_a_limit_below_one_is_refused_on_every_page_and_pins_nothing(desk: Desk) -> None:
    async with desk.ground.running():
        page = await desk.ask("layers.tree", {"limit": 1})
        for params in ({"limit": 0}, {"limit": 0, "cursor": page["next_cursor"]}):
            with pytest.raises(InvalidParams) as refused:
                await desk.ask("layers.tree", params)
            assert refused.value.data["path"] == "$.limit"
        stats = await desk.ask("server.stats")
        assert stats["gauges"]["cursors"] == 1


async def test_a_cursor_of_another_uid_is_not_known(desk: Desk) -> None:
    async with desk.ground.running():
        page = await desk.ask("layers.tree", {"limit": 1})
        with pytest.raises(GenerationGone):
            await desk.ask("layers.tree", {"cursor": page["next_cursor"]}, uid=1)


async def test_each_page_bears_the_generation_and_the_staleness_of_the_first(desk: Desk) -> None:
    async with desk.ground.running():
        current = await desk.ask("images.list", {"limit": 1})
        async with held(desk.ground.images_lock):
            await anyio.Path(desk.ground.images_json).touch()
            first = await desk.ask("images.list", {"limit": 1})
            assert first["stale"]["reason"] == "locked"
            # A listing that began while nothing was stale goes on so.
            old = await desk.ask("images.list", {"cursor": current["next_cursor"], "limit": 1})
            assert (old["generation"], old["stale"]) == (current["generation"], None)
        second = await desk.ask("images.list", {"cursor": first["next_cursor"], "limit": 1})
        assert (second["generation"], second["stale"]) == (first["generation"], first["stale"])
        assert (await desk.ask("images.list", {"limit": 1}))["stale"] is None


async def test_others_are_served_between_the_pieces_of_a_long_listing() -> None:
    served: list[int] = []
    encoded: list[int] = []

    def encode_rows(rows: Any) -> list[bytes]:
        encoded.append(len(rows))
        return [b"[", b",".join(b"%d" % row for row in rows), b"]"]

    async def other() -> None:
        while len(encoded) < 40:
            served.append(len(encoded))
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        pieces = await array_in_turns(encode_rows, range(10_000))
    assert b"".join(pieces) == b"[" + b",".join(b"%d" % row for row in range(10_000)) + b"]"
    assert max(encoded) <= 256
    assert len(set(served)) > 10


@pytest.mark.parametrize("count", [0, 1, 256, 257])
async def test_pieces_join_to_one_array(count: int) -> None:
    pieces = await array_in_turns(lambda rows: [b"[", b",".join(b"1" for _ in rows), b"]"], range(count))
    assert b"".join(pieces) == b"[" + b",".join(b"1" for _ in range(count)) + b"]"


async def test_a_long_report_of_a_change_is_the_same_in_pieces_and_others_run_between_them() -> None:
    kept = tuple(t.Kept(id=f"{number:064x}", names=(), reasons=()) for number in range(2000))
    report = t.PruneReport(kept=kept, untagged=(t.Untagged(id="a", name="é"),), plan="p", freed=None)
    assert await encode_in_turns(t.PruneReport(), "1", None) == encode(t.PruneReport(), "1", None)
    looks = 0

    async def look() -> None:
        nonlocal looks
        while True:
            looks += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(look)
        answer = whole(await encode_in_turns(report, "1", None))
        tasks.cancel_scope.cancel()
    assert looks >= 7
    assert json.loads(answer) == json.loads(whole(encode(report, "1", None)))
