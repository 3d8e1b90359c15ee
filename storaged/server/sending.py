"""Bytes to a socket, as fast as its reader takes them.

anyio's ``send`` leaves asyncio a callback that raises InvalidStateError in the loop, where the wait for the reader is
cancelled in the tick in which there is room again.
"""

from __future__ import annotations

import socket

import anyio


def send_now(channel: socket.socket, data: bytes | memoryview) -> memoryview:
    """Hand the kernel what it takes without waiting; returns the rest. Nearly every answer is done by this alone.

    Raises:
        BrokenResourceError: the connection is lost.
    """
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[channel.send(rest, socket.MSG_DONTWAIT) :]
    except (BlockingIOError, InterruptedError):
        return rest
    except OSError as error:
        raise anyio.BrokenResourceError from error
    return rest


async def send(channel: socket.socket, data: bytes | memoryview) -> None:
    """Hand all of it to the kernel, waiting for the reader; does not wait where there is room. One task at a time.

    Raises:
        BrokenResourceError: the connection is lost.
    """
    rest = send_now(channel, data)
    while rest:
        await anyio.wait_writable(channel)
        rest = send_now(channel, rest)
