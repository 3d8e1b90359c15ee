"""Times and durations: as RFC 3339, systemd.time(7) and Go's ``time`` have them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.sample.moments import Moment, parse_time
from storaged_client.times import GO_UNITS, NANOSECONDS, duration, instant, offset_minutes, rfc3339, seconds


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("90", 90),
        ("30s", 30),
        ("10min", 600),
        ("1h30m", 5400),
        ("1h 30min", 5400),
        ("1.5h", 5400),
        ("250ms", 0.25),
        (" 2 days ", 172800),
    ],
)
def test_a_duration_is_read_as_systemd_writes_it(text: str, value: float) -> None:
    assert seconds(text) == value


@pytest.mark.parametrize(
    "text", ["", " ", "0", "0s", "-3", "1h30", "30 10min", "5x", "x", "s", "1e3", "nan", "inf", "٣s", "1.5.2", "99999d"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        seconds(text)


def test_units_are_those_asked_for() -> None:
    assert duration("1h1.5µs2ns", GO_UNITS) == 3600 * NANOSECONDS + 1502
    with pytest.raises(ValueError, match="is not a duration"):
        duration("1min", GO_UNITS)


TIMES = [
    ("1970-01-01T00:00:00Z", (0, 0)),
    ("1970-01-01T01:00:00.5+01:00", (0, 500_000_000)),
    ("1969-12-31T23:59:59.999999999Z", (-1, 999_999_999)),
    ("2024-02-29T12:30:15-05:30", (1709229615, 0)),
    ("0001-01-01T00:00:00Z", (-62135596800, 0)),
]


@pytest.mark.parametrize(("text", "value"), TIMES)
def test_times_are_instants_with_nanoseconds(text: str, value: tuple[int, int]) -> None:
    assert instant(text) == value
    assert rfc3339(*value, offset_minutes(text)) == text


def test_the_year_0_is_a_time_of_go() -> None:
    assert instant("0000-02-29T00:00:00Z") == (-62162121600, 0)


@pytest.mark.parametrize(
    "text",
    [
        "2023-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:60Z",
        "2024-01-01 00:00:00Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00Z\n",
        "2024-01-01T00:00:00+24:01",
    ],
)
def test_impossible_times_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"2024|2023|1900"):
        instant(text)


@given(st.datetimes(), st.integers(0, NANOSECONDS - 1), st.integers(-720, 720))
def test_what_is_written_is_read_again(moment: object, nanoseconds: int, offset: int) -> None:
    whole, _ = instant(f"{str(moment)[:19].replace(' ', 'T')}Z")
    try:
        text = rfc3339(whole, nanoseconds, offset)
    except OverflowError:
        return
    assert (instant(text), offset_minutes(text)) == ((whole, nanoseconds), offset)


@pytest.mark.parametrize(
    ("text", "offset"),
    [("2024-05-06T07:08:09.123456789Z", 0), ("2024-05-06T07:08:09.1+05:30", 330), ("2024-05-06T07:08:09-08:00", -480)],
)
def test_a_moment_keeps_nanoseconds_and_offset(text: str, offset: int) -> None:
    moment = parse_time(text)
    assert (moment.offset_minutes, moment.text()) == (offset, text)
    assert parse_time(Moment(ns=moment.ns).text()).ns == moment.ns
