"""When garbage in circles is looked for in a process whose values nearly all live long and are no garbage.

::

    the start            not at all; then all there is is put aside (``begin``)
    between two loads    as Python does, among what was made since
    before a load        once, among the same: little
    during a load        not at all: it makes hundreds of thousands of values and no circle
    after it             all there is is put aside

What was put aside is freed as ever when the last reference to it goes; only circles are not found there. Without that
the first allocation after a load had its hundreds of thousands of values walked through, tens of milliseconds in which
no thread runs. Put aside is also what requests and connections are made of that are there when a load ends: ours are in
no circles when they end, but what event loops and libraries make may be. So once a minute everything is walked through
all the same.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SELDOM = 60.0
"""Seconds between two looks at all there is, at least: each takes as long as a load does, and no thread runs then."""


class GCSchedule:
    """Of one process. Loads are made one at a time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun = False
        self._looked = 0.0

    def begin(self) -> None:
        """The start is done: what there is lives as long as the process."""
        gc.freeze()
        gc.enable()
        self._begun = True
        self._looked = self._clock()

    @contextmanager
    def paused(self, *, hurried: bool = False) -> Iterator[None]:
        """Within, a load is made. Before ``begin``, and in a process that never calls it, nothing is put aside.

        ``hurried``: others wait for a lock of the store meanwhile, so that nothing is looked for before either.
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
