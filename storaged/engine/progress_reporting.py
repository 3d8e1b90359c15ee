"""How far a worker thread has come, told to the event loop: often enough for people, seldom enough for both."""

from __future__ import annotations

import time
from collections.abc import Callable

from anyio import from_thread

INTERVAL = 0.1
"""Seconds between two tellings."""


class ProgressReporter:
    """Hands progress over to the loop. For one worker thread that a task of the loop waits for."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress
        self._next = 0.0

    def tell(self, done: int, total: int) -> None:
        """``done`` of ``total`` things are done. What comes too soon after the last telling is left out."""
        now = time.monotonic()
        if self._progress is not None and now >= self._next:
            self._next = now + INTERVAL
            from_thread.run_sync(self._progress, done, total)
