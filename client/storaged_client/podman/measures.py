"""Sizes and ages in podman's words (docker/go-units: ``HumanSizeWithPrecision``, ``HumanDuration``)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache

_UNITS = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
GO_ZERO = -62135596800
"""Go's zero time, the first second of the year 1, in seconds since 1970."""

_LONGEST = (2**63 - 1) // 1_000_000_000
"""Go's longest duration, in seconds: its subtraction of times saturates there (292 years)."""


def size(bytes_: int | None) -> str:
    """Decimal units, three significant digits, a space before the unit; ``-`` if it is unknown."""
    return _measured(bytes_, 3, " ")


def brief(bytes_: int | None, digits: int) -> str:
    """Decimal units without a space: podman's ``df`` and ``tree`` have four significant digits, ``history`` three."""
    return _measured(bytes_, digits, "")


def _measured(bytes_: int | None, digits: int, space: str) -> str:
    if bytes_ is None:
        return "-"
    value = float(bytes_)
    unit = 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value /= 1000
        unit += 1
    return f"{value:.{digits}g}{space}{_UNITS[unit]}"


def duration(seconds: float) -> str:
    """An approximate duration: ``3 weeks``, ``About an hour``. Negative durations are less than a second."""
    seconds = min(seconds, _LONGEST)
    hours = int(seconds / 3600 + 0.5)
    if seconds < 1:
        return "Less than a second"
    if seconds < 2:
        return "1 second"
    if seconds < 60:
        return f"{int(seconds)} seconds"
    if seconds < 120:
        return "About a minute"
    if seconds < 3600:
        return f"{int(seconds / 60)} minutes"
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    days = hours // 24
    if days < 14:
        return f"{days} days"
    if days < 60:
        return f"{days // 7} weeks"
    if days < 730:
        return f"{days // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


@cache
def unix(time: str) -> int:
    """Whole seconds since 1970 of an RFC 3339 time, by which podman sorts and shows images; cached, because each is
    used twice.

    Raises:
        ValueError: the text is not such a time.
    """
    return (_moment(time) - _EPOCH) // _SECOND


def rfc3339(time: str, *, fraction: bool = False) -> str:
    """A time as Go writes it again, in its own offset: whole seconds, or with a fraction without trailing zeros."""
    whole, dot, rest = time.partition(".")
    digits = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    zone = rest[len(digits) :] if dot else ""
    if not dot and len(time) > 19:
        whole, zone = time[:19], time[19:]
    kept = digits[:9].rstrip("0") if fraction else ""
    return f"{whole}{'.' if kept else ''}{kept}{'Z' if zone in ('+00:00', '-00:00') else zone}"


def utc(seconds: int) -> str:
    """RFC 3339 in UTC, whole seconds, as podman's ``CreatedAt``."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def age(time: str, now: float) -> str:
    """The time before ``now`` (seconds since 1970): ``3 weeks ago``; ``-`` if the text is not a time."""
    try:
        return f"{duration(now - unix(time))} ago"
    except ValueError:
        return "-"


def _moment(time: str) -> datetime:
    moment = datetime.fromisoformat(time)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
