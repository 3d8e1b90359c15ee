"""Cache of encoded answers of one snapshot: the same question has the same answer, byte for byte.

Clients that watch a store all day (a desktop's list, a monitor's count, a build's ``exists``) repeat a few questions.
Answers live as long as their snapshot, within a bound; the least recently used goes first.
"""

from __future__ import annotations

from collections import OrderedDict
from sys import getsizeof
from typing import Final, TypeAlias

MAX_BYTES: Final = 12 << 20
"""Most bytes for one snapshot: two listings of the largest known store, and thousands of small answers."""

_BESIDES: Final = 400
"""Bytes that an entry, and each part of an answer, take besides their text."""

_LONGEST: Final = 1 << 10
"""Longest parameters, in characters, of a question that may be repeated."""

CacheKey: TypeAlias = tuple[int, str, str]
"""The number of the query context, the method, the parameters as text."""

Answer: TypeAlias = bytes | list[bytes]
"""JSON, whole or in parts to be joined."""


def cache_key(context: int, method: str, params: object) -> CacheKey | None:
    """The key of a question, by its ``params`` as decoded JSON; None if they are longer than usual."""
    if not _is_short(params):
        return None
    # Distinguishes true from 1 and 1 from 1.0, which are different parameters.
    text = repr(params)
    return (context, method, text) if len(text) <= _LONGEST else None


class ResponseCache:
    """The answers of one snapshot. Belongs to the event loop."""

    def __init__(self, room: int = MAX_BYTES) -> None:
        self._answers: OrderedDict[CacheKey, Answer] = OrderedDict()
        self._room = self._left = room

    def find(self, cache_key: CacheKey) -> Answer | None:
        """An earlier answer, if there is one."""
        answer = self._answers.get(cache_key)
        if answer is not None:
            self._answers.move_to_end(cache_key)
        return answer

    def keep(self, cache_key: CacheKey, answer: Answer) -> None:
        """Keep an answer, unless it is larger than the bound. Its parts must not change any more."""
        taken = _taken(cache_key, answer)
        if taken > self._room or cache_key in self._answers:
            return
        while self._left < taken:
            self._left += _taken(*self._answers.popitem(last=False))
        self._answers[cache_key] = answer
        self._left -= taken


def _is_short(params: object) -> bool:
    """Whether they are worth converting to text: a request may be a megabyte, or nest lists deeply."""
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
