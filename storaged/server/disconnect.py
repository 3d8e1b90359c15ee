"""Detects clients that hang up while nothing is read from them, and lets refused clients finish writing."""

from __future__ import annotations

import logging
import select
import socket

import anyio
from anyio.abc import SocketAttribute, UNIXSocketStream

from storaged.server.fd_closer import AccountCloser
from storaged.server.receiving import receive

_LINGER_SECONDS = 2.0
_LINGER_BYTES = 64 << 20
_READ = 64 << 10

_log = logging.getLogger(__name__)


async def hung_up(sock: socket.socket, number: int) -> bool:
    """Wait until the peer closed the connection with this number. Returns False at once if that cannot be watched.

    A socket at its end of input is always readable, so reading cannot tell; an epoll that asks for nothing reports only
    the hang-up.
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


async def linger(stream: UNIXSocketStream, closer: AccountCloser) -> None:
    """Let a peer that is still writing finish, so that it reads why it was refused; only for a moment.

    Descriptors that come with it are closed.

    Raises:
        BrokenResourceError: the connection is lost.
    """
    sock: socket.socket = stream.extra(SocketAttribute.raw_socket)
    left = _LINGER_BYTES
    with anyio.move_on_after(_LINGER_SECONDS):
        await stream.send_eof()
        while left > 0:
            try:
                data, _ = await receive(sock, _READ, 0, closer)
            except anyio.EndOfStream:
                return
            left -= len(data)
