"""What a connection held is gone when it has ended, not when the garbage is collected some day."""

from __future__ import annotations

import gc
import socket
import tracemalloc
import weakref
from collections.abc import Iterator

import anyio
import pytest
from anyio.abc import UNIXSocketStream

from storaged.metrics import Metrics
from storaged.server import peercred
from storaged.server.connection import Connection
from storaged.server.fd_closer import Closer
from storaged.server.front import Shared
from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged.service.session import Session
from tests.support.connection import Methods, Wire, served

pytestmark = pytest.mark.anyio

_MIB = 1 << 20


@pytest.fixture
def counted() -> Iterator[None]:
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


@pytest.mark.usefixtures("counted")
async def test_an_answer_that_nobody_reads_goes_with_its_connection() -> None:
    methods = Methods()
    before, _ = tracemalloc.get_traced_memory()
    async with served(methods) as it:
        await it.wire.send({"jsonrpc": "2.0", "id": 1, "method": "big", "params": {"size": 32 * _MIB}})
        with anyio.fail_after(5):
            while not methods.ended:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.002)
        await it.wire.stream.aclose()
        with anyio.fail_after(5):
            await it.ended.wait()
        after, _ = tracemalloc.get_traced_memory()
    assert after - before < 2 * _MIB


async def _one_connection(number: int) -> weakref.ref[Connection]:
    """One that asked once and is gone."""
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    limits, metrics = Limits(), Metrics()
    connection = Connection(
        await UNIXSocketStream.from_socket(far),
        session=Session(credentials=peercred.of_socket(far), number=number),
        dispatch=Methods(),
        shared=Shared(limits=limits, quotas=Quotas(limits, metrics), metrics=metrics, taker=Closer(), ender=Closer()),
    )
    wire = Wire(await UNIXSocketStream.from_socket(near))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.run)
        await wire.call(1, "echo")
        await wire.line()
        await wire.stream.aclose()
    return weakref.ref(connection)


@pytest.mark.usefixtures("counted")
async def test_a_connection_is_in_no_circle_when_it_has_ended() -> None:
    ended = [await _one_connection(number) for number in range(3)]
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    assert [each() for each in ended] == [None] * 3
