from __future__ import annotations

import socket
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from storaged.server.sending import send, send_now

pytestmark = pytest.mark.anyio

_MUCH = b"0123456789" * 200_000


def _pair() -> tuple[socket.socket, socket.socket]:
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    near.setblocking(False)
    return near, far


async def test_more_than_the_kernel_holds_arrives_as_it_is_read() -> None:
    near, far = _pair()
    with near, far:
        got = bytearray()

        def read() -> None:
            while len(got) < len(_MUCH):
                got.extend(far.recv(1 << 16))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(anyio.to_thread.run_sync, read)
            await send(near, _MUCH)
        assert got == _MUCH


async def test_a_reader_that_is_gone_is_told() -> None:
    near, far = _pair()
    far.close()
    with near, pytest.raises(anyio.BrokenResourceError):
        await send(near, b"x")


async def test_what_the_kernel_does_not_take_at_once_is_given_back() -> None:
    near, far = _pair()
    with near, far:
        assert not send_now(near, b"x")
        rest = send_now(near, _MUCH)
        assert 0 < len(rest) < len(_MUCH)
        assert rest == _MUCH[-len(rest) :]
        far.close()
        with pytest.raises(anyio.BrokenResourceError):
            send_now(near, b"x")


async def test_a_wait_cancelled_in_the_tick_in_which_there_is_room_leaves_nothing_in_the_loop() -> None:
    near, far = _pair()
    with near, far:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(send, near, _MUCH)
            await anyio.wait_all_tasks_blocked()
            far.setblocking(False)
            with suppress(BlockingIOError):
                while True:
                    far.recv(1 << 20)
            # Resumed before what the selector reports: asyncio has the callback of the wait in its queue by now.
            await checkpoint()
            tasks.cancel_scope.cancel()
