"""Everything a command prints: tables, JSON and lines, on the right stream.

Tables are what podman's tabwriter makes of them (cells of at least 12, two spaces between, no padding after
the last), in a pipe as on a terminal. Text from the store or from other processes never reaches a terminal
with its control characters.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_MIN_WIDTH = 12
_PADDING = 2


class ReaderGone(Exception):
    """Nobody reads standard output any more."""


class FormatError(Exception):
    """``--format`` asks for something this command cannot print."""


def json_wanted(form: str | None, default: bool = False) -> bool:
    """Whether ``--format`` means JSON: ``json`` or podman's ``{{json .}}``; a table otherwise.

    Raises:
        FormatError: a Go template, or a word that is no format.
    """
    if form is None:
        return default
    word = form.strip()
    if word == "json" or (word[:2] == "{{" and word.replace(" ", "") in ("{{json.}}", "{{json}}")):
        return True
    if word == "table":
        return False
    if "{{" in word:
        raise FormatError(f"Go templates are not supported, use --format json or --format table: {form}")
    raise FormatError(f"unknown format {form!r}: use json or table")


def table(header: tuple[str, ...], rows: list[tuple[str, ...]], heading: bool = True) -> str:
    """The rows in aligned columns; the header takes part only where it is printed."""
    lines = [header, *rows] if heading else rows
    if not lines:
        return ""
    cells = [[printable(cell) for cell in line] for line in lines]
    widths = [max(_MIN_WIDTH, *(len(cell) + _PADDING for cell in column)) for column in zip(*cells, strict=True)]
    widths[-1] = 0
    return "".join("".join(map(str.ljust, line, widths)) + "\n" for line in cells)


def identifier(id_: str, full: bool) -> str:
    """An image's id as podman prints it: twelve digits, or all of them with the algorithm before."""
    return f"sha256:{id_}" if full else id_[:12]


def pretty(value: object, indent: int = 4, escape_html: bool = False) -> str:
    """JSON as Go's encoder writes it, with a line feed. ``escape_html`` is the encoder's own default there."""
    import json

    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _go_escapes(text, escape_html) + "\n"


def compact(value: object) -> str:
    """JSON on one line, with a line feed."""
    import json

    return json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"


def _go_escapes(text: str, escape_html: bool) -> str:
    # Each of these stands only inside strings of a JSON text, so that replacing in the whole is safe.
    pairs = [("\u2028", "\\u2028"), ("\u2029", "\\u2029")]
    if escape_html:
        pairs += [("<", "\\u003c"), (">", "\\u003e"), ("&", "\\u0026")]
    for character, escaped in pairs:
        text = text.replace(character, escaped)
    return text


def printable(text: str) -> str:
    """The text with control characters and other unprintable ones spelled out (``\\x1b``)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def emit(text: str) -> None:
    """Write to standard output at once, so that a reader who left is noticed here and nowhere later.

    Raises:
        ReaderGone: the other end of the pipe is closed.
        OSError: the output cannot be written, as on a full disk.
    """
    # Past Python's buffer: what it cannot write it would try again at exit, with a traceback and status 120.
    stream: Any = getattr(sys.stdout.buffer, "raw", sys.stdout.buffer)
    rest = memoryview(text.encode("utf-8", "replace"))
    try:
        while rest:
            written = stream.write(rest)
            if written is None:
                _wait_until_writable(stream.fileno())
            else:
                rest = rest[written:]
    except BrokenPipeError as error:
        raise ReaderGone from error


def _wait_until_writable(descriptor: int) -> None:
    # A terminal or pipe that another process made non-blocking.
    import select

    select.select([], [descriptor], [])


def complain(text: str) -> None:
    """One or more lines on standard error; a closed standard error is nobody's concern."""
    safe = "\n".join(printable(line) for line in text.split("\n"))
    try:
        sys.stderr.write(safe + "\n")
        sys.stderr.flush()
    except OSError:
        return
