"""Becoming the one daemon of a graphroot, at once or when the other has ended; and staying it.

A daemon that a service manager started for a waiting client must not end at once because another one serves the
store: it would be started again for the same client, at once and without end, or until a start limit gives up the
socket for good (units of one's own may have one). So it waits a while, in which another that drains is gone, and ends
only then: the manager's next start for the client comes at a pace that nothing minds.

A store may be removed and made again under its daemon. Then the guard guards nothing, and whatever is known of the old
store is of no use: the daemon begins anew, or ends where another one was faster.
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
"""Seconds between two looks at the store that is guarded."""

_log = logging.getLogger(__name__)


class StoreGuard:
    """The guard of a daemon's life. Safe from several threads; everything blocks."""

    def __init__(
        self, graphroot: str, runtime: str, notifier: Notifier, *, writable: bool, socket: str, patience: float = 0.0
    ) -> None:
        """Take the guard within ``patience`` seconds; the service manager is told who has it.

        ``socket`` is where this daemon will listen, which the guard tells others.

        Raises:
            GuardTaken: another daemon still has it.
            OSError: no guard can be made.
        """
        self._take = partial(take_instance_lock, graphroot, runtime, files=Files(), writable=writable, socket=socket)
        self._notifier = notifier
        self._patience = patience
        self._mutex = threading.Lock()
        self._guard = self._wait()

    def holds(self) -> bool:
        """Whether the store that is there is guarded. A store that was made since is, from now on; one that was removed
        or replaced is not, until ``renew``."""
        with self._mutex:
            standing = self._guard.standing()
            if standing == "moved":
                self._guard.close()
                try:
                    self._guard = self._take()
                except (GuardTaken, OSError) as error:
                    _log.warning("the guard of the store was lost error=%s", error)
                    return False
            return standing != "replaced"

    def renew(self) -> None:
        """Give up the guard of what was there, and take that of what is there now.

        Raises:
            GuardTaken, OSError: as where it was taken first.
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
                    _log.warning("waiting for another daemon to end error=%s", error)
                    self._notifier.tell(STATUS=f"waiting: {error}")
                    told = True
            time.sleep(_PAUSE)


class Held(Protocol):
    """What is watched: a ``StoreGuard``."""

    def holds(self) -> bool: ...


async def watch(guard: Held, begin_anew: Callable[[str], None], *, every: float = _LOOK) -> None:
    """Look after the guard; returns once ``begin_anew`` was told that the store is another one.

    Twice: a store on its way out is left alone until that is over.
    """
    lost = 0
    while lost < 2:
        await anyio.sleep(every)
        lost = 0 if await run_sync(guard.holds) else lost + 1
    begin_anew("replaced")
