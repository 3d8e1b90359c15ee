"""A real HTTP server that behaves as podman's service does where the gateway passes something on.

What it does is chosen by the last element of the path. Every request is in ``seen``, as it was understood, and
``failures`` has what was not.

::

    echo        JSON of what was read, in one piece with its length
    lines       three JSON objects, a chunk each, the next when ``release`` is set
    attach      101 or a hijacked 200: what comes is sent back in capitals, then the line "end"
    early       500 before the body was read, and the connection closed
    wait        nothing until ``release`` is set
    broken      half an answer, then the connection is closed
    shut        the connection is closed without an answer
    last        an answer after which the connection is closed
    hasty       101 before the body was read
    hint        103 before the answer
    version     ``facts``, and a header with ``version``; ``info`` and ``_ping`` likewise
"""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import h11
from anyio.abc import ByteStream, SocketListener, SocketStream
from attrs import define, field

Pair = tuple[bytes, bytes]


@define
class Seen:
    """One request. ``body`` is the digest of all of it, ``size`` its length; None where it did not come whole."""

    method: str
    target: str
    headers: list[Pair]
    connection: int
    body: str | None = None
    size: int = 0

    def header(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == name]


@define
class FakePodman:
    path: Path
    seen: list[Seen] = field(factory=list)
    failures: list[str] = field(factory=list)
    release: anyio.Event = field(factory=anyio.Event)
    connections: int = 0
    open: int = 0
    """Connections at this moment."""
    streams: set[ByteStream] = field(factory=set)
    tunnelled: bytearray = field(factory=bytearray)
    """What came through all tunnels."""
    moved: anyio.Event = field(factory=anyio.Event)
    version: str = "4.3.1"
    facts: dict[str, object] = field(factory=lambda: {"Version": "4.3.1", "Images": 1, "Containers": 3})
    """What ``version`` and ``info`` answer."""
    keep: int = 10_000
    """Requests that are remembered."""

    async def until(self, *, requests: int | None = None, open: int | None = None) -> None:
        """Return when so many requests were read whole, and so many connections are open."""
        while not (
            (requests is None or sum(seen.body is not None for seen in self.seen) >= requests)
            and (open is None or self.open == open)
        ):
            self.moved = anyio.Event()
            await self.moved.wait()

    async def serve(self, stream: ByteStream) -> None:
        self.connections += 1
        self.open += 1
        self.streams.add(stream)
        self.moved.set()
        try:
            async with stream:
                await _Conversation(self, stream, self.connections).run()
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            pass
        finally:
            self.open -= 1
            self.streams.discard(stream)
            self.moved.set()


class _Conversation:
    def __init__(self, podman: FakePodman, stream: ByteStream, number: int) -> None:
        self._podman = podman
        self._stream = stream
        self._number = number
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=4 << 20)

    async def run(self) -> None:
        while True:
            try:
                head = await self._event()
                if not isinstance(head, h11.Request):
                    return
                if not await self._answer(head):
                    return
                self._http.start_next_cycle()
            except h11.ProtocolError as error:
                self._podman.failures.append(str(error))
                return

    async def _event(self) -> h11.Event | type:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
            try:
                data = await self._stream.receive(1 << 16)
            except anyio.EndOfStream:
                data = b""
            self._http.receive_data(data)

    async def _send(self, event: h11.Event) -> None:
        await self._stream.send(self._http.send(event) or b"")

    async def _answer(self, head: h11.Request) -> bool:
        """Whether another request may follow."""
        seen = Seen(head.method.decode(), head.target.decode(), list(head.headers), self._number)
        if len(self._podman.seen) < self._podman.keep:
            self._podman.seen.append(seen)
        kind = seen.target.partition("?")[0].rpartition("/")[2]
        if kind == "early":
            await self._whole(b"no", status=500, headers=[(b"Connection", b"close")])
            return False
        if kind == "shut":
            return False
        if kind == "hasty":
            await self._stream.send(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
            await self._until_gone(anyio.CancelScope())
            return False
        digest = hashlib.sha256()
        while isinstance(event := await self._event(), h11.Data):
            digest.update(event.data)
            seen.size += len(event.data)
        if isinstance(event, h11.EndOfMessage):
            seen.body = digest.hexdigest()
        self._podman.moved.set()
        if kind == "attach":
            await self._tunnel(head)
            return False
        if kind in ("wait", "lines"):
            return await self._slowly(kind)
        if kind == "broken":
            await self._stream.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
            return False
        if kind == "hint":
            await self._send(h11.InformationalResponse(status_code=103, headers=[(b"Link", b"</a>")]))
        if kind in ("version", "info", "_ping"):
            release = [(b"Libpod-Api-Version", self._podman.version.encode()), (b"Api-Version", b"1.41")]
            await self._whole(json.dumps(self._podman.facts).encode(), headers=release)
            return True
        closes = kind == "last"
        told = {"method": seen.method, "target": seen.target, "size": seen.size, "body": seen.body}
        headers = [(b"Connection", b"close")] if closes else []
        await self._whole(json.dumps(told).encode(), headers=headers)
        return not closes

    async def _whole(self, body: bytes, *, status: int = 200, headers: list[Pair]) -> None:
        length = (b"Content-Length", b"%d" % len(body))
        kind = (b"Content-Type", b"application/json")
        head = self._http.send(h11.Response(status_code=status, headers=[kind, length, *headers])) or b""
        data = b"" if self._http.their_state is h11.ERROR else self._http.send(h11.Data(data=body)) or b""
        await self._stream.send(head + data + (self._http.send(h11.EndOfMessage()) or b""))

    async def _slowly(self, kind: str) -> bool:
        """Answer when released; give up when the client is gone, as Go's server has it."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._until_gone, tasks.cancel_scope)
            if kind == "wait":
                await self._podman.release.wait()
                await self._whole(b"0\n", headers=[])
            else:
                await self._send(h11.Response(status_code=200, headers=[(b"Content-Type", b"application/json")]))
                for number in range(3):
                    await self._send(h11.Data(data=b'{"n":%d}\n' % number))
                    if number == 0:
                        await self._podman.release.wait()
                await self._send(h11.EndOfMessage())
            tasks.cancel_scope.cancel()
            return True
        return False

    async def _until_gone(self, scope: anyio.CancelScope) -> None:
        with suppress(anyio.BrokenResourceError, anyio.EndOfStream):
            await self._stream.receive(1)
        scope.cancel()

    async def _tunnel(self, head: h11.Request) -> None:
        upgrade = next((value for key, value in head.headers if key == b"upgrade"), None)
        if upgrade is not None:
            first = b"101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: " + upgrade + b"\r\n"
        else:
            first = b"200 OK\r\n"
        rest = self._http.trailing_data[0]
        # The first bytes of the stream come with the head, as podman's may.
        await self._stream.send(
            b"HTTP/1.1 " + first + b"Content-Type: application/vnd.docker.raw-stream\r\n\r\nbegin " + rest.upper()
        )
        self._podman.tunnelled += rest
        with suppress(anyio.EndOfStream):
            while True:
                data = await self._stream.receive(1 << 16)
                self._podman.tunnelled += data
                await self._stream.send(data.upper())
        await self._stream.send(b"end\n")


@asynccontextmanager
async def fake_podman(path: Path) -> AsyncIterator[FakePodman]:
    """It listens on ``path`` while the block lasts."""
    podman = FakePodman(path)
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen(512)
    listener = await SocketListener.from_socket(sock)

    async def serve(stream: SocketStream) -> None:
        await podman.serve(stream)

    async with listener, anyio.create_task_group() as tasks:
        tasks.start_soon(listener.serve, serve)
        yield podman
        tasks.cancel_scope.cancel()
