"""What waits to be written to one connection, and who is to be told when the kernel took it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import anyio

PIECE = 64 << 10
"""Bytes written at once: small answers are joined up to it, long ones cut to it."""


class Outbox:
    """A queue of byte strings with one reader, the connection's writer.

    It does not bound itself: each entry belongs to a request that counts as in flight until it was
    written, or to an answer after which the connection reads no further before it was written.
    """

    def __init__(self) -> None:
        self._entries: deque[tuple[bytes, Callable[[], None]]] = deque()
        self._wake = anyio.Event()
        self._finished = False
        self.size = 0
        """Bytes put and not written yet."""

    def put(self, data: bytes, written: Callable[[], None]) -> None:
        """Queue ``data``; ``written`` is called once all of it was given to the kernel."""
        self._entries.append((data, written))
        self.size += len(data)
        self._wake.set()

    def clear(self) -> None:
        """Drop what nobody will write any more, at once: a connection that broke lives on in its tracebacks."""
        self._entries.clear()
        self.size = 0

    def finish(self) -> None:
        """Nothing more will be put: the reader ends when it has written what is there."""
        self._finished = True
        self._wake.set()

    async def take(self) -> tuple[bytes, list[Callable[[], None]]] | None:
        """The next bytes to write: one long entry, or several short ones joined; None at the end."""
        while not self._entries:
            if self._finished:
                return None
            self._wake = anyio.Event()
            await self._wake.wait()
        data, written = self._entries.popleft()
        if len(data) >= PIECE or not self._entries:
            return data, [written]
        parts, calls, size = [data], [written], len(data)
        while self._entries and size + len(self._entries[0][0]) <= PIECE:
            data, written = self._entries.popleft()
            parts.append(data)
            calls.append(written)
            size += len(data)
        return b"".join(parts), calls
