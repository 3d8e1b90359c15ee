"""A connection of the gateway that passes on to a server in this process, and the client's raw end of it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import anyio
from anyio.abc import SocketAttribute, UNIXSocketStream
from attrs import define

from storaged.gateway.connection import HttpConnection
from storaged.gateway.context import Context
from storaged.gateway.gateway import Gateway
from storaged.gateway.pass_rights import PassRights
from storaged.gateway.pass_through import PassTerms, PassThrough
from storaged.gateway.passed_changes import PassedChanges
from storaged.gateway.podman_socket import PodmanSocket
from storaged.metrics import Metrics
from storaged.server.fd_closer import Closer
from storaged.server.front import Shared
from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged.service.limiters import Limiters
from storaged.service.session import Credentials, Session
from tests.support.fake_podman import FakePodman, fake_podman


class Wire:
    """The client's end: bytes in and out, nothing checked."""

    def __init__(self, stream: UNIXSocketStream) -> None:
        self.stream = stream
        self.socket: socket.socket = stream.extra(SocketAttribute.raw_socket)
        self.read = b""

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def until(self, end: bytes) -> bytes:
        """What comes up to and with ``end``."""
        while end not in self.read:
            self.read += await self.stream.receive(1 << 16)
        found, _, self.read = self.read.partition(end)
        return found + end

    async def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        try:
            while True:
                self.read += await self.stream.receive(1 << 16)
        except anyio.EndOfStream:
            found, self.read = self.read, b""
            return found

    async def answer(self) -> tuple[int, dict[str, str], bytes]:
        """One answer with a length, or of chunks: status, headers, body."""
        status, headers = await self.head()
        body = b""
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await self.until(b"\r\n"), 16):
                body += await self.exactly(size)
                await self.until(b"\r\n")
            await self.until(b"\r\n")
        else:
            body = await self.exactly(int(headers.get("content-length", "0")))
        return status, headers, body

    async def head(self) -> tuple[int, dict[str, str]]:
        lines = (await self.until(b"\r\n\r\n")).decode().split("\r\n")
        fields = [line.partition(": ") for line in lines[1:] if line]
        return int(lines[0].split()[1]), {name.lower(): value for name, _, value in fields}

    async def exactly(self, size: int) -> bytes:
        while len(self.read) < size:
            self.read += await self.stream.receive(1 << 16)
        found, self.read = self.read[:size], self.read[size:]
        return found


@define
class Passed:
    wire: Wire
    podman: FakePodman
    upstream: PassThrough
    connection: HttpConnection
    metrics: Metrics
    ended: anyio.Event

    async def ask(self, method: str, target: str, *headers: str, body: bytes = b"") -> tuple[int, Any]:
        """Send a request with a length and read its answer: status, and what its JSON says."""
        lines = [f"{method} {target} HTTP/1.1", "Host: d", *headers]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        await self.wire.send("\r\n".join([*lines, "", ""]).encode() + body)
        status, _, content = await self.wire.answer()
        return status, json.loads(content)


@define
class _NoStore:
    passed: PassedChanges


OTHER = Credentials(pid=4711, uid=12_345, gid=12_345)


@asynccontextmanager
async def passed(
    folder: Path,
    *,
    who: Credentials | None = None,
    path: str | None = "podman",
    rights: PassRights | None = None,
    limits: Limits | None = None,
) -> AsyncIterator[Passed]:
    """One connection of ``who`` (this process itself), passed on to ``folder/path``."""
    metrics = Metrics()
    limits = limits or Limits()
    terms = PassTerms(
        podman=PodmanSocket(path=path and str(folder / path)), rights=rights or PassRights(own_uid=os.geteuid())
    )
    upstream = PassThrough(terms, metrics, PassedChanges())
    # The store is never asked: all that is sent here is podman's.
    gateway = Gateway(Context(store=cast("Any", _NoStore(upstream.changes)), upstream=upstream), metrics)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    shared = Shared(limits=limits, quotas=Quotas(limits, metrics), metrics=metrics, taker=Closer(), ender=Closer())
    me = Credentials(pid=os.getpid(), uid=os.geteuid(), gid=os.getegid())
    session = Session(credentials=who or me, number=1, shares=Limiters())
    connection = gateway.connect(await UNIXSocketStream.from_socket(far), session, shared)
    ended = anyio.Event()

    async def run() -> None:
        await connection.run()
        ended.set()

    async with fake_podman(folder / "podman") as podman, anyio.create_task_group() as tasks:
        wire = Wire(await UNIXSocketStream.from_socket(near))
        tasks.start_soon(run)
        try:
            with anyio.fail_after(20):
                yield Passed(wire, podman, upstream, connection, metrics, ended)
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await wire.stream.aclose()
