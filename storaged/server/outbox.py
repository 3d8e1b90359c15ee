"""What waits to be written to one connection, and who is to be told when the kernel took it.

::

    put: head, row, row, row ... row, tail, (told) | answer, (told) | ...
         nothing waits: what the kernel takes is written at once, half a mebibyte at most
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

_AT_ONCE = 4
"""Pieces written before everybody else has a turn, where the kernel takes them."""

Told = Callable[[], None]


class Outbox:
    """A queue of byte strings with one reader, the connection's writer.

    It does not bound itself: each entry belongs to a request that counts as in flight until it was
    written, or to an answer after which the connection reads no further before it was written.

    ``send_now`` gives the kernel what it takes without waiting and returns the rest.
    """

    def __init__(self, send_now: Callable[[bytes | memoryview], memoryview] = memoryview) -> None:
        self._send_now = send_now
        self._parts: deque[bytes | memoryview | Told] = deque()
        self._wake = anyio.Event()
        self._finished = False
        self.size = 0
        """Bytes put and not written yet."""

    def put(self, parts: Sequence[bytes], written: Told) -> None:
        """Write or queue one message; ``written`` is called once all of it was given to the kernel."""
        first = not self._parts and not self.size
        self._parts.extend(parts)
        self._parts.append(written)
        self.size += sum(map(len, parts))
        if not first or not self._rush():
            self._wake.set()

    def _rush(self) -> bool:
        """Write at once what can be; whether that was all."""
        for _ in range(_AT_ONCE):
            data, told = self._piece()
            try:
                rest = self._send_now(data)
            except anyio.BrokenResourceError:
                rest = memoryview(data)  # who takes what waits meets it, too, and ends the connection
            self.size -= len(data) - len(rest)
            if rest:
                self._parts.extendleft((*reversed(told), rest))
                return False
            for call in told:
                call()
            if not self._parts:
                return True
        return False

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
        return self._piece()

    def _piece(self) -> tuple[bytes | memoryview, list[Told]]:
        pieces: list[bytes | memoryview] = []
        told: list[Told] = []
        room = PIECE
        while self._parts:
            part = self._parts.popleft()
            if callable(part):
                told.append(part)
            elif len(part) <= room:
                pieces.append(part)
                room -= len(part)
            else:
                whole = memoryview(part)
                if room:
                    pieces.append(whole[:room])
                self._parts.appendleft(whole[room:])
                break
        return (pieces[0] if len(pieces) == 1 else b"".join(pieces)), told
