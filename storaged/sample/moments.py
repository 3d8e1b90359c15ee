"""Times with nanoseconds and the offset they are written with."""

from __future__ import annotations

from attrs import frozen

from storaged_client.times import NANOSECONDS, instant, offset_minutes, rfc3339


@frozen(kw_only=True)
class Moment:
    """An instant in one of its notations: the same instant may be written with another offset."""

    ns: int
    offset_minutes: int = 0

    def text(self) -> str:
        """RFC 3339 as Go writes it."""
        return rfc3339(*divmod(self.ns, NANOSECONDS), self.offset_minutes)


def parse_time(text: str) -> Moment:
    """Parse an RFC 3339 time, to the nanosecond.

    Raises:
        ValueError: the text is not such a time.
    """
    seconds, nanoseconds = instant(text)
    return Moment(ns=seconds * NANOSECONDS + nanoseconds, offset_minutes=offset_minutes(text))
