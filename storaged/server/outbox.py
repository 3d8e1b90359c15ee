"""What waits to be written to one connection, and who is to be told when the kernel took it.

::

    put: answer, (told)                            nothing waits: given to the kernel at once, where it takes it
    put: head, row, row, row ... row, tail, (told) | answer, (told) | ...
    take:  [ up to 128 KiB joined ] [ up to 128 KiB ] ...

An answer comes in the parts it was made of, and no more than one piece of it is ever copied at a time: rows that
the cache keeps anyway are sent from there, whatever their number, and a long one is cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence

import anyio

PIECE = 128 << 10
"""Bytes written at once: small parts are joined up to it, long ones cut to it."""

Told = Callable[[], None]


class Outbox:
    """A queue of byte strings with one reader, the connection's writer.

    It does not bound itself: each entry belongs to a request that counts as in flight until it was
    written, or to an answer after which the connection reads no further before it was written.

    ``send_now`` gives the kernel what it takes without waiting and returns the rest.
    """

    def __init__(self, send_now: Callable[[bytes], memoryview] = memoryview) -> None:
        self._send_now = send_now
        self._parts: deque[bytes | Told] = deque()
        self._at = 0
        """How much of the first part was taken."""
        self._wake = anyio.Event()
        self._finished = False
        self.size = 0
        """Bytes put and not written yet."""

    def put(self, parts: Sequence[bytes], written: Told) -> None:
        """Write or queue one message; ``written`` is called once all of it was given to the kernel."""
        size = sum(map(len, parts))
        if size <= PIECE and not self._parts and not self.size:
            rest = self._attempt(b"".join(parts))
            if not rest:
                written()
                return
            parts, size = (bytes(rest),), len(rest)
        self._parts.extend(parts)
        self._parts.append(written)
        self.size += size
        self._wake.set()

    def _attempt(self, data: bytes) -> memoryview:
        try:
            return self._send_now(data)
        except anyio.BrokenResourceError:
            return memoryview(data)  # the reader of the queue meets it, too: it is for him to end the connection

    def finish(self) -> None:
        """Nothing more will be put: the reader ends when it has written what is there."""
        self._finished = True
        self._wake.set()

    def clear(self) -> None:
        """Drop what was not taken: nobody is told, and nothing may be put any more."""
        self._parts.clear()

    async def take(self) -> tuple[bytes | memoryview, list[Told]] | None:
        """The next bytes to write, and who is told once they are written: whose last ones they are. None at the end."""
        while not self._parts:
            if self._finished:
                return None
            self._wake = anyio.Event()
            await self._wake.wait()
        pieces: list[bytes | memoryview] = []
        told: list[Told] = []
        room = PIECE
        while self._parts:
            part = self._parts[0]
            if not isinstance(part, bytes):
                told.append(part)
            elif room == 0 and part:
                break
            elif len(part) - self._at > room:
                pieces.append(memoryview(part)[self._at : self._at + room])
                self._at += room
                break
            else:
                pieces.append(memoryview(part)[self._at :] if self._at else part)
                room -= len(part) - self._at
                self._at = 0
            self._parts.popleft()
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), told
