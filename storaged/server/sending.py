"""Writes to a socket as many bytes as the kernel takes without waiting.

anyio's ``send`` leaves a callback in asyncio's loop that raises InvalidStateError if the wait is cancelled in the tick
in which there is room again. So waiting uses ``anyio.wait_writable``.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence

import anyio


def send_now(channel: socket.socket, parts: Sequence[bytes | memoryview]) -> int:
    """Pass these parts, at most 1024, to the kernel; returns the number of bytes it took.

    Raises:
        BrokenResourceError: the connection is lost.
    """
    try:
        return channel.sendmsg(parts, (), socket.MSG_DONTWAIT)
    except (BlockingIOError, InterruptedError):
        return 0
    except OSError as error:
        raise anyio.BrokenResourceError from error
