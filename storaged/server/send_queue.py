"""The send queue of one connection, with callbacks when the kernel took a message.

::

    put: head, rows, rows ... tail, (told) | answer, (told) | ...
         if nothing waits: write at once what the kernel takes
    write: half a mebibyte in one system call, from where the parts are

An answer comes in the parts it was made of, and only the kernel copies their bytes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

import anyio

TURN: Final = 512 << 10
"""Bytes written before others get a turn, if the kernel takes them."""

_MOST_PARTS: Final = 512
"""The maximum number of parts in one write; a system call takes 1024."""

Told = Callable[[], None]
Part: TypeAlias = bytes | memoryview


class SendQueue:
    """A queue of byte strings. Belongs to the event loop.

    It has no limit of its own: the connection stops reading while ``size`` or ``waiting`` is at its limit.

    ``give`` passes parts to the kernel without waiting and returns how many bytes it took.
    """

    def __init__(self, give: Callable[[Sequence[Part]], int]) -> None:
        self._give = give
        self._parts: deque[Part | Told] = deque()
        self._wake = anyio.Event()
        self._finished = self._closed = False
        self.size = 0
        """Bytes put but not written yet."""
        self.waiting = 0
        """Messages not written completely yet. A small one takes several times its bytes."""

    def put(self, parts: Sequence[bytes], written: Told) -> None:
        """Write or queue one message; ``written`` is called once the kernel took all of it."""
        if self._closed:
            return
        first = not self._parts
        self._parts.extend(parts)
        self._parts.append(written)
        self.size += sum(map(len, parts))
        self.waiting += 1
        if first:
            with suppress(
                anyio.BrokenResourceError
            ):  # the task that waits for the queue writes, too, and ends the connection
                self.write()
        if self._parts:
            self._wake.set()

    def write(self) -> bool:
        """Write as much as one turn allows; returns False if the kernel did not take all of that.

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
        """Nothing more will be put: the wait ends when everything is written."""
        self._finished = True
        self._wake.set()

    def clear(self) -> None:
        """Drop unwritten messages, and all that are put from now on, without calling back."""
        self._parts.clear()
        self.waiting = 0
        self._closed = True

    async def filled(self) -> bool:
        """Wait until there is something to write; False at the end."""
        while not self._parts:
            if self._finished:
                return False
            self._wake = anyio.Event()
            await self._wake.wait()
        return True

    def _drop(self, taken: int) -> None:
        """Account for written bytes: call back for the messages that are complete."""
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
