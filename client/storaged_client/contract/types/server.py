"""Results of ``server.*``."""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from .base import Result
from .store import Flaw


@frozen(kw_only=True)
class ServerInfo(Result):
    """``server.info``."""

    version: str
    protocol: str
    pid: int
    backend: str
    socket: str
    graphroot: str
    runroot: str
    driver: str
    additional_stores: tuple[str, ...]
    limits: dict[str, int]
    config_fingerprint: str
    config_file: str | None
    started: str
    writable: bool
    writable_reason: str | None
    freshness: Literal["locks", "file system"]
    images: int
    manifest_lists: int
    layers: int
    containers: int
    half_made: tuple[str, ...]
    """Ids of image records that do not name a manifest yet; hidden from every listing."""
    unreadable_evidence: tuple[Flaw, ...]
    flaws: tuple[Flaw, ...]


@frozen(kw_only=True)
class ServerStats(Result):
    """``server.stats``: counters since the daemon started; times in seconds."""

    counters: dict[str, int]
    seconds: dict[str, float]
    gauges: dict[str, float]
