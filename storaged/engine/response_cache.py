"""Answers to what was asked of one snapshot before: the same question has the same answer, byte for byte.

Who looks at a store all day (a desktop's list, a monitor's count, a build's ``exists``) asks the same few questions
again and again. An answer lives as long as its snapshot, within some room; the one not asked for longest goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from sys import getsizeof
from typing import Final, TypeAlias

MAX_BYTES: Final = 12 << 20
"""Bytes kept of one snapshot, at most: two listings of the largest store reported, and thousands of small answers."""

_BESIDES: Final = 400
"""Bytes that an entry takes, and each part of an answer, besides texts."""

_LONGEST: Final = 1 << 10
"""Characters of the parameters of a question that is asked again."""

CacheKey: TypeAlias = tuple[int, str, str]
"""The number of the circumstances, the method, the parameters spelled out."""

Answer: TypeAlias = bytes | list[bytes]
"""JSON, whole or in parts to be joined."""


def cache_key(context: int, method: str, params: object) -> CacheKey | None:
    """The question whose answer may be kept; ``params`` are as JSON has them. None: they are longer than is usual."""
    if not _is_short(params):
        return None
    # Tells true from 1 and 1 from 1.0, as parameters are not equal either.
    text = repr(params)
    return (context, method, text) if len(text) <= _LONGEST else None


class ResponseCache:
    """Of one snapshot. Belongs to the event loop."""

    def __init__(self, room: int = MAX_BYTES) -> None:
        self._answers: OrderedDict[CacheKey, Answer] = OrderedDict()
        self._room = self._left = room

    def find(self, cache_key: CacheKey) -> Answer | None:
        """What was answered before."""
        answer = self._answers.get(cache_key)
        if answer is not None:
            self._answers.move_to_end(cache_key)
        return answer

    def keep(self, cache_key: CacheKey, answer: Answer) -> None:
        """Keep an answer, unless it takes more than all the room there is. Its parts must not change any more."""
        taken = _taken(cache_key, answer)
        if taken > self._room or cache_key in self._answers:
            return
        while self._left < taken:
            self._left += _taken(*self._answers.popitem(last=False))
        self._answers[cache_key] = answer
        self._left -= taken


def _is_short(params: object) -> bool:
    """Whether it is worth while to spell them out: a request may be a megabyte, or a list of lists without end."""
    room = _LONGEST
    waiting = [params]
    while waiting:
        value = waiting.pop()
        room -= 1
        if isinstance(value, str):
            room -= len(value)
        elif isinstance(value, list | dict):
            room -= len(value)
            if room >= 0:
                waiting += value
                if isinstance(value, dict):
                    waiting += value.values()
        if room < 0:
            return False
    return True


def _taken(cache_key: CacheKey, answer: Answer) -> int:
    size = len(answer) if isinstance(answer, bytes) else sum(map(len, answer)) + _BESIDES * len(answer)
    return size + getsizeof(cache_key[2]) + _BESIDES
