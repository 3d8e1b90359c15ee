"""Becoming the one daemon of a graphroot: at once, or when the other has ended.

A daemon that a service manager started for a waiting client must not end at once because another one serves the
store: it would be started again for the same client, at once and without end, or until a start limit gives up the
socket for good (units of one's own may have one). So it waits a while, in which another that drains is gone, and ends
only then: the manager's next start for the client comes at a pace that nothing minds.
"""

from __future__ import annotations

import logging
import time

from storaged.errors import GuardTaken
from storaged.server.systemd import Notifier
from storaged.store.files import Files
from storaged.store.locks.instance import Guard, take_guard

PATIENCE = 15.0
"""Seconds."""
_PAUSE = 0.1

_log = logging.getLogger(__name__)


def guard(
    graphroot: str, runtime: str, notifier: Notifier, *, writable: bool, socket: str, patience: float = 0.0
) -> Guard:
    """Take the guard within ``patience`` seconds; the service manager is told who has it. Blocks.

    ``socket`` is where this daemon will listen, which the guard tells others.

    Raises:
        GuardTaken: another daemon still has it.
        OSError: no guard can be made.
    """
    deadline = time.monotonic() + patience
    told = False
    while True:
        try:
            return take_guard(graphroot, runtime, files=Files(), writable=writable, socket=socket)
        except GuardTaken as error:
            if time.monotonic() >= deadline:
                raise
            if not told:
                _log.warning("waiting for another daemon to end error=%s", error)
                notifier.tell(STATUS=f"waiting: {error}")
                told = True
        time.sleep(_PAUSE)
