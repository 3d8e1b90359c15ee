"""Go's ``filepath.Match``: shell patterns of one path element, matched without backtracking.

``*`` and ``?`` never cross ``/``; ``[a-z]`` and ``[^a-z]`` are classes, ``\\`` escapes. Time is bounded by
pattern times text, whatever the pattern: a client cannot make the daemon think for ever.
"""

from __future__ import annotations

from collections.abc import Callable

_STAR = None
_Token = Callable[[str], bool] | None


class BadPattern(ValueError):
    """The pattern is malformed: an unclosed class, a trailing backslash."""


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Make the test of a whole text.

    Raises:
        BadPattern: the pattern is malformed.
    """
    tokens = _tokens(pattern)

    def matches(text: str) -> bool:
        at = place = 0
        retry: tuple[int, int] | None = None
        while place < len(text):
            token = tokens[at] if at < len(tokens) else None
            if at < len(tokens) and token is _STAR:
                retry = (at, place)
                at += 1
            elif token is not None and token(text[place]):
                at += 1
                place += 1
            elif retry is not None and text[retry[1]] != "/":
                retry = (retry[0], retry[1] + 1)
                at, place = retry[0] + 1, retry[1]
            else:
                return False
        return all(token is _STAR for token in tokens[at:])

    return matches


def _tokens(pattern: str) -> list[_Token]:
    found: list[_Token] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            if not (found and found[-1] is _STAR):
                found.append(_STAR)
        elif char == "?":
            found.append(lambda seen: seen != "/")
        elif char == "[":
            token, at = _class(pattern, at)
            found.append(token)
        elif char == "\\":
            if at == len(pattern):
                raise BadPattern("it ends in a backslash")
            found.append(pattern[at].__eq__)
            at += 1
        else:
            found.append(char.__eq__)
    return found


def _class(pattern: str, at: int) -> tuple[_Token, int]:
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[tuple[str, str]] = []
    while not (ranges and pattern[at : at + 1] == "]"):
        low, at = _bound(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _bound(pattern, at + 1)
        ranges.append((low, high))

    def token(seen: str) -> bool:
        return seen != "/" and any(low <= seen <= high for low, high in ranges) is not negated

    return token, at + 1


def _bound(pattern: str, at: int) -> tuple[str, int]:
    char = pattern[at : at + 1]
    if char in ("", "-", "]"):
        raise BadPattern("a class in brackets is not closed or has an empty range")
    if char != "\\":
        return char, at + 1
    if at + 1 >= len(pattern):
        raise BadPattern("it ends in a backslash")
    return pattern[at + 1], at + 2
