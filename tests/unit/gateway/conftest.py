"""The gateway of a real store over a real socket, and the client's raw end of it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import h11
import pytest
from anyio.abc import SocketAttribute, UNIXSocketStream
from attrs import frozen

from storaged.gateway.answers import Answer, Streamed
from storaged.gateway.connection import HttpConnection
from storaged.gateway.context import Context, Upstream
from storaged.gateway.gateway import Gateway
from storaged.gateway.request import Request
from storaged.gateway.store_access import StoreAccess
from storaged.gateway.without_podman import WithoutPodman
from storaged.metrics import Metrics
from storaged.server import peercred
from storaged.server.fd_closer import Closer
from storaged.server.front import Shared
from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged.service.limiters import Limiters
from storaged.service.session import Credentials, Session
from tests.support.ground import Ground
from tests.support.service import Desk, desk_of


@frozen(kw_only=True)
class Reply:
    status: int
    version: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """The client's end: bytes out, whole answers in."""

    def __init__(self, stream: UNIXSocketStream) -> None:
        self.stream = stream
        self.socket: socket.socket = stream.extra(SocketAttribute.raw_socket)
        self._data = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Reply:
        head = f"{method} {target} HTTP/1.1\r\nHost: d\r\n"
        head += "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
        if body is not None:
            head += f"Content-Length: {len(body)}\r\n"
        await self.send(head.encode() + b"\r\n" + (body or b""))
        return await self.reply(method)

    async def get(self, target: str) -> Reply:
        return await self.ask("GET", target)

    async def reply(self, method: str = "GET") -> Reply:
        """The next answer; raises EndOfStream where the connection ends instead."""
        parser = h11.Connection(h11.CLIENT)
        parser.send(h11.Request(method=method, target="/", headers=[("Host", "d")]))
        parser.send(h11.EndOfMessage())
        parser.receive_data(self._data) if self._data else None
        head: h11.Response | None = None
        body = bytearray()
        while True:
            event = parser.next_event()
            if event is h11.NEED_DATA:
                try:
                    parser.receive_data(await self.stream.receive())
                except anyio.EndOfStream:
                    if head is None:
                        raise
                    parser.receive_data(b"")
            elif isinstance(event, h11.Response):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
            elif isinstance(event, h11.EndOfMessage):
                break
        assert head is not None
        self._data = parser.trailing_data[0]
        return Reply(
            status=head.status_code,
            version=head.http_version.decode(),
            headers={name.decode(): value.decode() for name, value in head.headers},
            body=bytes(body),
        )

    async def end(self) -> bytes:
        """All that is left, up to the end."""
        found = bytearray(self._data)
        try:
            while True:
                found += await self.stream.receive()
        except anyio.EndOfStream:
            return bytes(found)


class Rest:
    """A gateway, and the connections to it."""

    def __init__(self, desk: Desk, limits: Limits, upstream: Upstream) -> None:
        self.ground = desk.ground
        self.metrics = Metrics()
        self.quotas = Quotas(limits, self.metrics)
        store = StoreAccess(engine=desk.engine, service=lambda: desk.service)
        self.gateway = Gateway(Context(store=store, upstream=upstream), self.metrics)
        self._shared = Shared(limits=limits, quotas=self.quotas, metrics=self.metrics, taker=Closer(), ender=Closer())
        self.connections: list[HttpConnection] = []

    @asynccontextmanager
    async def client(self, *, uid: int | None = None) -> AsyncIterator[Wire]:
        """A client's end; as another user's, whose number the kernel would have told."""
        near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        credentials = peercred.of_socket(far)
        if uid is not None:
            credentials = Credentials(pid=credentials.pid, uid=uid, gid=uid)
        session = Session(credentials=credentials, number=len(self.connections) + 1, shares=Limiters())
        stream = await UNIXSocketStream.from_socket(far)
        connection = self.gateway.connect(stream, session, self._shared)
        self.connections.append(connection)
        wire = Wire(await UNIXSocketStream.from_socket(near))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(connection.run)
            try:
                with anyio.fail_after(20):
                    yield wire
            finally:
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await wire.stream.aclose()


class Echo(WithoutPodman):
    """In podman's place: tells what it was passed, and its body; what is begun waits until it is let go."""

    def __init__(self) -> None:
        self.release = anyio.Event()
        self.begun = anyio.Event()
        self.ended = anyio.Event()

    async def may_pass(self, request: Request) -> bool:
        return True

    async def pass_on(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        if request.path == "/containers/wait":
            self.begun.set()
            try:
                async with connection.watched():
                    await self.release.wait()
            finally:
                self.ended.set()
        if request.path == "/containers/stream":
            return Streamed(pieces=self._pieces())
        if request.path == "/containers/ignored":
            return Answer(body=(b"ignored",))
        body = await request.body()
        told = b"too long" if body is None else body
        return Answer(body=(request.method.encode(), b" ", request.target, b" ", told))

    async def _pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one"
            await self.release.wait()
            yield b"two"
        finally:
            self.ended.set()


@pytest.fixture
def desk(ground: Ground) -> Desk:
    return desk_of(ground, own_uid=os.geteuid())


@asynccontextmanager
async def resting(desk: Desk, *, limits: Limits | None = None, upstream: Upstream | None = None) -> AsyncIterator[Rest]:
    """The gateway of this store; in podman's place ``upstream``, else nobody."""
    async with desk.ground.running():
        yield Rest(desk, limits or Limits(), upstream or WithoutPodman())
