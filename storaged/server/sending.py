"""Bytes to a socket, as many as the kernel takes without waiting for the reader.

anyio's ``send`` leaves asyncio a callback that raises InvalidStateError in the loop, where the wait for the reader is
cancelled in the tick in which there is room again. So what waits is ``anyio.wait_writable``.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import anyio


def send_now(channel: socket.socket, parts: Sequence[bytes | memoryview]) -> int:
    """Hand the kernel what it takes of these parts, 1024 at most; returns the number of bytes.

    Raises:
        BrokenResourceError: the connection is lost.
    """
    try:
        return channel.sendmsg(parts, (), socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return 0
    except OSError as error:
        raise anyio.BrokenResourceError from error
