"""Times with nanoseconds and offsets, which no codec of the standard library keeps."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from attrs import frozen

NANOSECONDS = 1_000_000_000


@frozen(kw_only=True)
class Moment:
    """An instant in one of its notations: the same instant may be written with another offset."""

    ns: int
    offset_minutes: int = 0

    def text(self) -> str:
        """RFC 3339 as Go writes it: up to nine digits, trailing zeros trimmed."""
        return render_time(self.ns, self.offset_minutes)


def render_time(ns: int, offset_minutes: int = 0) -> str:
    """An instant as RFC 3339 text in the given offset.

    ``datetime`` ends at microseconds, so the fraction is written separately.
    """
    seconds, fraction = divmod(ns, NANOSECONDS)
    local = datetime.fromtimestamp(seconds, UTC) + timedelta(minutes=offset_minutes)
    digits = f".{fraction:09d}".rstrip("0").rstrip(".")
    if offset_minutes == 0:
        return f"{local:%Y-%m-%dT%H:%M:%S}{digits}Z"
    sign = "+" if offset_minutes > 0 else "-"
    hours, minutes = divmod(abs(offset_minutes), 60)
    return f"{local:%Y-%m-%dT%H:%M:%S}{digits}{sign}{hours:02d}:{minutes:02d}"


def parse_time(text: str) -> Moment:
    """Parse an RFC 3339 time, to the nanosecond.

    Raises:
        ValueError: the text is not such a time.
    """
    zone_at = len(text) - 1 if text.endswith("Z") else len(text) - 6
    seconds, _, fraction = text[:zone_at].partition(".")
    moment = datetime.fromisoformat(seconds + text[zone_at:])
    offset = moment.utcoffset()
    minutes = 0 if offset is None else int(offset.total_seconds()) // 60
    return Moment(ns=int(moment.timestamp()) * NANOSECONDS + int(fraction.ljust(9, "0") or 0), offset_minutes=minutes)
