"""What waits to be written to one connection, and who is to be told when the kernel took it.

::

    put: head, rows, rows ... tail, (told) | answer, (told) | ...
         nothing waits: what the kernel takes is written at once
    write: half a mebibyte of it in one system call, from where the parts are

An answer comes in the parts it was made of, and no byte of them is copied but by the kernel.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import anyio

TURN: Final = 512 << 10
"""Bytes written before everybody else has a turn, where the kernel takes them."""

_MOST_PARTS: Final = 512
"""Parts of one write; a system call takes 1024."""

Told = Callable[[], None]
Part: TypeAlias = bytes | memoryview


class SendQueue:
    """A queue of byte strings. Belongs to the event loop.

    It does not bound itself: the connection reads no further while ``size`` or ``waiting`` is at its limit.

    ``give`` hands parts to the kernel without waiting and returns how many bytes it took.
    """

    def __init__(self, give: Callable[[Sequence[Part]], int]) -> None:
        self._give = give
        self._parts: deque[Part | Told] = deque()
        self._wake = anyio.Event()
        self._finished = self._closed = False
        self.size = 0
        """Bytes put and not written yet."""
        self.waiting = 0
        """Messages put and not written whole yet. A small one takes several times its bytes."""

    def put(self, parts: Sequence[bytes], written: Told) -> None:
        """Write or queue one message; ``written`` is called once all of it was given to the kernel."""
        if self._closed:
            return
        first = not self._parts
        self._parts.extend(parts)
        self._parts.append(written)
        self.size += sum(map(len, parts))
        self.waiting += 1
        if first:
            with suppress(anyio.BrokenResourceError):  # who waits for the queue writes, too: that ends the connection
                self.write()
        if self._parts:
            self._wake.set()

    def write(self) -> bool:
        """Give the kernel of what waits as much as one turn allows; False where it did not take all of that.

        Raises:
            BrokenResourceError: the connection is lost.
        """
        some: list[Part] = []
        room = TURN
        for part in self._parts:
            if callable(part):
                continue
            if not room or len(some) == _MOST_PARTS:
                break
            some.append(part if len(part) <= room else memoryview(part)[:room])
            room -= len(some[-1])
        wanted = TURN - room
        taken = self._give(some) if wanted else 0
        self.size -= taken
        self._drop(taken)
        return taken == wanted

    def finish(self) -> None:
        """Nothing more will be put: the wait ends when all is written."""
        self._finished = True
        self._wake.set()

    def clear(self) -> None:
        """Drop what was not written, and all that is put from now on: nobody is told."""
        self._parts.clear()
        self.waiting = 0
        self._closed = True

    async def filled(self) -> bool:
        """Wait until something is there to be written; False at the end."""
        while not self._parts:
            if self._finished:
                return False
            self._wake = anyio.Event()
            await self._wake.wait()
        return True

    def _drop(self, taken: int) -> None:
        """So many bytes are written: tell those whose last ones are among them."""
        while self._parts:
            part = self._parts[0]
            if callable(part):
                self._parts.popleft()
                self.waiting -= 1
                part()
            elif len(part) <= taken:
                self._parts.popleft()
                taken -= len(part)
            else:
                if taken:
                    self._parts[0] = memoryview(part)[taken:]
                return
