"""Noticing that the other end of a connection is gone while nothing is read from it."""

from __future__ import annotations

import logging
import select
import socket

import anyio

_log = logging.getLogger(__name__)


async def hung_up(sock: socket.socket, number: int) -> bool:
    """Wait until the peer closed the connection of this number. False, at once, where that cannot be watched.

    A socket at its end of input is always readable, so reading cannot tell; an epoll that asks for nothing reports
    nothing but the hang-up.
    """
    try:
        hangup = select.epoll()
    except OSError as error:
        _log.warning("hang-up not watched connection=%d error=%s", number, error)
        return False
    with hangup:
        hangup.register(sock.fileno(), 0)
        await anyio.wait_readable(hangup.fileno())
    return True
