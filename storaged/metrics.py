"""Counters and timings of the daemon: what was done, how often, how long it took.

Not protected by locks but by the interpreter: each ``add`` is one dict update, and an update lost in a race would cost
one count, never a wrong answer.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict

BOUNDS = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05),
    *(0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
"""Upper bounds of the histogram buckets, in seconds; one more bucket counts what took longer."""


class Metrics:
    """Counters (integers that only grow), seconds (sums of durations) and buckets (histograms of durations).

    Each name uses memory for good, so names come from a small fixed set, never from a client or the store.
    """

    def __init__(self) -> None:
        self.counters: defaultdict[str, int] = defaultdict(int)
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BOUNDS) + 1))

    def add(self, name: str, count: int = 1) -> None:
        self.counters[name] += count

    def spend(self, name: str, seconds: float) -> None:
        """Record a duration: ``name.count`` of the counters, and ``name`` of seconds and buckets."""
        self.seconds[name] += seconds
        self.counters[name + ".count"] += 1
        self.buckets[name][bisect_left(BOUNDS, seconds)] += 1
