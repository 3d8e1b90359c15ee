"""Answers to a socket, for a client that takes them in time."""

from __future__ import annotations

import logging
import socket
from collections.abc import Sequence
from typing import Final

import anyio

from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged.server.sending import send_now
from storaged.service.session import Session

_WRITE: Final = 512 << 10
"""Bytes to write before other tasks get a turn."""
_MOST_PARTS: Final = 512

_log = logging.getLogger(__name__)


class Outgoing:
    """The writing side of one connection. One task at a time."""

    def __init__(self, channel: socket.socket, session: Session, limits: Limits, quotas: Quotas) -> None:
        self._socket = channel
        self._session = session
        self._limits = limits
        self._quotas = quotas

    async def write(self, *parts: bytes) -> None:
        """Hand all of it to the kernel; a client that reads nothing for too long is dropped.

        Raises:
            BrokenResourceError: the connection is lost.
        """
        waiting: list[bytes | memoryview] = [part for part in parts if part]
        while waiting:
            taken = send_now(self._socket, waiting[:_MOST_PARTS])
            waiting = _left(waiting, taken)
            if not waiting:
                return
            if taken >= _WRITE:
                await self._session.shares.step()
                continue
            try:
                with anyio.fail_after(self._limits.stall_seconds):
                    await anyio.wait_writable(self._socket)
            except TimeoutError:
                self._quotas.reached("stall_seconds")
                _log.warning("peer does not read connection=%d", self._session.number)
                raise anyio.BrokenResourceError from None


def _left(parts: Sequence[bytes | memoryview], taken: int) -> list[bytes | memoryview]:
    for at, part in enumerate(parts):
        if taken < len(part):
            return [memoryview(part)[taken:], *parts[at + 1 :]] if taken else [*parts[at:]]
        taken -= len(part)
    return []
