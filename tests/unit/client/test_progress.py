"""Progress of a long call, told to both clients: in the caller's own thread or task, the newest where it is slow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

import storaged_client
from storaged_client.progress import Progress
from tests.support.server import Server


@pytest.fixture
def server(short_dir: Path) -> Iterator[Server]:
    with Server(str(short_dir / "s")) as server:
        yield server


class Asking(threading.Thread):
    """A call in a thread of its own."""

    def __init__(self, client: Any, method: str, listener: Any) -> None:
        super().__init__()
        self.client, self.method, self.listener = client, method, listener
        self.result: Any = None
        self.start()

    def run(self) -> None:
        try:
            self.result = self.client.call(self.method, progress=self.listener)
        except Exception as error:
            self.result = error


def test_progress_is_told_by_the_calling_thread_until_the_answer_comes(server: Server) -> None:
    told: list[Progress] = []
    threads: set[int] = set()
    step = threading.Semaphore(0)

    def listener(progress: Progress) -> None:
        told.append(progress)
        threads.add(threading.get_ident())
        step.release()

    with storaged_client.connect(server.path) as client:
        query_context = Asking(client, "hold", listener)
        server.wait_for(lambda: server.held)
        for done in (1, 2):
            server.tell(done, message="deleting")
            step.acquire()
        server.release("end")
        query_context.join()
    assert told == [Progress(1, 9, "files", "deleting"), Progress(2, 9, "files", "deleting")]
    assert (query_context.result, threads) == ("end", {query_context.ident})


def test_each_of_two_threads_on_one_connection_hears_of_its_own_call(server: Server) -> None:
    """One of them reads for both, whichever that is."""
    heard: dict[int, list[Progress]] = {0: [], 1: []}
    step = threading.Semaphore(0)

    def listener(number: int) -> Any:
        def listen(progress: Progress) -> None:
            heard[number].append(progress)
            step.release()

        return listen

    with storaged_client.connect(server.path) as client:
        first = Asking(client, "hold", listener(0))
        server.wait_for(lambda: len(server.held) == 1)
        second = Asking(client, "hold", listener(1))
        server.wait_for(lambda: len(server.held) == 2)
        assert len({request.params["progress_token"] for _, request in server.held}) == 2
        server.tell(3)
        step.acquire()
        step.acquire()
        server.release()
        first.join()
        second.join()
    assert heard[0] == heard[1] == [Progress(3, 9, "files", "")]


def test_a_listener_that_raises_ends_its_call_and_no_other(server: Server) -> None:
    def listener(progress: Progress) -> None:
        raise ZeroDivisionError

    with storaged_client.connect(server.path) as client:
        other = Asking(client, "hold", None)
        server.wait_for(lambda: len(server.held) == 1)
        failing = Asking(client, "hold", listener)
        server.wait_for(lambda: len(server.held) == 2)
        server.tell(1)
        failing.join()
        server.wait_for(lambda: server.cancelled)
        server.release("fine")
        other.join()
        assert isinstance(failing.result, ZeroDivisionError)
        assert other.result == "fine"
        assert client.call("echo", {"still": "there"}) == {"still": "there"}
    assert server.connections == 1


def test_a_slow_listener_is_told_the_newest(server: Server) -> None:
    told: list[int] = []
    begun, go = threading.Event(), threading.Event()

    def listener(progress: Progress) -> None:
        told.append(progress.done)
        begun.set()
        go.wait(10)

    with storaged_client.connect(server.path) as client:
        query_context = Asking(client, "hold", listener)
        server.wait_for(lambda: server.held)
        server.tell(1)
        begun.wait(10)
        for done in (2, 3, 4):
            server.tell(done)
        go.set()
        server.wait_for(lambda: server.held)
        server.release()
        query_context.join()
    assert told[0] == 1
    assert told == sorted(told)
    assert told[-1] in (1, 4)  # what waits in the socket comes with or before the answer


def test_what_is_no_progress_of_a_call_of_ours_is_dropped(server: Server) -> None:
    told: list[Progress] = []
    with storaged_client.connect(server.path) as client:
        query_context = Asking(client, "hold", told.append)
        server.wait_for(lambda: server.held)
        connection, request = server.held[0]
        for params in ({"token": "x", "done": 1, "total": 2}, {"token": request.params["progress_token"]}, [1], None):
            connection.notify("$/progress", params)
        server.release("end")
        query_context.join()
    assert (query_context.result, told) == ("end", [])


def test_a_verb_that_takes_long_takes_a_listener_and_no_other_does(server: Server) -> None:
    server.answers["store.check"] = {"findings": [], "done": 1, "total": 1, "resume": None, "unsettled": []}
    with storaged_client.connect(server.path) as client:
        client.check("records", progress=print)
        client.check("records")
        with pytest.raises(TypeError):
            client.images.exists("x", progress=print)
    assert "progress_token" in server.requests[0][1]
    assert server.requests[1] == ("store.check", {"scope": "records"})


@pytest.mark.anyio
async def test_the_async_client_tells_progress_in_the_task_that_calls(server: Server) -> None:
    told: list[Progress] = []
    stirred = anyio.Event()

    def listener(progress: Progress) -> None:
        told.append(progress)
        stirred.set()

    async with storaged_client.aconnect(server.path) as client, anyio.create_task_group() as tasks:

        async def ask() -> None:
            assert await client.call("hold", progress=listener) == "end"

        tasks.start_soon(ask)
        await run_sync(server.wait_for, lambda: server.held)
        await run_sync(server.tell, 1)
        await stirred.wait()
        await run_sync(server.release, "end")
    assert told == [Progress(1, 9, "files", "")]


@pytest.mark.anyio
async def test_a_listener_of_the_async_client_that_raises_ends_its_call_alone(server: Server) -> None:
    def listener(progress: Progress) -> None:
        raise ZeroDivisionError

    async with storaged_client.aconnect(server.path) as client, anyio.create_task_group() as tasks:

        async def fail() -> None:
            with pytest.raises(ZeroDivisionError):
                await client.call("hold", progress=listener)

        tasks.start_soon(fail)
        await run_sync(server.wait_for, lambda: server.held)
        await run_sync(server.tell, 1)
        await run_sync(server.wait_for, lambda: server.cancelled)
        assert await client.call("echo", {"a": 1}) == {"a": 1}
