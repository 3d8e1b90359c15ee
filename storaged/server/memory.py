"""Memory that is free, given back to the system: what one client made the daemon hold, no other should have to miss.

The C library keeps what was freed for the next one who asks. After a few requests of a mebibyte each and their replies
that is hundreds of mebibytes, for as long as the daemon lives.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

import anyio
from anyio.to_thread import run_sync

_M_ARENA_MAX = -8
_M_MMAP_THRESHOLD = -3
"""Of ``mallopt``; malloc.h of glibc."""

_LARGE = 1 << 18
"""Bytes from which on memory is taken from the system by itself, and goes back as soon as it is free."""

PAUSE = 1.0
"""Seconds between two times at least: it takes some milliseconds, and who asks for memory meanwhile waits."""


def trim() -> None:
    """Give back all that can be; nothing where the C library cannot. Blocking, without the interpreter's lock."""
    give = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if give is not None:
        give(0)


def gather() -> None:
    """Free what is in circles of references, and give back all that can be. Blocking, the former with the interpreter's
    lock: among what was made since the last load, and not while one is being made.

    What event loops and libraries make of connections is in circles, and is looked for only when much else was made.
    """
    if gc.isenabled():
        gc.collect()
    trim()


def keep_together() -> None:
    """Have all threads take their memory from one place, and large pieces from none; nothing where the C library
    cannot. To be called before there are threads.

    Else each worker thread has its own, and what one frees no other uses: after thousands of requests of all kinds
    and sizes the daemon was 6 MiB larger, and with one place for all of them 1 MiB. Under the interpreter's lock they
    do not get into each other's way there.

    And else the first table of 20 MB that is freed teaches the C library to keep pieces of that size: the tables and
    indexes of each reload then lie among small values that stay, and the holes do not go back. At 43,000 layers that
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
        """Do so a moment later, once for all who ask until then."""
        if self._coming:
            return
        self._coming = True
        try:
            await anyio.sleep(PAUSE)
        finally:
            self._coming = False
        await run_sync(self._trim)
