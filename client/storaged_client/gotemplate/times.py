"""Go's ``time.Time`` and ``time.Duration``: how they print, and the methods that templates call on them."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from time import localtime
from typing import Any

# Patterns are compiled on first use: most templates show no time.
_RFC3339 = r"(?a:(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9})\d*)?(?:([Zz])|([+-])(\d\d):(\d\d)))"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MONTHS = (
    "January February March April May June July August September October November December".split()  # noqa: SIM905
)
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


class Time:
    """A moment with nanoseconds and an offset; ``text`` is the RFC 3339 text it was parsed from, and its JSON."""

    __slots__ = ("moment", "nanoseconds", "text")

    def __init__(self, text: str) -> None:
        """Parse an RFC 3339 time.

        Raises:
            ValueError: the text is not such a time.
        """
        found = re.fullmatch(_RFC3339, text)
        if found is None:
            raise ValueError(f"not a time: {text}")
        *parts, fraction, zulu, sign, hours, minutes = found.groups()
        offset = timedelta(0)
        if zulu is None:
            offset = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if sign == "-" else 1)
        year, month, day, hour, minute, second = map(int, parts)
        self.moment = datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset))
        self.nanoseconds = int((fraction or "").ljust(9, "0"))
        self.text = text

    def __str__(self) -> str:
        return self.format("2006-01-02 15:04:05.999999999 -0700 MST")

    def method(self, name: str) -> Callable[..., Any] | None:
        """Return the method of ``time.Time`` with that name, if a template may call it."""
        return _METHODS.get(name)

    @property
    def unix(self) -> int:
        return (self.moment - _EPOCH) // timedelta(seconds=1)

    def format(self, layout: str) -> str:
        """Format the time by a Go layout, which is the reference time written in the wanted form.

        As in Go, ``Z`` is UTC, and the offset that this machine's zone has at that moment gets the zone's name. Any
        other offset is shown in digits, since the text names no zone.
        """
        return re.sub(_LAYOUT, lambda found: _element(found[0], self), layout)


class Duration(int):
    """A span in nanoseconds: a number in JSON, printed like ``1m30.5s``, ``1ms`` or ``0s``."""

    __slots__ = ()

    def __str__(self) -> str:
        span = abs(int(self))
        sign = "-" if self < 0 else ""
        if span == 0:
            return "0s"
        for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
            if span < min(size * 1000, 1_000_000_000):
                return f"{sign}{_fraction(span, size)}{unit}"
        minutes, rest = divmod(span, 60_000_000_000)
        hours, minutes = divmod(minutes, 60)
        text = f"{_fraction(rest, 1_000_000_000)}s"
        if hours or minutes:
            text = f"{minutes}m{text}"
        return f"{sign}{hours}h{text}" if hours else f"{sign}{text}"

    def method(self, name: str) -> Callable[..., Any] | None:
        """Return the method of ``time.Duration`` with that name, if a template may call it."""
        return _DURATIONS.get(name)


def _fraction(number: int, unit: int) -> str:
    """Format the quotient with as many decimals as it has."""
    whole, rest = divmod(number, unit)
    decimals = f"{rest:0{len(str(unit)) - 1}d}".rstrip("0") if rest else ""
    return f"{whole}.{decimals}" if decimals else str(whole)


_LAYOUT = (
    r"January|Jan|Monday|Mon|MST|2006|Z07:00:00|Z070000|Z07:00|Z0700|Z07|-07:00:00|-070000|-07:00|-0700|-07"
    r"|002|01|02|03|04|05|06|15|[.,](?:0+|9+)(?!\d)|__2|_2|1|2|3|4|5|PM|pm"
)


def _element(word: str, time: Time) -> str:
    moment = time.moment
    if word[0] in ".,":
        digits = f"{time.nanoseconds:09d}"[: len(word) - 1]
        if word[1] == "9":
            digits = digits.rstrip("0")
        return word[0] + digits if digits else ""
    if word[:1] == "Z" or word[:3] == "-07":
        return _offset(word, moment)
    twelve = moment.hour % 12 or 12
    ordinal = moment.timetuple().tm_yday
    return {
        "January": _MONTHS[moment.month - 1],
        "Jan": _MONTHS[moment.month - 1][:3],
        "Monday": _DAYS[moment.weekday()],
        "Mon": _DAYS[moment.weekday()][:3],
        "MST": _zone(time),
        "2006": f"{moment.year:04d}",
        "06": f"{moment.year % 100:02d}",
        "01": f"{moment.month:02d}",
        "1": str(moment.month),
        "02": f"{moment.day:02d}",
        "_2": f"{moment.day:2d}",
        "2": str(moment.day),
        "002": f"{ordinal:03d}",
        "__2": f"{ordinal:3d}",
        "15": f"{moment.hour:02d}",
        "03": f"{twelve:02d}",
        "3": str(twelve),
        "04": f"{moment.minute:02d}",
        "4": str(moment.minute),
        "05": f"{moment.second:02d}",
        "5": str(moment.second),
        "PM": "PM" if moment.hour >= 12 else "AM",
        "pm": "pm" if moment.hour >= 12 else "am",
    }[word]


def _offset(word: str, moment: datetime) -> str:
    seconds = int((moment.utcoffset() or timedelta(0)).total_seconds())
    if word[0] == "Z" and seconds == 0:
        return "Z"
    minutes = abs(seconds) // 60
    parts = [f"{minutes // 60:02d}", f"{minutes % 60:02d}", "00"][: 1 + (len(word) > 3) + (len(word) > 6)]
    return ("-" if seconds < 0 else "+") + (":" if ":" in word else "").join(parts)


def _zone(time: Time) -> str:
    if time.text[-1:] in "Zz":
        return "UTC"
    try:
        here = localtime(time.unix)
    except (OverflowError, OSError):
        return _offset("-0700", time.moment)
    if timedelta(seconds=here.tm_gmtoff) == time.moment.utcoffset():
        return here.tm_zone
    return _offset("-0700", time.moment)


def _in_utc(time: Time) -> Time:
    moment = time.moment.astimezone(UTC).replace(tzinfo=None)
    fraction = f".{time.nanoseconds:09d}".rstrip("0").rstrip(".")
    return Time(f"{moment.isoformat()}{fraction}Z")


_DURATIONS: dict[str, Callable[..., Any]] = {
    "Nanoseconds": int,
    "Microseconds": lambda span: _towards_zero(span, 1_000),
    "Milliseconds": lambda span: _towards_zero(span, 1_000_000),
    "Seconds": lambda span: int(span) / 1_000_000_000,
    "Minutes": lambda span: int(span) / 60_000_000_000,
    "Hours": lambda span: int(span) / 3_600_000_000_000,
    "String": str,
}


def _towards_zero(span: int, unit: int) -> int:
    return abs(span) // unit * (-1 if span < 0 else 1)


_METHODS: dict[str, Callable[..., Any]] = {
    "Unix": lambda time: time.unix,
    "UnixMilli": lambda time: time.unix * 1000 + time.nanoseconds // 1_000_000,
    "UnixMicro": lambda time: time.unix * 1_000_000 + time.nanoseconds // 1000,
    "UnixNano": lambda time: time.unix * 1_000_000_000 + time.nanoseconds,
    "Year": lambda time: time.moment.year,
    "Month": lambda time: _MONTHS[time.moment.month - 1],
    "Day": lambda time: time.moment.day,
    "Weekday": lambda time: _DAYS[time.moment.weekday()],
    "YearDay": lambda time: time.moment.timetuple().tm_yday,
    "Hour": lambda time: time.moment.hour,
    "Minute": lambda time: time.moment.minute,
    "Second": lambda time: time.moment.second,
    "Nanosecond": lambda time: time.nanoseconds,
    "IsZero": lambda time: time.moment.replace(tzinfo=None) == datetime.min and not time.nanoseconds,
    "String": str,
    "UTC": _in_utc,
    "Format": lambda time, layout: time.format(layout),
}
