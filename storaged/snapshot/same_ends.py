"""What two long sequences have in common at both ends, by identity: compared in runs, for nearly all of it is."""

from __future__ import annotations

from collections.abc import Sequence
from operator import is_
from typing import Final

_COMPARED: Final = 1024


def same_ends(before: Sequence[object], now: Sequence[object]) -> tuple[int, int]:
    """How many values at the beginning and at the end are the same objects; the ends do not overlap."""
    shorter = min(len(before), len(now))
    first = 0
    while first < shorter:
        stop = min(first + _COMPARED, shorter)
        if not all(map(is_, before[first:stop], now[first:stop])):
            while before[first] is now[first]:
                first += 1
            break
        first = stop
    last = 0
    while last < shorter - first:
        many = min(_COMPARED, shorter - first - last)
        ends = len(before) - last, len(now) - last
        if not all(map(is_, before[ends[0] - many : ends[0]], now[ends[1] - many : ends[1]])):
            while before[-1 - last] is now[-1 - last]:
                last += 1
            break
        last += many
    return first, last
