"""The log: one line a record, constant words and ``key=value``, on stderr for the journal or for a person.

::

    <6>storaged.audit: audit method=images.tag uid=0 pid=4711 target=a:1 result=ok connection=3 request=17
    2026-11-24T08:14:50.078Z warning storaged.engine.maintenance: upkeep has failed error="a lock is held"
    | Traceback (most recent call last):

A value is a bare word, or quoted where it has more than one word could: so whatever a client or the store names
itself, it makes no second field. A line of the log that a record did not begin starts with ``|``, so it makes no
second record either. What a request logs, in whichever thread, carries its connection and its id.

More than a hundred lines a minute of one kind are counted, and told by their number (``throttling``). A record may say
of which kind it is, by ``extra=repeats(…)``, or that it is of none and never left out, by ``extra=ALWAYS``.
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
"""Characters of one value: a request may be a megabyte, a line of the journal is for people."""

_FIELDS: Final = re.compile(r"\s*\S*%.*", re.DOTALL)
"""All of a template from its first field on."""

ALWAYS: Final[dict[str, object]] = {"repeats": None}

_request: ContextVar[tuple[int, object] | None] = ContextVar("storaged_request", default=None)


def begin_request(connection: int, identity: object) -> None:
    """Have everything that this task logs from now on, and what it starts, carry these; None: it has no id."""
    _request.set((connection, identity))


def end_request() -> None:
    """The same task goes on with something else."""
    _request.set(None)


def start(level: str, *, journal: bool) -> None:
    """Log to stderr from this level on (``debug`` … ``error``), with priorities where that is the journal."""
    handler = _make_handler(journal=journal)
    logging.basicConfig(level=level.upper(), handlers=[handler])
    # It tells each attempt at a lock.
    logging.getLogger("filelock").setLevel(logging.WARNING)


def repeats(**fields: object) -> dict[str, object]:
    """What a record is told by where there are more of it than one a minute: its constant words and these fields."""
    return {"repeats": tuple(fields.items())}


def tell_repeated() -> None:
    """Tell the numbers of what was counted for a minute, also where nothing else is logged."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, Throttled):
            handler.settle()


def _make_handler(*, journal: bool) -> logging.Handler:
    handler = Throttled()
    handler.setFormatter(Lines(journal=journal))
    return handler


class Throttled(logging.StreamHandler[TextIO]):
    """Writes what has its turn, and the numbers of the rest. What was asked for by ``debug`` comes whole."""

    def __init__(self, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._throttle = Throttle(self._write_number, clock)

    def emit(self, record: logging.LogRecord) -> None:
        """Write it, unless there were too many of its kind. The handler's lock is held."""
        kind = _kind(record)
        if kind is None or self._throttle.passes(kind):
            super().emit(record)

    def settle(self, *, everything: bool = False) -> None:
        """See ``Throttle.settle``."""
        with self.lock or nullcontext():
            self._throttle.settle(everything=everything)

    def close(self) -> None:
        """Nothing counted stays untold."""
        self.settle(everything=True)
        super().close()

    def _write_number(self, kind: Kind, count: int, seconds: int) -> None:
        fields = [*kind.fields, ("repeated", count), ("seconds", seconds)]
        message = " ".join([kind.words, *(f"{name}=%s" for name, _ in fields)])
        values = tuple(value for _, value in fields)
        record = logging.LogRecord(kind.name, kind.level, __file__, 0, message, values, None)
        # It is nobody's request that happens to be at work now.
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
    """Records as lines; each with its ``<n>`` of sd-daemon(3) for the journal, which knows a priority by nothing else.

    For others the first line begins with the time, in UTC, and the level.
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
    """A value that is not cut: it is bounded already."""

    __slots__ = ()


def word(value: object) -> str:
    """A value as one word of a line: bare, or quoted with what is no plain character escaped, and not endless."""
    text = "-" if value is None else str(value)
    if len(text) > _LONGEST and type(value) is not Whole:
        text = text[:_LONGEST] + "..."
    if text and text.isprintable() and not any(sign in text for sign in ' "='):
        return text
    return '"{}"'.format(printable(text.replace("\\", "\\\\").replace('"', '\\"')))


def printable(text: str) -> str:
    """The text with what is no printable character spelled out (``\\x1b``)."""
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
    # A line about the connection names it by itself.
    named = "" if "connection=%" in str(record.msg) else f" connection={connection}"
    return f"{named} request={word(identity)}"
