"""Returns free memory to the system, so that other programs can use what one client made the daemon hold.

The C library keeps freed memory for later allocations. After a few requests of a mebibyte each and their replies, that
would be hundreds of mebibytes, for as long as the daemon lives.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import anyio
from anyio.to_thread import run_sync

_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3
"""Parameter of ``mallopt``; malloc.h of glibc."""

_LARGE = 1 << 18
"""Allocations of at least this many bytes come directly from the system, and are returned as soon as they are free."""

PAUSE = 1.0
"""The minimum seconds between two calls: each takes some milliseconds, in which allocations wait."""


def trim() -> None:
    """Return as much memory as possible; does nothing if the C library cannot. Blocking, without the interpreter
    lock."""
    give = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give is not None:
        give(0)


def gather() -> None:
    """Free objects in reference cycles, and return as much memory as possible. Blocking, the former with the
    interpreter lock. Only covers objects created since the last load, and must not run during a load.

    Event loops and libraries create cycles for connections, which are otherwise collected only after many other
    allocations.
    """
    if gc.isenabled():
        gc.collect()
    trim()


def keep_together() -> None:
    """Make all threads allocate from one arena, and large blocks directly from the system; does nothing if the C
    library cannot. To be called before there are threads.

    Otherwise each worker thread has its own arena, and no other uses what it frees: after thousands of requests of all
    kinds and sizes the daemon was 6 MiB larger, with one arena 1 MiB. Under the interpreter lock, threads do not
    contend for it.

    Otherwise, too, the first freed table of 20 MB teaches the C library to keep blocks of that size. The tables and
    indexes of each reload are then among small objects that stay, and the holes are not returned. At 43,000 layers that
    was 30 MiB after some reloads.
    """
    set_option = getattr(ctypes.CDLL(None), "mallopt", None)
    if set_option is not None:
        set_option(_M_ARENA_MAX, 1)
        set_option(_M_MMAP_THRESHOLD, _LARGE)


class Memory:
    """Belongs to the event loop."""

    def __init__(self, trim: Callable[[], object] = gather) -> None:
        self._trim = trim
        self._coming = False

    async def give_back(self) -> None:
        """Return memory a moment later, once for all calls until then."""
        if self._coming:
            return
        self._coming = True
        try:
            await anyio.sleep(PAUSE)
        finally:
            self._coming = False
        await run_sync(self._trim)
