"""What a connection held is gone when it has ended, not when the garbage is collected some day."""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Iterator

import anyio
import pytest

from .conftest import Methods, served

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
