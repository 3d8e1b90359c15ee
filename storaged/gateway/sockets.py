"""Reads and writes bytes on a socket, on any event loop. At most one task reads and one writes."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

import anyio
from anyio.lowlevel import cancel_shielded_checkpoint

from storaged.server.sending import send_now

READ: Final = 64 << 10
"""Bytes read at once."""
_FULL_QUEUE_PAUSE: Final = 0.02
"""Seconds until the next attempt while the listener's queue is full: the kernel does not report when it has room
again."""


async def connect(path: str) -> socket.socket:
    """Connect to the Unix socket at ``path``; waits while the listener's queue is full.

    Raises:
        OSError: there is no such socket.
    """
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
    try:
        while True:
            try:
                channel.connect(path)
            except BlockingIOError:
                await anyio.sleep(_FULL_QUEUE_PAUSE)
            else:
                return channel
    except BaseException:
        channel.close()
        raise


async def receive(channel: socket.socket, size: int = READ) -> bytes:
    """The bytes that have come, after waiting for the first; empty at the end of input.

    Raises:
        BrokenResourceError: the connection is lost.
    """
    while True:
        try:
            data = channel.recv(size, socket.MSG_DONTWAIT)
        except (BlockingIOError, InterruptedError):
            await anyio.wait_readable(channel)
        except OSError as error:
            raise anyio.BrokenResourceError from error
        else:
            # Everybody else has a turn; whoever stops waiting now loses nothing.
            await cancel_shielded_checkpoint()
            return data


async def send_all(channel: socket.socket, data: bytes | Sequence[bytes]) -> None:
    """Write all of it, as fast as the reader accepts it.

    Raises:
        BrokenResourceError: the connection is lost.
    """
    parts: list[bytes | memoryview] = [data] if isinstance(data, bytes) else list(data)
    while parts:
        sent = send_now(channel, parts)
        if not sent and any(parts):
            await anyio.wait_writable(channel)
            continue
        while parts and sent >= len(parts[0]):
            sent -= len(parts.pop(0))
        if sent:
            parts[0] = memoryview(parts[0])[sent:]


def end_writing(channel: socket.socket) -> None:
    """Send an end of input; the other end may still write."""
    with suppress(OSError):  # already closed
        channel.shutdown(socket.SHUT_WR)


def end_reading(channel: socket.socket) -> None:
    """Make later writes of the other end fail."""
    with suppress(OSError):  # already closed
        channel.shutdown(socket.SHUT_RD)


def ended(channel: socket.socket) -> bool:
    """Whether the other end has closed, or written something that nobody asked for."""
    try:
        channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return False
    except OSError:
        return True
    return True
