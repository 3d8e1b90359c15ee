"""Errors of templates, and their positions."""

from __future__ import annotations


class TemplateError(Exception):
    """A template cannot be parsed, or does not fit the value it is applied to.

    ``line`` counts from 1 and ``column`` counts bytes from 0, as in Go's ``text/template``. A leading ``table`` is not
    counted; podman also counts the ``{{range .}}`` that it puts in front.
    """

    def __init__(self, message: str, line: int = 1, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class Refusal(Exception):
    """A function refuses its operands; the evaluation turns it into a ``TemplateError`` with a position.

    ``calling`` tells whether the message is the function's own, which Go prefixes with ``error calling NAME``.
    """

    def __init__(self, message: str, *, calling: bool = True) -> None:
        super().__init__(message)
        self.calling = calling


def place(text: str, offset: int) -> tuple[int, int]:
    """Return the line and the column, in bytes, of an offset into ``text``."""
    before = text[:offset]
    return before.count("\n") + 1, len(before[before.rfind("\n") + 1 :].encode("utf-8", "replace"))
