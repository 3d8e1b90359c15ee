"""``storagectl stats``: shows what the daemon has done since it started, and what that cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..podman import measures
from . import exits, output
from .flags import Flag
from .invocation import Invocation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..contract.plain import Histogram, ServerStats

ARGUMENTS = ""
FLAGS = (
    Flag(
        "format",
        "Output format: table, json, or prometheus (OpenMetrics text)",
        short="f",
        kind="string",
        choices=("table", "json", "prometheus"),
    ),
)


def run(invocation: Invocation) -> int:
    form = invocation.options.text("format")
    invocation.no_arguments()
    stats = invocation.call("server.stats")
    if form == "prometheus":
        from . import openmetrics

        output.emit(openmetrics.text(stats))
    else:
        output.emit(output.pretty(stats) if form == "json" else render(stats))
    return exits.DONE


def render(stats: ServerStats) -> str:
    """The facts, then tables of requests, locks, limits and errors; empty ones are left out."""
    gauges = stats["gauges"]
    held = ", ".join(f"{_whole(gauges, name)} {name}" for name in ("images", "layers", "containers") if name in gauges)
    facts = [
        ("daemon", f"storaged {stats['version']}, up {measures.duration(gauges.get('uptime_seconds', 0)).lower()}"),
        (
            "memory",
            f"{measures.size(round(gauges.get('resident_bytes', 0)))} now, "
            f"{measures.size(round(gauges.get('peak_resident_bytes', 0)))} at most; "
            f"{_whole(gauges, 'descriptors')} descriptors; {time_text(gauges.get('cpu_seconds', 0))} of processor time",
        ),
        (
            "clients",
            f"{_whole(gauges, 'connections')} connected, {stats['counters'].get('connections', 0)} since the start",
        ),
        (
            "at work",
            f"{_whole(gauges, 'requests_in_flight')} in flight, including this one, "
            f"{measures.size(round(gauges.get('reply_bytes_waiting', 0)))} of unread replies",
        ),
        ("holds", held or "the store could not be read yet"),
        ("reloads", _cost(stats["reloads"], stats["bounds"])),
        ("changes", f"waited for each other: {_cost(stats['changes'], stats['bounds'])}"),
    ]
    text = "".join(f"{output.printable(f'{title.ljust(15)}{fact}')}\n" for title, fact in facts)
    for table in _tables(stats):
        text += f"\n{table}"
    return text


def _tables(stats: ServerStats) -> list[str]:
    bounds = stats["bounds"]
    methods = [
        (name, str(each["duration"]["count"]), str(each["errors"]), *_spread(each["duration"], bounds))
        for name, each in sorted(stats["methods"].items(), key=lambda item: (-item[1]["duration"]["count"], item[0]))
    ]
    locks = [
        (
            name,
            str(each["hold"]["count"]),
            *_spread(each["hold"], bounds),
            str(each["wait"]["count"]),
            *_spread(each["wait"], bounds),
        )
        for name, each in sorted(stats["locks"].items())
    ]
    named = [
        (("LIMIT REACHED", "TIMES"), stats["limits_reached"]),
        (("ERROR", "ANSWERS"), stats["errors"]),
    ]
    return [
        table
        for table in (
            _table(("METHOD", "REQUESTS", "ERRORS", "MEAN", "HALF WITHIN", "99% WITHIN"), methods),
            _table(
                ("LOCK", "HELD", "MEAN", "HALF WITHIN", "99% WITHIN", "WAITED", "MEAN", "HALF WITHIN", "99% WITHIN"),
                locks,
            ),
            *(
                _table(title, [(name, str(count)) for name, count in sorted(counts.items()) if count])
                for title, counts in named
            ),
        )
        if table
    ]


def _table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    return output.table(header, [*rows]) if rows else ""


def _whole(gauges: dict[str, float], name: str) -> str:
    return f"{gauges.get(name, 0):.0f}"


def _cost(histogram: Histogram, bounds: list[float]) -> str:
    if not histogram["count"]:
        return "none"
    mean, _, nearly = _spread(histogram, bounds)
    return f"{histogram['count']}, {mean} each, 99% within {nearly}"


def _spread(histogram: Histogram, bounds: list[float]) -> tuple[str, str, str]:
    """The mean, and the bounds for half and nearly all of the values."""
    if not histogram["count"]:
        return "-", "-", "-"
    mean = time_text(histogram["seconds"] / histogram["count"])
    return mean, _within(histogram, bounds, 0.5), _within(histogram, bounds, 0.99)


def _within(histogram: Histogram, bounds: list[float], share: float) -> str:
    so_far = 0
    for bound, count in zip(bounds, histogram["buckets"], strict=False):
        so_far += count
        if so_far >= share * histogram["count"]:
            return time_text(bound)
    return f"over {time_text(bounds[-1])}" if bounds else "-"


def time_text(seconds: float) -> str:
    """A short time: ``250 µs``, ``2.5 ms``, ``1.5 s``."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("µs", 1e6)):
        if seconds * factor >= 1 or unit == "µs":
            break
    return f"{seconds * factor:.3g} {unit}"
