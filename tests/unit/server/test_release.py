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
@pytest.mark.parametrize(("count", "size"), [(3, _MIB // 4), (1, 32 * _MIB)], ids=["some answers", "one long answer"])
async def test_answers_that_nobody_reads_go_with_their_connection(count: int, size: int) -> None:
    methods = Methods()
    before, _ = tracemalloc.get_traced_memory()
    async with served(methods) as it:
        # In one read, so that all begin before the first answer fills the queue.
        calls = [{"jsonrpc": "2.0", "id": n, "method": "big", "params": {"size": size}} for n in range(count)]
        await it.wire.send(*calls)
        with anyio.fail_after(5):
            while len(methods.ended) < count:  # noqa: ASYNC110 - they tell nobody
                await anyio.sleep(0.002)
        await it.wire.stream.aclose()
        with anyio.fail_after(5):
            await it.ended.wait()
        after, _ = tracemalloc.get_traced_memory()
    assert after - before < 2 * _MIB
