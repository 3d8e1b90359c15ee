"""Formats ``server.stats`` as OpenMetrics text, which node_exporter's textfile collector accepts as well.

::

    # HELP storaged_lock_wait_seconds Time waiting for a lock that another process held.
    # TYPE storaged_lock_wait_seconds histogram
    # UNIT storaged_lock_wait_seconds seconds
    storaged_lock_wait_seconds_bucket{lock="images.lock",le="0.005"} 3
    storaged_lock_wait_seconds_count{lock="images.lock"} 3
    storaged_lock_wait_seconds_sum{lock="images.lock"} 0.0083
    # EOF

Source: github.com/prometheus/OpenMetrics, specification 1.0. Only types that the older Prometheus text format also has
are used: node_exporter reads that one, and refuses a file with any other. A family keeps its name, type and labels;
``docs/metrics.md`` lists them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..contract.plain import Histogram, ServerStats

_GAUGES = {
    "connections": ("connections", "Connected clients."),
    "requests_in_flight": ("requests_in_flight", "Requests in flight."),
    "reply_bytes_waiting": ("reply_waiting_bytes", "Replies that clients have not read yet."),
    "resident_bytes": ("resident_memory_bytes", "Memory of the daemon's process."),
    "peak_resident_bytes": ("peak_resident_memory_bytes", "Peak memory of the process."),
    "descriptors": ("open_fds", "Open descriptors."),
    "cursors": ("cursors", "Open listings."),
    "leases": ("leases", "Leases that keep images."),
    "uptime_seconds": ("uptime_seconds", "Time since the daemon started."),
    "images": ("images", "Images and manifest lists."),
    "layers": ("layers", "Layers."),
    "containers": ("containers", "Storage containers."),
    "layer_sizes_pending": ("layer_sizes_pending", "Layers whose size is still to be measured."),
    "layer_sizes_unknown": ("layer_sizes_unknown", "Layers whose size cannot be measured."),
}
"""Gauges of ``server.stats`` with a family; others have none until they are listed here."""

_OWN_FAMILY = ("requests.", "gateway.", "errors.", "limits.", "locks.held.", "locks.waited.")
"""The prefixes of counters that have their own family."""


def text(stats: ServerStats) -> str:
    """The complete text, including its end."""
    lines = [
        *_family("build_info", "gauge", "The version of the daemon; always 1."),
        _sample("build_info", {"version": stats["version"]}, 1),
        *_gauges(stats),
        *_counters(stats),
        *_histograms(stats),
        "# EOF",
    ]
    return "".join(f"{line}\n" for line in lines)


def _gauges(stats: ServerStats) -> Iterator[str]:
    for name, (family, about) in _GAUGES.items():
        if name in stats["gauges"]:
            yield from _family(family, "gauge", about)
            yield _sample(family, {}, stats["gauges"][name])


def _counters(stats: ServerStats) -> Iterator[str]:
    yield from _family("cpu_seconds", "counter", "Processor time of the daemon's process.")
    yield _sample("cpu_seconds_total", {}, stats["gauges"].get("cpu_seconds", 0.0))
    yield from _family("connections_accepted", "counter", "Accepted clients.")
    yield _sample("connections_accepted_total", {}, stats["counters"].get("connections", 0))
    failed = {method: each["errors"] for method, each in stats["methods"].items()}
    refused = {route: each["errors"] for route, each in stats.get("routes", {}).items()}
    events = {name: count for name, count in stats["counters"].items() if _is_event(name)}
    for family, label, about, counts in (
        ("request_errors", "method", "Requests answered with an error or cancelled, by method.", failed),
        ("rest_errors", "route", "REST API answers with a status of 400 or more, by route.", refused),
        ("errors", "error", "Errors answered, by name.", stats["errors"]),
        (
            "limits_reached",
            "limit",
            "How often a limit refused, delayed or dropped something.",
            stats["limits_reached"],
        ),
        ("events", "event", "All other events, under names that a later version may change.", events),
    ):
        yield from _family(family, "counter", about)
        for value in sorted(counts):
            yield _sample(f"{family}_total", {label: value}, counts[value])


def _is_event(name: str) -> bool:
    return name not in ("connections", "reload.count", "changes.waited.count") and not name.startswith(_OWN_FAMILY)


def _histograms(stats: ServerStats) -> Iterator[str]:
    methods, locks = stats["methods"], stats["locks"]
    for family, about, label, histograms in (
        (
            "request_duration_seconds",
            "Time from the start of a method to its result, by method.",
            "method",
            {method: each["duration"] for method, each in methods.items()},
        ),
        (
            "rest_duration_seconds",
            "From the head of a request of the REST API to its answer, by route.",
            "route",
            {route: each["duration"] for route, each in stats.get("routes", {}).items()},
        ),
        ("reload_duration_seconds", "Reading the store again.", "", {"": stats["reloads"]}),
        ("change_wait_seconds", "Waits of a change for the daemon's other changes.", "", {"": stats["changes"]}),
        (
            "lock_wait_seconds",
            "Time waiting for a lock of the store that another process held, by lock.",
            "lock",
            {lock: each["wait"] for lock, each in locks.items()},
        ),
        (
            "lock_hold_seconds",
            "How long the daemon held a lock of the store, by lock.",
            "lock",
            {lock: each["hold"] for lock, each in locks.items()},
        ),
    ):
        yield from _family(family, "histogram", about)
        for value in sorted(histograms):
            yield from _histogram(family, {label: value} if label else {}, histograms[value], stats["bounds"])


def _histogram(family: str, labels: Mapping[str, str], histogram: Histogram, bounds: list[float]) -> Iterator[str]:
    counts = histogram["buckets"] or [0] * (len(bounds) + 1)
    so_far = 0
    for bound, count in zip([*map(_number, bounds), "+Inf"], counts, strict=False):
        so_far += count
        yield _sample(f"{family}_bucket", {**labels, "le": bound}, so_far)
    yield _sample(f"{family}_count", labels, so_far)
    yield _sample(f"{family}_sum", labels, histogram["seconds"])


def _family(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP storaged_{name} {_escaped(about)}"
    yield f"# TYPE storaged_{name} {kind}"
    for unit in ("seconds", "bytes"):
        if name.endswith(f"_{unit}"):
            yield f"# UNIT storaged_{name} {unit}"


def _sample(name: str, labels: Mapping[str, str], value: float) -> str:
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"storaged_{name}{f'{{{inner}}}' if inner else ''} {_number(value)}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else repr(float(value))
