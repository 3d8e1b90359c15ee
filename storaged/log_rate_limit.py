"""Limits log lines that clients can cause at will: the first lines are logged, the rest is counted and reported.

::

    14:00:00  audit method=images.tag uid=1000 pid=7 target=a:1 result=NotPermitted
    14:01:00  audit method=images.tag uid=1000 result=NotPermitted repeated=89999 seconds=60

So nobody can fill the journal, and the journal drops no line of another user because of a flood.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

SECONDS: Final = 60
"""How long lines are counted before the number is logged."""
_MOST: Final = 256
"""The maximum number of kinds counted separately; further ones are told apart only by their words."""


class Kind(NamedTuple):
    """What counts as the same line: the logger's name and level, the constant words, and some of its fields.

    The first ``burst`` of a kind in each minute are logged.
    """

    name: str
    level: int
    words: str
    fields: tuple[tuple[str, object], ...] = ()
    burst: int = 100


class Throttle:
    """Decides which lines are logged. ``tell`` is called with a kind, the number of its lines that were not logged, and
    the seconds counted. ``clock`` in seconds. Belongs to one thread, or is guarded by one lock."""

    def __init__(self, tell: Callable[[Kind, int, int], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._counts: dict[Kind, int] = {}
        self._since: dict[Kind, float] = {}
        """When counting began; the oldest is first."""

    def passes(self, kind: Kind) -> bool:
        """Count a line; returns whether to log it."""
        self.settle()
        if kind not in self._counts and len(self._counts) >= _MOST:
            kind = kind._replace(words="other lines" if len(self._counts) >= 2 * _MOST else kind.words, fields=())
        if kind not in self._counts:
            self._counts[kind] = 0
            self._since[kind] = self._clock()
        self._counts[kind] += 1
        return self._counts[kind] <= kind.burst

    def settle(self, *, everything: bool = False) -> None:
        """Report the numbers that were counted for long enough, and start again."""
        now = self._clock()
        for kind, since in list(self._since.items()) if everything else self._due(now):
            del self._since[kind]
            untold = self._counts.pop(kind) - kind.burst
            if untold > 0:
                self._tell(kind, untold, round(now - since))

    def _due(self, now: float) -> list[tuple[Kind, float]]:
        found = []
        for kind, since in self._since.items():
            if now - since < SECONDS:
                break
            found.append((kind, since))
        return found
