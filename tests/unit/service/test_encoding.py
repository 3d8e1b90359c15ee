"""Replies as bytes: the same in whatever way they are put together."""

from __future__ import annotations

import anyio
import pytest
from anyio.to_thread import current_default_thread_limiter

from storaged.service.encoding import Encoded, encode_read, encode_view
from tests.ground import Ground

pytestmark = pytest.mark.anyio

SHORT, LONG = 10, 3 << 20


def reply(size: int) -> Encoded:
    return Encoded(members=[b'"a":"', *[b"x"] * 10, b"y" * size, b'"'])


@pytest.mark.parametrize("size", [SHORT, LONG])
async def test_a_reply_is_the_same_short_and_long(ground: Ground, size: int) -> None:
    async with ground.running():
        view = await ground.cache.view()
        assert await encode_read(reply(size), view) == encode_view(reply(size), view)


async def test_a_long_reply_is_put_together_in_a_thread_and_a_short_one_is_not(ground: Ground) -> None:
    done: list[int] = []
    threads = current_default_thread_limiter()

    async with ground.running(), anyio.create_task_group() as tasks:
        view = await ground.cache.view()

        async def encode(size: int) -> None:
            done.append(len(await encode_read(reply(size), view)) // size)

        threads.total_tokens = 1
        async with threads:  # there is no thread left
            for size in (SHORT, LONG):
                tasks.start_soon(encode, size)
            await anyio.wait_all_tasks_blocked()
            assert len(done) == 1
    assert len(done) == 2
