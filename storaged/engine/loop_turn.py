"""The turns of the event loop: between two looks at its sockets it runs everything that they brought.

What a socket brought that the loop found readable was sent before the turn, so what one of these requests saw of the
store's files holds for all. A request that is read without such a wait, or behind another one of the same read, may
have been sent later, by a client that has seen another tool's change meanwhile: ``note_late_request``.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any

_late = 0
"""How many requests there were that may have been sent after their turn began."""


def note_late_request() -> None:
    """What was seen before in this turn does not hold for the request, or the requests, now begun."""
    global _late
    _late += 1


class LoopTurn:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._over = True
        self._seen = 0
        self._watching = False

    @property
    def over(self) -> bool:
        """Whether another turn, or a late request, has begun since ``begin``."""
        return self._over or self._seen != _late

    def begin(self) -> None:
        """From now on to the end of this turn ``over`` is false."""
        self._over = False
        self._seen = _late
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            if not self._watching:
                self._watching = True
                _watch_trio(self)
        else:
            loop.call_soon(self.end)

    def end(self, *_: object) -> None:
        """The turn is over."""
        self._over = True


def _watch_trio(turn: LoopTurn) -> None:
    import trio

    trio.lowlevel.add_instrument(_instrument()(turn))


@cache
def _instrument() -> type[Any]:
    """Trio is there only where it runs."""
    import trio

    class EndTurns(trio.abc.Instrument):
        def __init__(self, turn: LoopTurn) -> None:
            self._turn = turn

        def before_io_wait(self, timeout: float) -> None:
            self._turn.end()

    return EndTurns
