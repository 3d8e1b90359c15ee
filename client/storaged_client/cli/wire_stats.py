"""``server.stats`` as a plain dictionary, for the type checker only; see ``wire.py``."""

from __future__ import annotations

from typing import TypedDict


class Histogram(TypedDict):
    count: int
    seconds: float
    buckets: list[int]


class MethodStats(TypedDict):
    errors: int
    duration: Histogram


class LockStats(TypedDict):
    wait: Histogram
    hold: Histogram


class Stats(TypedDict):
    version: str
    bounds: list[float]
    methods: dict[str, MethodStats]
    errors: dict[str, int]
    reloads: Histogram
    changes: Histogram
    locks: dict[str, LockStats]
    limits_reached: dict[str, int]
    counters: dict[str, int]
    seconds: dict[str, float]
    gauges: dict[str, float]
