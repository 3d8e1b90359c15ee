"""The turns of the event loop: between two looks at its sockets it runs everything that they brought.

Requests that begin in the same turn were sent before it, so what one of them saw of the store's files holds for all.
"""

from __future__ import annotations

import asyncio
from functools import cache
from typing import Any


class LoopTurn:
    """``over`` is true when another turn has begun since ``begin``. Belongs to one event loop."""

    def __init__(self) -> None:
        self.over = True
        self._watching = False

    def begin(self) -> None:
        """From now on to the end of this turn ``over`` is false."""
        self.over = False
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
        self.over = True


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
            self._turn.over = True

    return EndTurns
