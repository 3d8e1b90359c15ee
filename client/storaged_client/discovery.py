"""Connects to the daemon of a store, wherever it listens.

::

    the given socket, or the store's own       if one was given, no other is tried
    the socket in the store's lock file        graphroot/storaged/daemon.lock, or beside the store's own socket if the
                                               daemon is read-only or its store does not exist yet

The socket named in a lock file is trusted only as far as the daemon there confirms it: it must run as this user, root
or the store's owner, and it compares the store that is stated with each request.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from . import address as addresses
from .errors import ClientError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping
    from typing import Any

    from .stores import Target

_PATIENCE = 5.0
"""Seconds for a daemon to say which store it serves."""


def connect(target: Target) -> socket.socket:
    """Connect to the daemon of ``target``. If no socket was given and nothing listens at the store's own, connect to
    the daemon that guards the store, wherever it listens. Blocking.

    Raises: NobodyListens, and the other errors of ``address.connect``.
    """
    target.stated = target.meant
    try:
        return addresses.connect(target.address, target.uids)
    except addresses.NobodyListens:
        if target.chosen or target.meant is None:
            raise
        for path in _guards(target.meant["graphroot"], os.path.dirname(target.address)):
            sock = _of_guard(path, target)
            if sock is not None:
                return sock
        raise


def _guards(graphroot: str, runtime: str) -> Iterator[str]:
    """The lock files that a daemon of this store may hold, as ``storaged.store.locks.instance`` names them."""
    from .stores import digest

    yield os.path.join(graphroot, "storaged", "daemon.lock")
    with suppress(OSError):
        there = os.stat(graphroot)
        yield os.path.join(runtime, f"guard-{there.st_dev:x}-{there.st_ino}.lock")
    yield os.path.join(runtime, f"guard-{digest(graphroot)}.lock")


def _of_guard(path: str, target: Target) -> socket.socket | None:
    """A connection to the daemon that wrote this lock file; None if no daemon of that store answers."""
    from .connection import Connection
    from .transport import NotSent

    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            other = os.fsdecode(file.read(4096)).split("\n")[1]
        connection = Connection(addresses.connect(addresses.check(other), target.uids))
    except (OSError, IndexError, ClientError):
        return None
    try:
        info = connection.ask("server.info", {"consistency": "cached"}, time.monotonic() + _PATIENCE).result
        target.stated = _in_words_of(info, target.meant or {})
        return addresses.connect(other, target.uids)
    except (NotSent, ClientError):
        return None
    finally:
        connection.close()


def _in_words_of(info: Any, meant: Mapping[str, Any]) -> dict[str, Any]:
    """The intended store with the daemon's own paths for the same folders (a bind mount is not a symbolic link)."""
    stated = dict(meant)
    for name in ("graphroot", "runroot"):
        try:
            served = os.path.realpath(info[name])
            if os.path.samefile(served, stated[name]):
                stated[name] = served
        except (OSError, KeyError, TypeError):
            continue  # keep it as it is: the daemon refuses what it does not serve
    return stated
