"""Whether what a process holds grows: a slope that single samples, and the transients of answers, do not move."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from tests.support.report import median

Sample = tuple[float, float]
"""Seconds, and what was held then."""

BLOCKS = 24


def troughs(samples: Sequence[Sample], blocks: int = BLOCKS) -> list[Sample]:
    """The least of each of so many equal stretches of time: what is held when least is going on.

    An answer that is being written is held for a moment, and a leak for good: only the latter lifts the troughs.
    """
    first, last = samples[0][0], samples[-1][0]
    least: dict[int, Sample] = {}
    for moment, held in samples:
        block = min(blocks - 1, int((moment - first) / (last - first) * blocks)) if last > first else 0
        if block not in least or held < least[block][1]:
            least[block] = (moment, held)
    return [least[block] for block in sorted(least)]


def slope(samples: Sequence[Sample]) -> float:
    """A second's growth by Theil and Sen: the median of the slopes of all pairs, which 29 % of outliers cannot move."""
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(samples, 2) if b[0] > a[0]]
    return median(slopes) if slopes else 0.0


def growth(samples: Sequence[Sample]) -> float:
    """What the slope of the troughs makes of the whole time."""
    lows = troughs(samples)
    return slope(lows) * (samples[-1][0] - samples[0][0])
