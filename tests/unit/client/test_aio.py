from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

import storaged_client
from storaged_client.contract.errors import ImageUnknown, MessageTooLarge, ShuttingDown
from storaged_client.errors import DaemonUnavailable, OutcomeUnknown, RequestTimeout
from tests.unit.client.server import Server

pytestmark = pytest.mark.anyio


@pytest.fixture
def path(short_dir: Path) -> str:
    return str(short_dir / "s")


@pytest.fixture
async def server(path: str) -> AsyncIterator[Server]:
    server = Server(path, {"images.resolve": ImageUnknown("no such image")})
    yield server
    await anyio.to_thread.run_sync(server.stop)


async def until(server: Server, condition: Any) -> None:
    await anyio.to_thread.run_sync(server.wait_for, condition)


async def test_a_call_returns_the_raw_result(server: Server) -> None:
    async with storaged_client.aconnect(server.path) as client:
        assert await client.call("echo", {"a": [1, "é"]}) == {"a": [1, "é"]}


async def test_an_error_leaves_the_block_as_itself_and_in_no_group(server: Server) -> None:
    with pytest.raises(ImageUnknown):
        async with storaged_client.aconnect(server.path) as client:
            await client.call("images.resolve")


async def test_cancelling_the_block_from_outside_ends_it(server: Server) -> None:
    with anyio.CancelScope() as scope:
        async with storaged_client.aconnect(server.path) as client, anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, "hold")
            await until(server, lambda: server.held)
            scope.cancel()
    assert scope.cancelled_caught


async def test_tasks_share_one_connection_and_each_gets_its_own_answer(server: Server) -> None:
    answers: dict[int, Any] = {}

    async def ask(n: int) -> None:
        answers[n] = await client.call("echo", {"n": n})

    async with storaged_client.aconnect(server.path) as client:
        async with anyio.create_task_group() as tasks:
            for n in range(500):
                tasks.start_soon(ask, n)
        assert answers == {n: {"n": n} for n in range(500)}
    assert server.connections == 1


async def test_a_cancelled_call_is_cancelled_at_the_daemon_and_the_others_go_on(server: Server) -> None:
    async with storaged_client.aconnect(server.path) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.call, "hold")
            await until(server, lambda: server.held)
            tasks.cancel_scope.cancel()
        await until(server, lambda: len(server.cancelled) == 1)
        await anyio.to_thread.run_sync(server.release)
        assert await client.call("echo", [1]) == [1]
    assert server.connections == 1


async def test_a_call_that_takes_too_long_raises_and_is_cancelled_at_the_daemon(server: Server) -> None:
    async with storaged_client.aconnect(server.path, timeout=0.05) as client:
        with pytest.raises(RequestTimeout):
            await client.call("hold")
        await until(server, lambda: len(server.cancelled) == 1)


async def test_a_large_request_cancelled_on_its_way_leaves_the_connection_whole(server: Server) -> None:
    async with storaged_client.aconnect(server.path) as client:
        for _ in range(20):
            with pytest.raises(RequestTimeout):
                await client.call("hold", {"a": "x" * 900_000}, timeout=0)
        assert await client.call("echo", [1]) == [1]
    assert server.connections == 1


async def test_a_read_survives_a_restart_in_mid_request(path: str) -> None:
    first, results = Server(path), []

    async def read() -> None:
        results.append(await client.call("server.info"))

    first.answers["server.info"] = "die"
    async with storaged_client.aconnect(path) as client:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(read)
            await until(first, lambda: first.seen)
            await anyio.to_thread.run_sync(first.stop)
            second = Server(path, {"server.info": {"version": "2"}})
        assert results == [{"version": "2"}]
    await anyio.to_thread.run_sync(second.stop)


async def test_a_mutation_that_got_no_answer_is_never_sent_again(server: Server) -> None:
    async with storaged_client.aconnect(server.path) as client:
        with pytest.raises(OutcomeUnknown):
            await client.call("die")
        assert await client.call("echo", [1]) == [1]
    assert [method for method, _ in server.seen] == ["die", "echo"]


async def test_a_read_refused_by_a_daemon_that_ends_goes_to_the_next(server: Server) -> None:
    answers: list[object] = [ShuttingDown("ending"), {"version": "2"}]
    server.answers["server.info"] = lambda _: answers.pop(0)
    async with storaged_client.aconnect(server.path) as client:
        assert await client.call("server.info") == {"version": "2"}
    assert server.connections == 2


async def test_a_request_that_is_too_large_is_told(server: Server) -> None:
    async with storaged_client.aconnect(server.path) as client:
        with pytest.raises(MessageTooLarge):
            await client.call("server.info", {"a": "x" * 1_100_000})
        assert await client.call("echo", [1]) == [1]


async def test_without_a_daemon_entering_says_so_at_once(path: str) -> None:
    with pytest.raises(DaemonUnavailable):
        async with storaged_client.aconnect(path):
            pytest.fail("entered")


async def test_a_daemon_that_stays_away_is_unavailable(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("storaged_client.retry.WINDOW", 0.1)
    server = Server(path)
    async with storaged_client.aconnect(path) as client:
        await anyio.to_thread.run_sync(server.stop)
        with pytest.raises(DaemonUnavailable):
            await client.call("server.info")


async def test_results_are_typed_as_in_the_blocking_client(server: Server) -> None:
    server.answers["images.exists"] = {"exists": True, "generation": "g", "stale": None, "new_member": 1}
    async with storaged_client.aconnect(server.path) as client:
        assert await client.images.exists("x") == storaged_client.types.Exists(exists=True, generation="g")
    assert server.seen == [("images.exists", {"name": "x"})]
