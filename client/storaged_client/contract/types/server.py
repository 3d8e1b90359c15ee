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
    """The sockets of podman's REST API; several if one of them is at podman's own path."""
    podman_socket: str | None = None
    """The socket to which podman API requests that storaged does not serve are forwarded; null if they are not."""
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
    """Whether the operator made it read-only."""
    compat: Literal["none", "podman"] = "none"
    """``podman``: rmi and untag of a manifest list act on its local instance."""
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
    """A distribution of durations. ``buckets`` go with ``ServerStats.bounds``: bucket n counts what took more than
    bound n-1 and at most bound n; the last one, which has no bound, what took longer than all. Empty if nothing was
    counted."""

    count: int = 0
    seconds: float = 0.0
    """The sum."""
    buckets: tuple[int, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class MethodStats(Value):
    """The requests of one method. ``errors`` counts those in ``duration`` that were answered with an error or
    cancelled."""

    errors: int = 0
    duration: Histogram = Factory(Histogram)


@frozen(kw_only=True, eq=False, repr=False)
class LockStats(Value):
    """One kind of the store's locks, as taken by this daemon."""

    wait: Histogram = Factory(Histogram)
    """Counts only waits for a lock that another process held."""
    hold: Histogram = Factory(Histogram)


@frozen(kw_only=True, eq=False, repr=False)
class ServerStats(Result):
    """``server.stats``: what happened since the daemon started, and gauges of this moment; times in seconds.

    The cost does not depend on the size of the store. ``counters``, ``seconds`` and ``gauges`` are everything the
    daemon counts, under internal names that may change in the next version; all other members keep their names.
    """

    version: str = ""
    bounds: tuple[float, ...] = ()
    """Upper bounds of the buckets of each histogram, in seconds, ascending."""
    methods: dict[str, MethodStats] = Factory(dict)
    """By method; methods that were never called are omitted, and ``unknown`` stands for all that do not exist."""
    routes: dict[str, MethodStats] = Factory(dict)
    """The same of podman's REST API, by method and path; ``passed_on`` stands for all that podman answers."""
    errors: dict[str, int] = Factory(dict)
    """Answers by the name of their error, without those refused before their method began."""
    reloads: Histogram = Factory(Histogram)
    """Reloads of the store, whether or not anything had changed."""
    changes: Histogram = Factory(Histogram)
    """How long changes waited for other changes of this daemon."""
    locks: dict[str, LockStats] = Factory(dict)
    """By the name of the lock file; ``digest lock`` stands for those of all manifest lists."""
    limits_reached: dict[str, int] = Factory(dict)
    """How often each limit refused, delayed or dropped something; limits that never did may be omitted."""
    counters: dict[str, int]
    seconds: dict[str, float]
    gauges: dict[str, float]
