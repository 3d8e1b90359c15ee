"""What a connection sends besides answers, what it gives back, and answers that no cancelling takes away."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from anyio import from_thread
from anyio.to_thread import run_sync

from storaged.engine.cancellation import change_scope, shield_change
from storaged.server.fd_closer import Closer
from storaged.server.receiving import receive
from tests.support.connection import Methods, served

pytestmark = pytest.mark.anyio


class Change:
    """A handler of one mutation with a commit point, as ``Transactions`` has it; ``go`` lets its thread on."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.go = threading.Event()
        self.committed = False
        self.finished = False

    async def __call__(self, params: Any) -> bytes:
        with change_scope():
            await run_sync(self._commit)
            self.committed = True
            shield_change()
            await anyio.lowlevel.checkpoint()  # the deletion of files, with further steps of the loop
            self.finished = True
        return b'"done"'

    def _commit(self) -> None:
        from_thread.run_sync(self.begun.set)
        self.go.wait(10)


@pytest.fixture
def methods() -> Methods:
    return Methods()


async def test_cancelling_a_change_past_its_commit_is_answered_with_its_result(methods: Methods) -> None:
    change = methods.extra["change"] = Change()
    async with served(methods) as server:
        await server.wire.call(1, "change")
        await change.begun.wait()
        await server.wire.send({"jsonrpc": "2.0", "method": "$/cancelRequest", "params": {"id": 1}})
        await server.wire.call(2, "echo")
        assert (await server.wire.line())["id"] == 2  # so that the cancelling was read
        change.go.set()
        assert await server.wire.line() == {"jsonrpc": "2.0", "id": 1, "result": "done"}


async def test_a_client_that_goes_leaves_its_change_to_finish(methods: Methods) -> None:
    change = methods.extra["change"] = Change()
    async with served(methods) as server:
        await server.wire.call(1, "change")
        await change.begun.wait()
        await server.wire.stream.aclose()
        change.go.set()
        await server.ended.wait()
        assert change.finished
        assert server.quotas.in_flight == 0


async def test_a_drain_waits_for_a_change_past_its_commit_and_answers_it(methods: Methods) -> None:
    change = methods.extra["change"] = Change()
    async with served(methods) as server:
        await server.wire.call(1, "change")
        await change.begun.wait()
        server.connection.cut()
        server.connection.refuse_rest()
        change.go.set()
        assert (await server.wire.line())["result"] == "done"


async def test_a_session_ends_with_its_connection_and_gives_back_what_it_held(methods: Methods) -> None:
    given_back: list[str] = []
    async with served(methods) as server:
        server.connection.session.at_end("leases", lambda: given_back.append("lease"))
        await server.wire.call(1, "echo")
        await server.wire.line()
        assert given_back == []
        await server.wire.stream.aclose()
        await server.ended.wait()
        assert given_back == ["lease"]


async def test_a_notification_comes_before_the_answer_of_its_request_in_a_batch_too(methods: Methods) -> None:
    written: list[int] = []

    async with served(methods) as server:

        async def long(params: Any) -> bytes:
            server.connection.session.notify("$/progress", {"token": params["t"], "done": 1}, lambda: written.append(1))
            await anyio.lowlevel.checkpoint()
            return b"1"

        methods.extra["long"] = long
        await server.wire.call(1, "long", t="a")
        batch = [{"jsonrpc": "2.0", "id": at, "method": "long", "params": {"t": at}} for at in (2, 3)]
        await server.wire.send(batch)
        lines = [await server.wire.line() for _ in range(5)]
        told = [line["params"]["token"] for line in lines if isinstance(line, dict) and "method" in line]
        assert sorted(map(str, told)) == ["2", "3", "a"]
        ends = {str(line["id"]): at for at, line in enumerate(lines) if isinstance(line, dict) and "id" in line}
        together = next(at for at, line in enumerate(lines) if isinstance(line, list))
        for at, line in enumerate(lines):
            if isinstance(line, dict) and "method" in line:
                assert at < (ends["1"] if line["params"]["token"] == "a" else together)
        await server.wire.stream.send_eof()
        await server.ended.wait()
        assert written == [1, 1, 1]


async def test_no_descriptor_that_a_client_sends_can_be_inherited_by_a_child(tmp_path: Any) -> None:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    inheritable: list[bool] = []

    class Watched(socket.socket):
        def recvmsg(self, *arguments: Any) -> Any:
            received = super().recvmsg(*arguments)
            inheritable.extend(os.get_inheritable(fd) for fd in _descriptors(received[1]))
            return received

    with near, Watched(fileno=far.detach()) as watched:
        watched.setblocking(False)
        socket.send_fds(near, [b"x"], [near.fileno(), near.fileno()])
        data, descriptors = await receive(watched, 100, 16, Closer().of(os.getuid()))
        assert (data, len(descriptors), inheritable) == (b"x", 2, [False, False])
        for descriptor in descriptors:
            os.close(descriptor)
        near.shutdown(socket.SHUT_WR)
        with pytest.raises(anyio.EndOfStream):
            await receive(watched, 100, 16, Closer().of(os.getuid()))


def _descriptors(ancillary: Any) -> list[int]:
    found: list[int] = []
    for _, _, content in ancillary:
        found += memoryview(content).cast("i").tolist()
    return found
