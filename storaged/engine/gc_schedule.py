"""Scheduling of Python's cycle collector for a process whose objects nearly all live long.

::

    start                paused; then everything is frozen (``begin``)
    between two loads    as usual, among the objects made since
    before a load        one collection of the same few objects
    during a load        paused: it makes hundreds of thousands of objects and no cycle
    after a load         everything is frozen

Frozen objects are freed as usual when their last reference goes; only cycles among them are not found. Otherwise the
first allocation after a load would traverse its hundreds of thousands of objects, tens of milliseconds in which no
thread runs. Objects of requests and connections that are there when a load ends are frozen, too. Ours are in no cycles
when they end, but those of event loops and libraries may be. So once a minute everything is collected.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SELDOM = 60.0
"""Least seconds between two collections of everything: each takes as long as a load, and no thread runs then."""


class GCSchedule:
    """The schedule of one process, which makes one load at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = False
        self._looked = 0.0

    def begin(self) -> None:
        """The start is done: the objects that exist live as long as the process."""
        gc.freeze()
        gc.enable()
        self._begun = True
        self._looked = self._clock()

    @contextmanager
    def paused(self, *, hurried: bool = False) -> Iterator[None]:
        """Pause the collector for a load. Before ``begin``, and in a process that never calls it, nothing is frozen.

        ``hurried``: others wait for a lock of the store, so there is no collection before the load.
        """
        collecting = gc.isenabled()
        if self._begun and not hurried:
            self._look()
        gc.disable()
        try:
            yield
        finally:
            if self._begun:
                gc.freeze()
            if collecting:
                gc.enable()

    def _look(self) -> None:
        if self._clock() - self._looked >= SELDOM:
            self._looked = self._clock()
            gc.unfreeze()
        gc.collect()
