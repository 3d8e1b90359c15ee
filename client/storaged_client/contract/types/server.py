"""Results of ``server.*``."""

from __future__ import annotations

from typing import Literal

from attrs import Factory, frozen

from ..value import Timestamp, Value
from .base import Result
from .store import Flaw


@frozen(kw_only=True, eq=False, repr=False)
class ServerInfo(Result):
    """``server.info``."""

    version: str
    protocol: str
    pid: int
    backend: str
    socket: str
    api_sockets: tuple[str, ...] = ()
    """Where podman's REST API is answered; several where one of them lies at podman's own path."""
    podman_socket: str | None = None
    """What podman's API has and storaged has not is passed on to there; null where it goes nowhere."""
    graphroot: str
    runroot: str
    driver: str
    additional_stores: tuple[str, ...]
    limits: dict[str, int]
    config_fingerprint: str
    config_file: str | None
    started: Timestamp
    writable: bool
    writable_reason: str | None
    read_only: bool = False
    """Whether it is not writable because the operator wants it so."""
    compat: Literal["none", "podman"] = "none"
    """``podman``: rmi and untag of a manifest list mean its local instance."""
    settings_file: str | None = None
    """The storaged.toml that was read; ``config_file`` is the storage.conf."""
    started_by: Literal["systemd", "client", "other"] = "other"
    """``systemd``: by its socket. ``client``: by a client that found none."""
    freshness: Literal["locks", "file system"]
    images: int
    manifest_lists: int
    layers: int
    containers: int
    half_made: tuple[str, ...]
    """Ids of image records that do not name a manifest yet; hidden from every listing."""
    unreadable_evidence: tuple[Flaw, ...]
    flaws: tuple[Flaw, ...]


@frozen(kw_only=True, eq=False, repr=False)
class Histogram(Value):
    """How long something took. ``buckets`` go with ``ServerStats.bounds``: bucket n counts what took more than bound
    n-1 and at most bound n; the last one, which has no bound, what took longer than all. Empty where nothing was
    counted."""

    count: int = 0
    seconds: float = 0.0
    """The sum."""
    buckets: tuple[int, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class MethodStats(Value):
    """The requests of one method. ``errors`` are those of ``duration`` that were answered by an error or cancelled."""

    errors: int = 0
    duration: Histogram = Factory(Histogram)


@frozen(kw_only=True, eq=False, repr=False)
class LockStats(Value):
    """One kind of the store's locks, as taken by this daemon."""

    wait: Histogram = Factory(Histogram)
    """Of the times it was held by somebody else when it was wanted."""
    hold: Histogram = Factory(Histogram)


@frozen(kw_only=True, eq=False, repr=False)
class ServerStats(Result):
    """``server.stats``: what happened since the daemon started, and gauges of this moment; times in seconds.

    Costs the same whatever the size of the store. ``counters``, ``seconds`` and ``gauges`` are everything the daemon
    counts, under names of its own that may be others in the next version; all other members keep their names.
    """

    version: str = ""
    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets of each histogram, in seconds, ascending."""
    methods: dict[str, MethodStats] = Factory(dict)
    """By method; those that were never called are left out, and ``unknown`` stands for all that do not exist."""
    errors: dict[str, int] = Factory(dict)
    """Answers by the name of their error, without those that were refused before their method began."""
    reloads: Histogram = Factory(Histogram)
    """The store was read again, whether or not anything had changed."""
    changes: Histogram = Factory(Histogram)
    """How long changes waited for others of this daemon."""
    locks: dict[str, LockStats] = Factory(dict)
    """By the name of the lock file; ``digest lock`` stands for those of all manifest lists."""
    limits_reached: dict[str, int] = Factory(dict)
    """How often each limit refused, delayed or dropped something; those that never did may be left out."""
    counters: dict[str, int]
    seconds: dict[str, float]
    gauges: dict[str, float]
