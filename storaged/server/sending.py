"""Bytes to a socket, as fast as its reader takes them.

anyio's ``send`` leaves asyncio a callback that raises InvalidStateError in the loop, where the wait for the reader is
cancelled in the tick in which there is room again.
"""

from __future__ import annotations

import socket

import anyio
from anyio.lowlevel import checkpoint


async def send(channel: socket.socket, data: bytes | memoryview) -> None:
    """Hand all of it to the kernel, giving other tasks a turn first. One task at a time.

    Raises:
        BrokenResourceError: the connection is lost.
    """
    await checkpoint()
    rest = memoryview(data)
    while rest:
        try:
            rest = rest[channel.send(rest, socket.MSG_DONTWAIT) :]
        except (BlockingIOError, InterruptedError):
            await anyio.wait_writable(channel)
        except OSError as error:
            raise anyio.BrokenResourceError from error
