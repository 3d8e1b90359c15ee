"""When a reload takes shared locks: writers that follow each other without a pause leave no gap to read in.

::

    wish ── 2 s of writers ──▶ shared locks: at most 0.5 s of waiting, a read of the tables long ── whole
                                    ▲                            │ not had
                                    └───────── 1 s later ◀───────┘

Even a shared lock of ours keeps every podman from starting, so readers are served what is known until then.
"""

from __future__ import annotations

from attrs import define

AFTER = 2.0
"""Seconds for which a reload gives way to every writer."""

PAUSE = 1.0
"""Seconds between two attempts with locks, at least."""


@define
class StarvationFallback:
    """Counts the time of one wish. Times are those of ``anyio.current_time``."""

    _since: float | None = None
    _last: float | None = None

    def done(self) -> None:
        """The wish came true, or cannot."""
        self._since = None

    def requested(self, now: float) -> None:
        """A reload is wanted; the first of several counts."""
        if self._since is None:
            self._since = now

    def due(self, now: float) -> bool:
        """Whether the next attempt may take locks."""
        if self._since is None or now - self._since < AFTER:
            return False
        return self._last is None or now - self._last >= PAUSE

    def tried(self, now: float) -> None:
        """An attempt with locks is over."""
        self._last = now
