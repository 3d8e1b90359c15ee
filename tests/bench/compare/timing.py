"""Measuring several programs by turns, so that what the machine does besides meets all of them alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

from attrs import field, frozen

from tests.support.report import median, percentile


@frozen(kw_only=True)
class Timing:
    """What is told of a series: seconds, and of how many requests."""

    median: float
    p99: float
    count: int

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Timing:
        """Of the times of at least one request."""
        if not seconds:
            raise ValueError("no time was taken")
        return cls(median=median(seconds), p99=percentile(seconds, 0.99), count=len(seconds))


@frozen(kw_only=True)
class Contender:
    """One program asked one question. ``ask`` makes a request and returns the seconds it took."""

    who: str
    ask: Callable[[], float]
    burst: int = field(default=1)
    """Requests in a turn: many of a fast program, so that its median is of as many turns and more requests."""
    warm: int = field(default=2)
    """Requests before any that counts."""
    settle: int = field(default=0)
    """Requests at the start of each turn that do not count: another program may have changed the store meanwhile."""


@frozen(kw_only=True)
class Effort:
    """How long one comparison may go on: at least so many turns, then until the time is spent."""

    seconds: float
    least: int
    most: int = 1_000


def by_turns(contenders: Sequence[Contender], effort: Effort) -> Mapping[str, Timing]:
    """All of them warmed up, then measured turn by turn; each turn begins with another one."""
    for contender in contenders:
        for _ in range(contender.warm if effort.seconds else min(contender.warm, 1)):
            contender.ask()
    taken: dict[str, list[float]] = {contender.who: [] for contender in contenders}
    deadline = time.monotonic() + effort.seconds
    turn = 0
    while turn < effort.least or (turn < effort.most and time.monotonic() < deadline):
        first = turn % len(contenders)
        for contender in (*contenders[first:], *contenders[:first]):
            for _ in range(contender.settle):
                contender.ask()
            taken[contender.who] += [contender.ask() for _ in range(contender.burst)]
        turn += 1
    return {who: Timing.of(seconds) for who, seconds in taken.items()}
