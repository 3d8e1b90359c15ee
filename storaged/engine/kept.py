"""Answers to what was asked of one snapshot before: the same question has the same answer, byte for byte.

Who looks at a store all day (a desktop's list, a monitor's count, a build's ``exists``) asks the same few questions
again and again. So an answer lives as long as its snapshot, within some room: the first ones go first.
"""

from __future__ import annotations

from typing import Final, TypeAlias

ROOM: Final = 8 << 20
"""Bytes kept of one snapshot, at most."""

_BESIDES: Final = 400
"""Bytes that keeping an answer takes besides its own."""

_LONGEST: Final = 1 << 10
"""Characters of the parameters of a question that is asked again."""

Question: TypeAlias = tuple[int, str, str]
"""The number of the circumstances, the method, the parameters spelled out."""

Answer: TypeAlias = bytes | list[bytes]
"""JSON, whole or in parts to be joined."""


def question(circumstances: int, method: str, params: object) -> Question | None:
    """The question whose answer may be kept; ``params`` are as JSON has them. None: they are longer than is usual."""
    try:
        # Tells true from 1 and 1 from 1.0, as parameters are not equal either.
        text = repr(params)
    except RecursionError:
        return None
    return (circumstances, method, text) if len(text) <= _LONGEST else None


class Kept:
    """Of one snapshot. Belongs to the event loop."""

    def __init__(self, room: int = ROOM) -> None:
        self._answers: dict[Question, Answer] = {}
        self._room = self._left = room

    def find(self, question: Question) -> Answer | None:
        """What was answered before."""
        return self._answers.get(question)

    def keep(self, question: Question, answer: Answer) -> None:
        """Keep an answer, unless it takes more than all the room there is. Its parts must not change any more."""
        taken = _taken(question, answer)
        if taken > self._room or question in self._answers:
            return
        while self._left < taken:
            first = next(iter(self._answers))
            self._left += _taken(first, self._answers.pop(first))
        self._answers[question] = answer
        self._left -= taken


def _taken(question: Question, answer: Answer) -> int:
    size = len(answer) if isinstance(answer, bytes) else sum(map(len, answer)) + _BESIDES * len(answer)
    return size + len(question[2]) + _BESIDES
