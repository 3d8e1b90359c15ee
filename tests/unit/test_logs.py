"""What a record becomes on stderr: fields that cannot be forged, priorities, and whose request it was."""

from __future__ import annotations

import logging
import re
import sys
import time
from contextvars import copy_context

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged import logs
from storaged.service import access
from tests.support.service import connected

FIELD = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|[^ "=]+)(?: |$)')
HOSTILE = [
    "x",
    "",
    " ",
    "a b",
    "a=b",
    "x\n<3>storaged.audit: audit uid=0",
    'x" uid="0',
    "\\",
    "\x1b[2J",
    "\u202e",
    "\ud800",
]


def record(message: str, *args: object, name: str = "storaged.x", level: int = logging.INFO) -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, args, None)


def shown(made: logging.LogRecord, *, journal: bool = True) -> str:
    return logs.Lines(journal=journal).format(made)


@given(st.lists(st.text() | st.sampled_from(HOSTILE), min_size=1, max_size=3))
def test_no_value_makes_a_second_line_or_another_field(values: list[str]) -> None:
    names = [f"f{number}" for number in range(len(values))]
    line = shown(record("done " + " ".join(f"{name}=%s" for name in names) + " last=%d", *values, 7))
    assert line.isprintable()
    start = "<6>storaged.x: done "
    assert line.startswith(start)
    rest, found = line.removeprefix(start), []
    while rest:
        field = FIELD.match(rest)
        assert field, rest
        found.append((field[1], field[2]))
        rest = rest[field.end() :]
    assert [name for name, _ in found] == [*names, "last"]
    for value, (_, word) in zip(values, found, strict=False):
        if '"' not in word:
            assert word == value
        else:
            assert _unquoted(word) == value


def _unquoted(word: str) -> str:
    return word[1:-1].encode("latin-1", "backslashreplace").decode("unicode_escape")


def test_values_are_bare_words_where_they_can_be() -> None:
    line = shown(record("audit target=%s uid=%d seconds=%.3f file=%s", "localhost/é:1", 0, 0.5, None))
    assert line == "<6>storaged.x: audit target=localhost/é:1 uid=0 seconds=0.500 file=-"


def test_a_value_is_cut_where_it_would_fill_the_journal() -> None:
    assert len(shown(record("a=%s", "x" * 1_000_000))) < 1100


@pytest.mark.parametrize(("level", "priority"), [(10, 7), (20, 6), (30, 4), (40, 3), (50, 2)])
def test_the_journal_is_told_the_priority_of_every_line(level: int, priority: int) -> None:
    made = record("failed", level=level)
    try:
        raise ValueError("no\n<6>storaged.audit: audit uid=0\r\x1b[2J")
    except ValueError:
        made.exc_info = sys.exc_info()
    first, *rest = shown(made).split("\n")
    assert first == f"<{priority}>storaged.x: failed"
    assert len(rest) > 3
    assert all(line.startswith(f"<{priority}>| ") and line.isprintable() for line in rest)


def test_a_person_is_told_time_and_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        made = record("maintenance failed error=%s", "no room", level=logging.WARNING)
        made.created = 1795508090.0789
        line = shown(made, journal=False)
    finally:
        monkeypatch.undo()
        time.tzset()
    assert line == '2026-11-24T08:14:50.078Z warning storaged.x: maintenance failed error="no room"'


def test_a_message_of_a_library_of_several_lines_begins_one_record() -> None:
    text = shown(record("task %s\nfuture: %s", "a b", "c\x00", name="asyncio"))
    assert text == "<6>asyncio: task a b\n<6>| future: c\\x00"


def test_what_a_request_logs_bears_its_connection_and_id() -> None:
    def request() -> list[str]:
        logs.begin_request(3, 'x" y')
        return [shown(record("audit uid=%d", 0)), shown(record("failed connection=%d", 3))]

    assert copy_context().run(request) == [
        '<6>storaged.x: audit uid=0 connection=3 request="x\\" y"',
        '<6>storaged.x: failed connection=3 request="x\\" y"',
    ]
    assert shown(record("audit uid=%d", 0)) == "<6>storaged.x: audit uid=0"


def test_a_request_without_an_id_is_told_as_such() -> None:
    def request() -> str:
        logs.begin_request(3, None)
        return shown(record("x"))

    assert copy_context().run(request).endswith(" connection=3 request=-")


def test_audit_lines_are_written_whatever_the_level_of_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        access.audit(connected(), "images.tag", target="a", result="ok")
    finally:
        root.setLevel(level)
    assert [record.name for record in caplog.records] == ["storaged.audit"]
