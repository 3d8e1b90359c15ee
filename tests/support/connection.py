"""A connection served in this process, and the client's raw end of it."""

from __future__ import annotations

import io
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any

import anyio
from anyio.abc import SocketAttribute, UNIXSocketStream

from storaged.logs import Lines
from storaged.metrics import Metrics
from storaged.server import peercred
from storaged.server.connection import Connection
from storaged.server.fd_closer import Closer
from storaged.server.front import Shared
from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged.server.request_tasks import Dispatch
from storaged.server.sending import send_now
from storaged.service.context import Waiting
from storaged.service.limiters import Limiters
from storaged.service.session import Session
from storaged_client.contract.errors import ImageUnknown

Method = Callable[[Any], Awaitable[bytes]]


class Methods:
    """A handler of a few methods: ``echo``, ``stick`` (until released), ``big``, ``unknown``, ``broken``.

    ``now.`` before a name: the same, at once.
    """

    def __init__(self) -> None:
        self.release = anyio.Event()
        self.begun: list[Any] = []
        self.ended: list[Any] = []
        self.extra: dict[str, Method] = {}
        self.taken: list[int] = []

    def __call__(
        self, session: Session, method: str, params: Any, descriptors: Sequence[int] = (), /
    ) -> bytes | Waiting[bytes]:
        self.taken.extend(descriptors)
        if not method.startswith("now."):
            return partial(self._answer, method, params)
        step = self._answer(method.removeprefix("now."), params)
        try:
            step.send(None)
        except StopIteration as end:
            return bytes(end.value)
        raise AssertionError(f"{method} waits")

    async def _answer(self, method: str, params: Any) -> bytes:
        self.begun.append(params)
        try:
            if method == "stick":
                await self.release.wait()
            elif method == "big":
                return b'"' + b"x" * (params["size"] - 2) + b'"'
            elif method == "unknown":
                raise ImageUnknown("no such image", {"image": params["name"]})
            elif method == "broken":
                raise ZeroDivisionError("a mistake of ours")
            elif method in self.extra:
                return await self.extra[method](params)
            return json.dumps(params).encode()
        finally:
            self.ended.append(params)


@contextmanager
def logged(name: str) -> Iterator[io.StringIO]:
    """What reaches standard error, as the journal gets it, of the loggers from this one down."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(Lines(journal=True))
    logger = logging.getLogger(name)
    logger.addHandler(handler)
    try:
        yield written
    finally:
        logger.removeHandler(handler)


async def send(channel: socket.socket, data: bytes) -> None:
    """All of it, waiting for the reader."""
    rest = memoryview(data)
    while rest := rest[send_now(channel, [rest]) :]:
        await anyio.wait_writable(channel)


class Wire:
    """The client's end: whole JSON lines in and out, nothing checked."""

    def __init__(self, stream: UNIXSocketStream) -> None:
        self.stream = stream
        self.socket: socket.socket = stream.extra(SocketAttribute.raw_socket)
        self._buffer = bytearray()

    async def send(self, *messages: Any) -> None:
        await self.write(b"".join(json.dumps(message).encode() + b"\n" for message in messages))

    async def write(self, data: bytes) -> None:
        """Unlike anyio's, cancelled by a test at any tick without a callback that fails another one."""
        await send(self.socket, data)

    async def call(self, id: Any, method: str, **params: Any) -> None:
        await self.send({"jsonrpc": "2.0", "id": id, "method": method, "params": params})

    async def line(self) -> Any:
        """The next message; raises EndOfStream at the end."""
        while b"\n" not in self._buffer:
            await anyio.wait_readable(self.socket)
            data = self.socket.recv(1 << 20, socket.MSG_DONTWAIT)
            if not data:
                raise anyio.EndOfStream
            self._buffer += data
        line, _, rest = bytes(self._buffer).partition(b"\n")
        self._buffer[:] = rest
        return json.loads(line)

    async def lines(self) -> list[Any]:
        """All messages up to the end."""
        found = []
        try:
            while True:
                found.append(await self.line())
        except anyio.EndOfStream:
            assert not self._buffer
            return found


class Served:
    def __init__(self, wire: Wire, connection: Connection, quotas: Quotas, metrics: Metrics) -> None:
        self.wire = wire
        self.connection = connection
        self.quotas = quotas
        self.metrics = metrics
        self.ended = anyio.Event()


@asynccontextmanager
async def served(
    dispatch: Dispatch, limits: Limits | None = None, quotas: Quotas | None = None, shares: Limiters | None = None
) -> AsyncIterator[Served]:
    limits = limits or Limits()
    metrics = Metrics()
    quotas = quotas or Quotas(limits, metrics)
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    credentials = peercred.of_socket(far)
    stream = await UNIXSocketStream.from_socket(far)
    connection = Connection(
        stream,
        session=Session(credentials=credentials, number=1, shares=shares or Limiters()),
        dispatch=dispatch,
        shared=Shared(limits=limits, quotas=quotas, metrics=metrics, taker=Closer(), ender=Closer()),
    )
    wire = Wire(await UNIXSocketStream.from_socket(near))
    result = Served(wire, connection, quotas, metrics)

    async def run() -> None:
        await connection.run()
        result.ended.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run)
        try:
            yield result
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                await wire.stream.aclose()
