"""Starvation fallback: a reload takes shared locks if writers leave no gap to read in.

::

    request ─ 2 s of writers ─▶ shared locks: wait at most 0.5 s, hold them for one read of the tables ── done
                                    ▲                            │ not free
                                    └───────── 1 s later ◀───────┘

Even a shared lock of ours stops every podman from starting, so reads get the last known state until then.
"""

from __future__ import annotations

from attrs import define

AFTER = 2.0
"""Seconds for which a reload yields to every writer."""

PAUSE = 1.0
"""Seconds between two attempts with locks, at least."""


@define
class StarvationFallback:
    """Measures how long a reload is requested. Times are those of ``anyio.current_time``."""

    _since: float | None = None
    _last: float | None = None

    def done(self) -> None:
        """The reload is done, or cannot be."""
        self._since = None

    def requested(self, now: float) -> None:
        """A reload is requested; only the first request counts."""
        if self._since is None:
            self._since = now

    def due(self, now: float) -> bool:
        """Whether the next attempt may take shared locks."""
        if self._since is None or now - self._since < AFTER:
            return False
        return self._last is None or now - self._last >= PAUSE

    def tried(self, now: float) -> None:
        """An attempt with locks is over."""
        self._last = now
