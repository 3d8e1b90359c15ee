"""What strangers can have logged as often as they like: told the first times, then counted, and told by its number.

::

    14:00:00  audit method=images.tag uid=1000 pid=7 target=a:1 result=NotPermitted
    14:01:00  audit method=images.tag uid=1000 result=NotPermitted repeated=89999 seconds=60

So nobody fills the journal, and no line of another user's is dropped by it for a flood.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final, NamedTuple

SECONDS: Final = 60
"""How long is counted before the number is told."""
_MOST: Final = 256
"""Kinds told apart at once; the others are told by their words alone."""


class Kind(NamedTuple):
    """What counts as the same: the logger's name and level, the constant words of the line, and some of its fields.

    So many of a kind are told as they are, the first ``burst`` of each minute.
    """

    name: str
    level: int
    words: str
    fields: tuple[tuple[str, object], ...] = ()
    burst: int = 100


class Throttle:
    """Whose turn it is to be told. ``tell`` is called with a kind, how many of it were not told, and in how many
    seconds. ``clock`` in seconds. Belongs to one thread, or is guarded by one lock."""

    def __init__(self, tell: Callable[[Kind, int, int], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._tell = tell
        self._clock = clock
        self._counts: dict[Kind, int] = {}
        self._since: dict[Kind, float] = {}
        """When counting began; the longest ago is the first."""

    def passes(self, kind: Kind) -> bool:
        """Count one; whether it is to be told itself."""
        self.settle()
        if kind not in self._counts and len(self._counts) >= _MOST:
            kind = kind._replace(words="other lines" if len(self._counts) >= 2 * _MOST else kind.words, fields=())
        if kind not in self._counts:
            self._counts[kind] = 0
            self._since[kind] = self._clock()
        self._counts[kind] += 1
        return self._counts[kind] <= kind.burst

    def settle(self, *, everything: bool = False) -> None:
        """Tell the numbers of what was counted for long enough, and count it anew."""
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
