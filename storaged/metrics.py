"""Counters handed down from the daemon: what was done, how often, how long it took.

Not thread-safe by locks but by the interpreter: each ``add`` is one dict update, and a lost update in a
race would cost one count, never a wrong answer.
"""

from __future__ import annotations

from collections import defaultdict


class Metrics:
    """Counters (integers that only grow) and seconds (sums of durations)."""

    def __init__(self) -> None:
        self.counters: defaultdict[str, int] = defaultdict(int)
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def add(self, name: str, count: int = 1) -> None:
        self.counters[name] += count

    def spend(self, name: str, seconds: float) -> None:
        self.seconds[name] += seconds
        self.counters[name + ".count"] += 1
