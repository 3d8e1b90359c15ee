r"""Go's ``filepath.Match`` and ``path.Match``: shell patterns of one path element, matched without backtracking.

``*`` and ``?`` never cross ``/``; ``[a-z]`` and ``[^a-z]`` are classes, in which ``/`` is an ordinary character; ``\``
escapes. As in Go, each ``*`` takes the shortest text that lets the part up to the next ``*`` match, and is not tried
again: the time is limited by the lengths of pattern and text, whatever the pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable


class BadPattern(ValueError):
    """The pattern is malformed: an unclosed class, a trailing backslash."""


def is_pattern(text: str) -> bool:
    """Whether the text has special characters."""
    return any(char in text for char in "*?[\\")


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Make a test for a whole text.

    Raises:
        BadPattern: the pattern is malformed.
    """
    match = re.compile(as_regular_expression(pattern), re.DOTALL).fullmatch
    return lambda text: match(text) is not None


def as_regular_expression(pattern: str) -> str:
    """The pattern as a regular expression, for a full match.

    Raises:
        BadPattern: the pattern is malformed.
    """
    chunks, trailing = _chunks(pattern)
    first, *others = chunks
    if not others:
        return first + ("[^/]*" if trailing else "")
    *middle, last = others
    # Atomic: a chunk that was found stays where it is.
    found = first + "".join(f"(?>[^/]*?{chunk})" for chunk in middle)
    return f"{found}(?>[^/]*?{last})[^/]*" if trailing else f"{found}[^/]*?{last}"


def _chunks(pattern: str) -> tuple[list[str], bool]:
    """The parts between the stars, as regular expressions, and whether a star ends the pattern."""
    chunks = [""]
    star = False
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*":
            star = True
            continue
        if star:
            chunks.append("")
            star = False
        if char == "?":
            chunks[-1] += "[^/]"
        elif char == "[":
            text, at = _class(pattern, at)
            chunks[-1] += text
        elif char == "\\":
            if at == len(pattern):
                raise BadPattern("it ends in a backslash")
            chunks[-1] += re.escape(pattern[at])
            at += 1
        else:
            chunks[-1] += re.escape(char)
    return chunks, star


def _class(pattern: str, at: int) -> tuple[str, int]:
    negated = pattern[at : at + 1] == "^"
    at += negated
    ranges: list[str] = []
    anything = False
    while not (anything and pattern[at : at + 1] == "]"):
        low, at = _bound(pattern, at)
        high = low
        if pattern[at : at + 1] == "-":
            high, at = _bound(pattern, at + 1)
        anything = True
        if low <= high:  # an empty range matches nothing
            ranges.append(f"{re.escape(low)}-{re.escape(high)}")
    if not ranges:
        return ("." if negated else "(?!)"), at + 1
    return f"[{'^' if negated else ''}{''.join(ranges)}]", at + 1


def _bound(pattern: str, at: int) -> tuple[str, int]:
    char = pattern[at : at + 1]
    if char in ("", "-", "]"):
        raise BadPattern("a class in brackets is not closed or has an empty range")
    if char != "\\":
        return char, at + 1
    if at + 1 >= len(pattern):
        raise BadPattern("it ends in a backslash")
    return pattern[at + 1], at + 2
