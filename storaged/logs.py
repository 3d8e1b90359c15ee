"""Formats the log: one line per record, constant words and ``key=value``, on stderr for the journal or for a person.

::

    <6>storaged.audit: audit method=images.tag uid=0 pid=4711 target=a:1 result=ok connection=3 request=17
    2026-11-24T08:14:50.078Z warning storaged.engine.maintenance: maintenance has failed error="a lock is held"
    | Traceback (most recent call last):

A value is a bare word, or quoted if it could be taken for several words. So no name of a client's or in the store can
fake a second field. A line that does not begin a record starts with ``|``, so it cannot fake a second record either.
What a request logs, in any thread, carries its connection and id.

More than a hundred lines a minute of one kind are counted and reported by their number (``log_rate_limit``). A record
may set its kind with ``extra=repeats(…)``, or say with ``extra=ALWAYS`` that it must always be logged.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from contextvars import Context, ContextVar
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from storaged.log_rate_limit import Kind, Throttle

_OWN = "storaged"

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}

_LONGEST = 1000
"""The maximum number of characters of a value: a request may be a megabyte, but a line of the journal is for people."""

_FIELDS: Final = re.compile(r"\s*\S*%.*", re.DOTALL)
"""Everything in a template from its first field on."""

ALWAYS: Final[dict[str, object]] = {"repeats": None}

_request: ContextVar[tuple[int, object] | None] = ContextVar("storaged_request", default=None)


def begin_request(connection: int, identity: object) -> None:
    """Add these to everything that this task, and what it starts, logs from now on; None: the request has no id."""
    _request.set((connection, identity))


def end_request() -> None:
    """The request is over; the task continues with something else."""
    _request.set(None)


def start(level: str, *, journal: bool) -> None:
    """Log to stderr from this level on (``debug`` … ``error``), with priorities if that is the journal."""
    handler = _make_handler(journal=journal)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    # It logs each attempt at a lock.
    logging.getLogger("filelock").setLevel(logging.WARNING)


def repeats(**fields: object) -> dict[str, object]:
    """The kind of a record for the rate limit, if it occurs more than once a minute: its constant words and these
    fields."""
    return {"repeats": tuple(fields.items())}


def tell_repeated() -> None:
    """Report the numbers of lines counted for a minute, even if nothing else is logged."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Throttled):
            handler.settle()


def _make_handler(*, journal: bool) -> logging.Handler:
    handler = Throttled()
    handler.setFormatter(Lines(journal=journal))
    return handler


class Throttled(logging.StreamHandler[TextIO]):
    """Writes lines within the rate limit, and the numbers of the others. With ``debug``, everything is written."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._throttle = Throttle(self._write_number, clock)

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record, unless there were too many of its kind. The handler's lock is held."""
        kind = _kind(record)
        if kind is None or self._throttle.passes(kind):
            super().emit(record)

    def settle(self, *, everything: bool = False) -> None:
        """See ``Throttle.settle``."""
        with self.lock or nullcontext():
            self._throttle.settle(everything=everything)

    def close(self) -> None:
        """Report all counted lines."""
        self.settle(everything=True)
        super().close()

    def _write_number(self, kind: Kind, count: int, seconds: int) -> None:
        fields = [*kind.fields, ("repeated", count), ("seconds", seconds)]
        message = " ".join([kind.words, *(f"{name}=%s" for name, _ in fields)])
        values = tuple(value for _, value in fields)
        record = logging.LogRecord(kind.name, kind.level, __file__, 0, message, values, None)
        # It does not belong to the request that happens to run now.
        Context().run(super().emit, record)


def _kind(record: logging.LogRecord) -> Kind | None:
    fields: tuple[tuple[str, object], ...] | None = getattr(record, "repeats", ())
    if fields is None or record.levelno < logging.INFO:
        return None
    words = _FIELDS.sub("", str(record.msg))[:_LONGEST]
    if fields:
        return Kind(record.name, record.levelno, words, fields, burst=1)
    return Kind(record.name, record.levelno, words)


class Lines(logging.Formatter):
    """Formats records as lines; for the journal, each with its ``<n>`` of sd-daemon(3), the only way to set a priority.

    For others, the first line begins with the time, in UTC, and the level.
    """

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        head, *rest = self._lines(record)
        lines = [f"{record.name}: {head}", *(f"| {line}" for line in rest)]
        if self._journal:
            prefix = f"<{_PRIORITIES.get(record.levelno, 6)}>"
            return "\n".join(prefix + line for line in lines)
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        return "\n".join([f"{moment} {record.levelname.lower()} {lines[0]}", *lines[1:]])

    def _lines(self, record: logging.LogRecord) -> Iterator[str]:
        head, *rest = _message(record).split("\n")
        yield printable(head) + _about(record)
        if record.exc_info:
            rest += self.formatException(record.exc_info).split("\n")
        if record.stack_info:
            rest += record.stack_info.split("\n")
        yield from map(printable, rest)


class Whole(str):
    """A value that is not cut, because it is bounded already."""

    __slots__ = ()


def word(value: object) -> str:
    """A value as one word of a line: bare, or quoted with special characters escaped, and cut to a maximum length."""
    text = "-" if value is None else str(value)
    if len(text) > _LONGEST and type(value) is not Whole:
        text = text[:_LONGEST] + "..."
    if text and text.isprintable() and not any(sign in text for sign in ' "='):
        return text
    return '"{}"'.format(printable(text.replace("\\", "\\\\").replace('"', '\\"')))


def printable(text: str) -> str:
    """The text with unprintable characters escaped (``\x1b``)."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _message(record: logging.LogRecord) -> str:
    if record.name.partition(".")[0] != _OWN or not record.args:
        return record.getMessage()
    arguments: Any = record.args
    if isinstance(arguments, Mapping):
        return str(record.msg) % {key: _value(value) for key, value in arguments.items()}
    return str(record.msg) % tuple(map(_value, arguments))


def _value(value: object) -> object:
    return value if isinstance(value, int | float) else word(value)


def _about(record: logging.LogRecord) -> str:
    request = _request.get()
    if request is None:
        return ""
    connection, identity = request
    # A line about the connection names it already.
    named = "" if "connection=%" in str(record.msg) else f" connection={connection}"
    return f"{named} request={word(identity)}"
