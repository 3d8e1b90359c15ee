"""The daemon's metrics as the result of ``server.stats``. The cost depends on the number of metrics only."""

from __future__ import annotations

from collections.abc import Iterable

from storaged.metrics import BOUNDS, Metrics
from storaged_client.contract import types as t
from storaged_client.contract.version import VERSION

_REQUESTS = "requests."
_ROUTES = "gateway."
_ERRORS = "errors."
_HELD, _WAITED = "locks.held.", "locks.waited."
_LIMITS = "limits."


def statistics(metrics: Metrics, gauges: dict[str, float]) -> t.ServerStats:
    """The answer to ``server.stats``."""
    # Worker threads count meanwhile, so iterate over copies.
    counters, seconds, buckets = dict(metrics.counters), dict(metrics.seconds), dict(metrics.buckets)

    def histogram(name: str) -> t.Histogram:
        counts = tuple(buckets.get(name, ()))
        return t.Histogram(count=sum(counts), seconds=seconds.get(name, 0.0), buckets=counts)

    def durations(prefix: str) -> dict[str, t.MethodStats]:
        return {
            name: t.MethodStats(errors=counters.get(f"{prefix}{name}.errors", 0), duration=histogram(f"{prefix}{name}"))
            for name in _below(prefix, buckets)
        }

    locks = {
        name: t.LockStats(wait=histogram(_WAITED + name), hold=histogram(_HELD + name))
        for name in sorted({*_below(_HELD, buckets), *_below(_WAITED, buckets)})
    }
    return t.ServerStats(
        version=VERSION,
        bounds=BOUNDS,
        methods=durations(_REQUESTS),
        routes=durations(_ROUTES),
        errors={name: counters[_ERRORS + name] for name in _below(_ERRORS, counters)},
        reloads=histogram("reload"),
        changes=histogram("changes.waited"),
        locks=locks,
        limits_reached={name: counters[_LIMITS + name] for name in _below(_LIMITS, counters)},
        counters=counters,
        seconds=seconds,
        gauges=gauges,
    )


def _below(prefix: str, names: Iterable[str]) -> list[str]:
    return sorted(name.removeprefix(prefix) for name in names if name.startswith(prefix))
