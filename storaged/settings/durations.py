"""Parses durations as in systemd.time(7)."""

from __future__ import annotations

import re

LONGEST = 10 * 365 * 86400.0

_UNITS = {
    **dict.fromkeys(("ms", "msec"), 0.001),
    **dict.fromkeys(("s", "sec", "second", "seconds", ""), 1.0),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]*)", re.ASCII)


def duration(text: str) -> float:
    """Seconds of ``90``, ``30s``, ``10min``, ``1h30m`` or ``1h 30min``.

    Raises:
        ValueError: the text is not a duration, or is zero.
    """
    seconds, position = 0.0, 0
    text = text.strip()
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or part[2] not in _UNITS or (not part[2] and part[0] != text):
            raise ValueError(f"{text!r} is no duration: write 30s, 10min or 1h30m")
        seconds += float(part[1]) * _UNITS[part[2]]
        position = part.end()
    if not 0 < seconds <= LONGEST:
        raise ValueError(f"{text!r} is no duration: it must be more than nothing and at most ten years")
    return seconds
