"""Prints all output of commands: tables, JSON and lines, on the right stream.

Tables are aligned like podman's, in a pipe as on a terminal. Text from the store or from other processes never reaches
a terminal with control characters.
"""

from __future__ import annotations

import sys

from ..gotemplate.tabwriter import MIN_WIDTH, PADDING, aligned

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from ..gotemplate.report import Template


class ReaderGone(Exception):
    """Nobody reads standard output any more."""


class FormatError(Exception):
    """``--format`` asks for something this command cannot print."""


_FIELDS = {"df": "{{.Type}}", "info": "{{.Store.GraphRoot}}", "version": "{{.Client.Version}}"}
"""A template to suggest, if rows have no id."""


def json_wanted(form: str | None) -> bool:
    """Whether ``--format`` of a command without templates means JSON: ``json`` or podman's ``{{json .}}``.

    Raises:
        FormatError: a Go template, or an unknown word.
    """
    if form is None:
        return False
    word = form.strip()
    if _is_json(word):
        return True
    if word == "table":
        return False
    if "{{" in word:
        raise FormatError(f"no Go templates here, use --format json or --format table: {form}")
    raise FormatError(f"unknown format {form!r}: use json or table")


def _is_json(word: str) -> bool:
    return word == "json" or (word[:2] == "{{" and word.replace(" ", "") in ("{{json.}}", "{{json}}"))


def is_template(form: str) -> bool:
    """Whether it is a Go template; podman takes ``{{json}}`` for JSON, but ``{{json .}}`` prints one line per row."""
    return "{{" in form and form.strip().strip("{} \t\n") not in ("json", "json.")


def chosen(form: str | None, name: str, *, default_json: bool = False) -> tuple[Template | None, bool]:
    """What ``--format`` asks for: a Go template, and whether JSON; neither means a table.

    Messages call the template ``name``: podman uses the command's name.

    Raises:
        FormatError: the template cannot be read, or the text is neither a template nor a known word.
    """
    if form is None:
        return None, default_json
    if not is_template(form):
        word = form.strip()
        if word != "table" and not _is_json(word):
            example = _FIELDS.get(name, "{{.ID}}")
            raise FormatError(f"unknown format {form!r}: use json, table or a Go template such as '{example}'")
        return None, word != "table"
    from ..gotemplate.errors import TemplateError
    from ..gotemplate.report import compile

    try:
        return compile(form, name), False
    except TemplateError as error:
        raise FormatError(str(error)) from None


def emit_filled(form: Template, rows: Sequence[Mapping[str, Any]], titles: Mapping[str, str] | None = None) -> None:
    """Print a template applied to the rows: unchanged in a pipe, without control characters on a terminal.

    ``titles`` are those of a table by field; None leaves them out.

    Raises:
        FormatError: the template cannot be applied to a row; nothing was printed.
        ReaderGone, OSError: as ``emit``.
    """
    from ..gotemplate.errors import TemplateError

    try:
        text = form.render(rows, titles)
    except TemplateError as error:
        raise FormatError(str(error)) from None
    if sys.stdout is not None and sys.stdout.isatty():
        text = "\n".join("\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))
    emit(text)


def table(header: tuple[str, ...], rows: list[tuple[str, ...]], heading: bool = True) -> str:
    """The rows in aligned columns; the header counts only if it is printed."""
    lines = [header, *rows] if heading else rows
    return aligned("".join("\t".join(map(printable, line)) + "\n" for line in lines))


def used_by(lines: Sequence[tuple[str, ...]], columns: int) -> int:
    """The width of the first columns of a table that ``table`` makes of these lines, including separators."""
    return sum(max(MIN_WIDTH, *(len(printable(line[at])) + PADDING for line in lines)) for at in range(columns))


def identifier(id_: str, full: bool) -> str:
    """An image's id as podman prints it: twelve digits, or all of them with the algorithm before."""
    if ":" in id_:
        # It has its own algorithm, and people recognise it by what follows.
        algorithm, _, encoded = id_.partition(":")
        return id_ if full else f"{algorithm}:{encoded[:12]}"
    return f"sha256:{id_}" if full else id_[:12]


def pretty(value: object, indent: int = 4, escape_html: bool = False) -> str:
    """JSON as Go's encoder writes it, with a line feed. ``escape_html`` is that encoder's default."""
    import json

    text = _printable_json(json.dumps(value, indent=indent, ensure_ascii=False))
    return (_escaped_html(text) if escape_html else text) + "\n"


def compact(value: object, escape_html: bool = False) -> str:
    """JSON on one line, with a line feed. ``escape_html`` as in ``pretty``."""
    import json

    text = _printable_json(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
    return (_escaped_html(text) if escape_html else text) + "\n"


def _escaped_html(text: str) -> str:
    # These occur only inside strings, so replacing them in the whole text is safe.
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _printable_json(text: str) -> str:
    """The same JSON without terminal control characters: the encoder leaves DEL, C1 and the like unchanged."""
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))


def printable(text: str) -> str:
    """The text with unprintable characters escaped (``\x1b``)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def emit(text: str) -> None:
    """Write to standard output at once, so that a missing reader is noticed here and not later.

    Raises:
        ReaderGone: the other end of the pipe is closed.
        OSError: the output cannot be written, as on a full disk, or is closed.
    """
    # Without Python's buffer: what it cannot write, it would write again at exit, with a traceback and status 120.
    if sys.stdout is None:
        raise OSError("standard output is closed")
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


def overwrite(text: str) -> None:
    """One line on the terminal behind standard error, overwritten by the next; empty to remove it."""
    try:
        sys.stderr.write(f"\r\x1b[K{printable(text)}")
        sys.stderr.flush()
    except OSError:
        return


def _indented(line: str) -> str:
    # Several errors are a list, indented by a tab like Go's multierror.
    return f"\t{printable(line[1:])}" if line.startswith("\t") else printable(line)


def complain(text: str) -> None:
    """Print one or more lines on standard error; a closed standard error is ignored."""
    safe = "\n".join(_indented(line) for line in text.split("\n"))
    try:
        sys.stderr.write(safe + "\n")
        sys.stderr.flush()
    except OSError:
        return
