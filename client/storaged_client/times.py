"""Parses RFC 3339 times to the nanosecond, and durations as systemd and Go write them.

``datetime`` is limited to microseconds and begins with the year 1; the stores of containers/storage are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

NANOSECONDS: Final = 1_000_000_000
"""Per second."""

LONGEST: Final = 10 * 365 * 86400.0
"""The longest duration that ``seconds`` accepts, in seconds."""

GO_UNITS: Final = {
    **dict.fromkeys(("us", "µs", "μs"), 1000),
    **{"ns": 1, "ms": 1_000_000, "s": NANOSECONDS, "m": 60 * NANOSECONDS, "h": 3600 * NANOSECONDS},
}
"""Nanoseconds of the units of Go's ``time.ParseDuration``."""

_SYSTEMD_UNITS: Final = {
    **dict.fromkeys(("ms", "msec"), 1_000_000),
    **dict.fromkeys(("s", "sec", "second", "seconds"), NANOSECONDS),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60 * NANOSECONDS),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600 * NANOSECONDS),
    **dict.fromkeys(("d", "day", "days"), 86400 * NANOSECONDS),
}
"""Nanoseconds of the units of systemd.time(7)."""

_NUMBER: Final = re.compile(r"\s*[\d.]+", re.ASCII)
_PART: Final = re.compile(r"\s*(\d+\.?\d*|\.\d+)\s*([a-zµμ]+)", re.ASCII)
_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def seconds(text: str) -> float:
    """Seconds of ``90``, ``30s``, ``10min``, ``1h30m`` or ``1h 30min``.

    Raises:
        ValueError: the text is not a duration, is zero, or exceeds ten years.
    """
    try:
        found = duration(f"{text}s" if _NUMBER.fullmatch(text) else text, _SYSTEMD_UNITS) / NANOSECONDS
    except ValueError:
        raise ValueError(f"{text!r} is not a duration: write 30s, 10min or 1h30m") from None
    if not 0 < found <= LONGEST:
        raise ValueError(f"{text!r} is not a duration of more than zero and at most ten years")
    return found


def duration(text: str, units: Mapping[str, int]) -> int:
    """Nanoseconds of a sequence of numbers with units: ``1h30m``. Blanks between are allowed.

    Raises:
        ValueError: the text is not a duration.
    """
    total = position = 0
    text = text.strip()
    while position < len(text) or not text:
        part = _PART.match(text, position)
        if part is None or part[2] not in units:
            raise ValueError(f"{text!r} is not a duration")
        whole, _, fraction = part[1].partition(".")
        unit = units[part[2]]
        total += int(whole or 0) * unit + int(fraction or 0) * unit // 10 ** len(fraction)
        position = part.end()
    return total


def instant(text: str) -> tuple[int, int]:
    """Seconds since 1970 and nanoseconds of an RFC 3339 time with any offset.

    Raises:
        ValueError: it is not a time.
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:64]!r} is not an RFC 3339 time")
    year, month, day, hour, minute, second = map(int, match.groups()[:6])
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = _DAYS[month - 1] + leap if 1 <= month <= 12 else 0
    if not 1 <= day <= days or hour > 23 or minute > 59 or second > 59:
        raise ValueError(f"{text[:64]!r} is not a valid date and time")
    offset = offset_minutes(text)
    if abs(offset) > 24 * 60:
        raise ValueError(f"{text[:64]!r} has no possible offset")
    whole = _since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    return whole - offset * 60, int((match[7] or "")[:9].ljust(9, "0"))


def offset_minutes(text: str) -> int:
    """The offset of an RFC 3339 time."""
    if text.endswith("Z"):
        return 0
    minutes = int(text[-5:-3]) * 60 + int(text[-2:])
    return -minutes if text[-6] == "-" else minutes


def rfc3339(seconds: int, nanoseconds: int = 0, offset_minutes: int = 0) -> str:
    """The time this long after 1970 as Go writes it: a fraction of up to nine digits, trailing zeros trimmed.

    Raises:
        OverflowError: it is not within the years 1 to 9999.
    """
    moment = datetime(1970, 1, 1) + timedelta(seconds=seconds, minutes=offset_minutes)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    hours, minutes = divmod(abs(offset_minutes), 60)
    zone = f"{'-' if offset_minutes < 0 else '+'}{hours:02d}:{minutes:02d}" if offset_minutes else "Z"
    return f"{moment.isoformat(timespec='seconds')}{fraction}{zone}"


def _since_1970(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar, including year 0, which ``datetime`` refuses."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
