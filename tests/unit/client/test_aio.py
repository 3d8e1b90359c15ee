from __future__ import annotations

import json
import socket
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest
from anyio.abc import UNIXSocketStream
from anyio.lowlevel import checkpoint

import storaged_client
from storaged_client.aio_connection import AsyncConnection
from storaged_client.contract.errors import ImageUnknown, MessageTooLarge, ShuttingDown, StoragedError
from storaged_client.errors import ClientClosed, DaemonUnavailable, OutcomeUnknown, RequestTimeout
from tests.support.server import Server

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
            await until(first, lambda: first.requests)
            await anyio.to_thread.run_sync(first.stop)
            second = Server(path, {"server.info": {"version": "2"}})
        assert results == [{"version": "2"}]
    await anyio.to_thread.run_sync(second.stop)


async def test_a_mutation_that_got_no_answer_is_never_sent_again(server: Server) -> None:
    async with storaged_client.aconnect(server.path) as client:
        with pytest.raises(OutcomeUnknown):
            await client.call("die")
        assert await client.call("echo", [1]) == [1]
    assert [method for method, _ in server.requests] == ["die", "echo"]


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
    assert server.requests == [("images.exists", {"name": "x"})]


async def test_a_daemon_with_a_full_queue_is_waited_for(path: str) -> None:
    with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as first:
        listener.bind(path)
        listener.listen(0)
        first.setblocking(False)
        first.connect(path)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, _accept_two, listener)
            async with storaged_client.aconnect(path):
                pass


def _accept_two(listener: socket.socket) -> None:
    for _ in range(2):
        listener.accept()[0].close()


async def test_a_start_takes_no_longer_than_the_call_that_needs_it(
    server: Server, path: str, monkeypatch: pytest.MonkeyPatch, short_dir: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(short_dir / "state"))
    monkeypatch.setattr("storaged_client.spawn.command", lambda _: ["/bin/sleep", "100"])
    async with storaged_client.aconnect(path, spawn=True) as client:
        await anyio.to_thread.run_sync(server.stop)
        with pytest.raises((RequestTimeout, DaemonUnavailable)):
            await client.call("server.ping", timeout=0.3)


async def closed(client: storaged_client.AsyncClient, ends: list[str]) -> None:
    with pytest.raises(ClientClosed):
        await client.call("server.info")
    ends.append("closed")


async def test_closing_ends_the_calls_that_wait_for_an_answer_or_for_a_daemon(server: Server) -> None:
    server.holding.add("server.info")
    ends: list[str] = []
    async with anyio.create_task_group() as tasks, storaged_client.aconnect(server.path) as client:
        for _ in range(5):
            tasks.start_soon(closed, client, ends)
        await until(server, lambda: len(server.held) == 5)
    assert ends == ["closed"] * 5
    async with anyio.create_task_group() as tasks, storaged_client.aconnect(server.path) as client:
        await anyio.to_thread.run_sync(server.stop)
        for _ in range(5):
            tasks.start_soon(closed, client, ends)
        await anyio.sleep(0.05)  # they are between two attempts
    assert ends == ["closed"] * 10


async def test_closing_while_a_daemon_is_started_gives_the_new_connection_up(
    server: Server, path: str, monkeypatch: pytest.MonkeyPatch, short_dir: Path
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(short_dir / "state"))
    monkeypatch.delenv("STORAGED_NO_SPAWN", raising=False)
    command = [sys.executable, "-m", "tests.unit.client.daemon", path]
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    monkeypatch.setattr("storaged_client.spawn.command", lambda _: command)
    ends: list[str] = []
    async with anyio.create_task_group() as tasks, storaged_client.aconnect(path, spawn=True) as client:
        await anyio.to_thread.run_sync(server.stop)
        tasks.start_soon(closed, client, ends)
        while not await anyio.Path(path + ".spawned").exists():  # noqa: ASYNC110 - a file tells nobody
            await anyio.sleep(0.005)
    assert ends == ["closed"]
    async with storaged_client.aconnect(path) as other:  # it started all the same
        await other.call("server.shutdown")


# ---------------------------------------------------------------- several requests, one of them refused


class Slow:
    """A daemon that does one thing at a time, each when it is told to."""

    def __init__(self, path: str) -> None:
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(8)

    def accept(self) -> socket.socket:
        channel, _ = self.listener.accept()
        channel.settimeout(10)
        return channel

    def say(self, channel: socket.socket, id: int | None, error: StoragedError) -> None:
        body = {"code": error.code, "message": error.message, "data": {"name": error.name}}
        channel.sendall(json.dumps({"jsonrpc": "2.0", "id": id, "error": body}).encode() + b"\n")

    def drain(self, channel: socket.socket, length: int) -> None:
        """Read so many bytes, and close."""
        with channel:
            while length > 0 and (data := channel.recv(1 << 20)):
                length -= len(data)

    def answer(self, channel: socket.socket) -> None:
        """Answer each request by its length."""
        with channel, channel.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                if "id" in request:
                    answer = {"jsonrpc": "2.0", "id": request["id"], "result": len(line)}
                    channel.sendall(json.dumps(answer).encode() + b"\n")


@pytest.fixture
def slow(path: str) -> Iterator[Slow]:
    slow = Slow(path)
    with slow.listener:
        yield slow


async def test_of_several_requests_the_one_being_sent_is_refused_and_a_longer_one_behind_it_goes_elsewhere(
    slow: Slow, path: str
) -> None:
    results: list[Any] = []

    async def too_large() -> None:
        with pytest.raises(MessageTooLarge):
            await client.call("server.shutdown", {"a": "x" * 5_000_000})
        results.append("refused")

    async def longer() -> None:
        results.append(await client.call("server.shutdown", {"a": "x" * 6_000_000}))

    run = anyio.to_thread.run_sync
    async with anyio.create_task_group() as serving, storaged_client.aconnect(path) as client:
        first = await run(slow.accept)
        async with anyio.create_task_group() as calls:
            for call in (too_large, longer):
                calls.start_soon(call)
                await anyio.wait_all_tasks_blocked()
            await run(slow.say, first, None, MessageTooLarge("too large"))
            await run(slow.drain, first, 5_000_000)
            serving.start_soon(run, slow.answer, await run(slow.accept))
    assert results == ["refused", pytest.approx(6_000_000, abs=100)]


async def test_a_call_cancelled_behind_another_on_a_connection_that_ends_harms_no_other(slow: Slow, path: str) -> None:
    results: list[Any] = []

    async def large() -> None:
        results.append(await client.call("server.ping", {"a": "x" * 5_000_000}))

    run = anyio.to_thread.run_sync
    async with anyio.create_task_group() as serving, storaged_client.aconnect(path) as client:
        first = await run(slow.accept)
        async with anyio.create_task_group() as calls:
            calls.start_soon(large)
            await anyio.wait_all_tasks_blocked()
            async with anyio.create_task_group() as cancelled:
                cancelled.start_soon(client.call, "server.info")
                await anyio.wait_all_tasks_blocked()
                await run(slow.say, first, 1, ShuttingDown("ending"))
                second = await run(slow.accept)  # the first is no longer used
                cancelled.cancel_scope.cancel()
            await run(slow.drain, first, 5_000_000)
            serving.start_soon(run, slow.answer, second)
    assert results == [pytest.approx(5_000_000, abs=100)]


async def test_a_link_closed_in_the_tick_in_which_an_answer_arrives_leaves_nothing_in_the_loop() -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    far.setblocking(False)
    with far:
        link = AsyncConnection(await UNIXSocketStream.from_socket(near))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(link.run)
            await anyio.wait_all_tasks_blocked()
            far.send(b"{}")
            # Resumed before what the selector reports: asyncio has the callback of the wait in its queue by now.
            await checkpoint()
            link.close()
        assert link.dead
