from __future__ import annotations

import socket
from contextlib import suppress

import anyio
import anyio.to_thread
import pytest
from anyio.lowlevel import checkpoint

from storaged.server.sending import send_now
from tests.support.connection import send

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


def test_parts_arrive_one_after_the_other() -> None:
    near, far = _pair()
    with near, far:
        assert send_now(near, [b"ab", memoryview(b"xcdx")[1:3], b"", *[b"e"] * 500]) == 504
        assert far.recv(1000) == b"abcd" + b"e" * 500


def test_what_the_kernel_does_not_take_at_once_is_not_counted() -> None:
    near, far = _pair()
    with near, far:
        assert send_now(near, [b"x"]) == 1
        taken = send_now(near, [_MUCH[:5], _MUCH[5:]])
        assert 5 < taken < len(_MUCH)
        far.setblocking(False)
        got = bytearray()
        with suppress(BlockingIOError):
            while True:
                got += far.recv(1 << 20)
        assert got == b"x" + _MUCH[:taken]


def test_nothing_is_taken_while_there_is_no_room() -> None:
    near, far = _pair()
    with near, far:
        while send_now(near, [_MUCH]):
            pass
        assert send_now(near, [b"x"]) == 0


def test_a_reader_that_is_gone_is_told() -> None:
    near, far = _pair()
    far.close()
    with near, pytest.raises(anyio.BrokenResourceError):
        send_now(near, [b"x"])


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
