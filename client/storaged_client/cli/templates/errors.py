"""What is wrong with a template, and where."""

from __future__ import annotations

from ..output import FormatError


class TemplateError(FormatError):
    """A template cannot be read, or not be applied to a value.

    ``line`` counts from 1; ``column`` counts bytes from 0, as Go's ``text/template`` does. Both are positions in
    the template without the ``table`` before it; podman counts the ``{{range .}}`` that it puts there, too.
    """

    def __init__(self, message: str, line: int = 1, column: int = 0) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


class Refusal(Exception):
    """A function or an operation refuses its operands; whoever knows the place makes a ``TemplateError`` of it.

    ``calling`` tells whether the text is a function's own error, which Go introduces by ``error calling NAME``.
    """

    def __init__(self, message: str, *, calling: bool = True) -> None:
        super().__init__(message)
        self.calling = calling


def place(text: str, offset: int) -> tuple[int, int]:
    """Line and column of a position in ``text``, the column in bytes."""
    before = text[:offset]
    return before.count("\n") + 1, len(before[before.rfind("\n") + 1 :].encode("utf-8", "replace"))
