"""Finds the line of each key in a TOML text, because tomllib keeps no positions.

A TOML text consists of expressions that end with their line; only a multi-line string or a bracket continues on the
next line. So the smallest number of lines that form a valid document is one expression: a table header, or a key and
its value.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

Path = tuple[str, ...]

_CLOSING = ('"""', "'''", "]", "}")
"""The last line of every multi-line expression contains one of these."""

_LONGEST = 300
"""The maximum number of lines in one expression; after a longer one no key is found."""


def key_lines(text: str) -> dict[Path, int]:
    """The line, from 1, of each key and each table header of a valid TOML text, by its path.

    A key within an inline table is on the line where the outermost one begins.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for line, start, content in _expressions(text):
        if start == "[":
            table = max(_paths(content), key=len)
            found.setdefault(table, line)
        else:
            for path in _paths(content):
                found.setdefault(table + path, line)
    return found


def line_of(lines: dict[Path, int], path: tuple[str | int, ...]) -> int | None:
    """The line of a path, or of the nearest enclosing path that has one; for an item, that of its list."""
    while path:
        line = lines.get(tuple(map(str, path)))
        if line is not None:
            return line
        path = path[:-1]
    return None


def _expressions(text: str) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Line, first character and content of each expression."""
    lines = text.replace("\r\n", "\n").split("\n")
    at = 0
    while at < len(lines):
        begin = at
        at += 1
        content = _parsed(lines[begin])
        while content is None and at < len(lines):
            if at - begin > _LONGEST:
                return  # each further line would be parsed with all lines before it
            at += 1
            if any(sign in lines[at - 1] for sign in _CLOSING):
                content = _parsed("\n".join(lines[begin:at]))
        if content:
            yield begin + 1, lines[begin].lstrip(" \t")[0], content


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return None


def _paths(content: Any) -> Iterator[Path]:
    if isinstance(content, list):
        content = content[0] if content else None
    if isinstance(content, dict):
        for key, value in content.items():
            yield (key,)
            for path in _paths(value):
                yield (key, *path)
