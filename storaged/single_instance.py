"""Becomes the only daemon of a graphroot, at once or when the other one has ended, and stays it.

A service manager may have started the daemon for a waiting client while another daemon serves the store. If it exited
at once, it would be started again for the same client, at once and without end, or until a start limit gives up the
socket for good (your own units may have one). So it waits a while. If the other daemon is draining, it is gone by then;
otherwise this one exits, and the manager's restarts come at a harmless pace.

A store may be removed and created again under its daemon. Then the instance lock guards nothing, and everything known
of the old store is useless: the daemon starts again, or exits if another one was faster.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Protocol

import anyio
from anyio.to_thread import run_sync

from storaged.errors import GuardTaken
from storaged.server.systemd import Notifier
from storaged.store.files import Files
from storaged.store.locks.instance import InstanceLock, take_instance_lock

PATIENCE = 15.0
"""Seconds."""
_PAUSE = 0.1
_LOOK = 2.0
"""Seconds between two checks of the guarded store."""

_log = logging.getLogger(__name__)


class StoreGuard:
    """The instance lock during a daemon's life. Safe from several threads; everything blocks."""

    def __init__(
        self, graphroot: str, runtime: str, notifier: Notifier, *, writable: bool, socket: str, patience: float = 0.0
    ) -> None:
        """Take the lock within ``patience`` seconds; reports the current holder to the service manager.

        ``socket`` is where this daemon will listen; the lock file tells others.

        Raises:
            GuardTaken: another daemon still has it.
            OSError: no lock can be made.
        """
        self._take = partial(take_instance_lock, graphroot, runtime, files=Files(), writable=writable, socket=socket)
        self._notifier = notifier
        self._patience = patience
        self._mutex = threading.Lock()
        self._guard = self._wait()

    def holds(self) -> bool:
        """Whether the present store is guarded. A store that was created since is, from now on; one that was removed or
        replaced is not, until ``renew``."""
        with self._mutex:
            standing = self._guard.standing()
            if standing == "moved":
                self._guard.close()
                try:
                    self._guard = self._take()
                except (GuardTaken, OSError) as error:
                    _log.warning("the lock of the store was lost error=%s", error)
                    return False
            return standing != "replaced"

    def renew(self) -> None:
        """Give up the lock of the old store, and take that of the present one.

        Raises:
            GuardTaken, OSError: as when it was first taken.
        """
        with self._mutex:
            self._guard.close()
            self._guard = self._wait()

    def close(self) -> None:
        with self._mutex:
            self._guard.close()

    def _wait(self) -> InstanceLock:
        deadline = time.monotonic() + self._patience
        told = False
        while True:
            try:
                return self._take()
            except GuardTaken as error:
                if time.monotonic() >= deadline:
                    raise
                if not told:
                    _log.warning("waiting for another daemon to exit error=%s", error)
                    self._notifier.tell(STATUS=f"waiting: {error}")
                    told = True
            time.sleep(_PAUSE)


class Held(Protocol):
    """What is watched: a ``StoreGuard``."""

    def holds(self) -> bool: ...


async def watch(guard: Held, begin_anew: Callable[[str], None], *, every: float = _LOOK) -> None:
    """Watch the lock; returns after telling ``begin_anew`` that the store was replaced.

    It checks twice: a store that is being removed is left alone until that is over.
    """
    lost = 0
    while lost < 2:
        await anyio.sleep(every)
        lost = 0 if await run_sync(guard.holds) else lost + 1
    begin_anew("replaced")
