"""``storaged stop``: tells the daemon behind a socket to drain, and waits until it is gone."""

from __future__ import annotations

import os
import select
import socket
import sys
import time
from contextlib import suppress

from storaged.server import peercred
from storaged_client import discovery, stores
from storaged_client.connection import Connection
from storaged_client.contract.errors import StoragedError, from_wire
from storaged_client.errors import ClientError, DaemonUnavailable, RequestTimeout
from storaged_client.storage_conf import Flags
from storaged_client.transport import NotSent

_SECONDS = 10.0
"""For everything but the drain, which has its own limit."""


def stop_daemon(path: str | None, flags: Flags | None = None, seconds: float = _SECONDS) -> int:
    """Tell the daemon of a socket or of a store to drain, and wait until it is gone; returns the exit status.

    It is gone when the connection has ended, which happens after the last answer, and so has the process, if the kernel
    vouches for its pid. Only then is the store's instance lock free for the next daemon. The socket proves nothing: an
    activated one stays, and connecting to it would start the daemon again.

    0 ended, 69 no daemon, 75 not in time, 77 not permitted, 125 that daemon serves another store.
    """
    try:
        _stop(stores.find(path, flags), time.monotonic() + seconds)
    except (ClientError, StoragedError) as error:
        sys.stderr.write(f"storaged: {error}\n")
        return error.exit_status
    return 0


def _stop(target: stores.Target, deadline: float) -> None:
    channel = discovery.connect(target)
    path = channel.getpeername()
    link = Connection(channel)
    process: int | None = None
    try:
        pid = peercred.of_socket(channel).pid
        info = _ask(link, "server.info", {"consistency": "cached"}, deadline, path)
        if target.stated is not None:
            stores.check_served(target.stated, info)
        deadline += _drain_seconds(info)
        # The service manager created an activated socket, so the pid may be the manager's.
        if info.get("pid") == pid:
            with suppress(OSError):
                process = os.pidfd_open(pid)
        _ask(link, "server.shutdown", None, deadline, path)
        _await_end(channel, deadline, path)
        if process is not None and not _readable(process, deadline):
            raise RequestTimeout(f"pid {pid} no longer answers at {path} but has not exited: look at its log")
    finally:
        link.close()
        if process is not None:
            os.close(process)


def _drain_seconds(info: dict[str, object]) -> float:
    limits = info.get("limits")
    seconds = limits.get("drain_seconds") if isinstance(limits, dict) else None
    return float(seconds) if isinstance(seconds, int | float) else 10.0


def _ask(
    link: Connection, method: str, params: dict[str, object] | None, deadline: float, path: str
) -> dict[str, object]:
    try:
        pending = link.ask(method, params, deadline)
    except NotSent:
        raise DaemonUnavailable(f"the daemon at {path} is already ending") from None
    if pending.error is not None:
        raise from_wire(pending.error)
    if pending.lost:
        raise DaemonUnavailable(f"the daemon at {path} went away before it answered {method}")
    return pending.result if isinstance(pending.result, dict) else {}


def _await_end(channel: socket.socket, deadline: float, path: str) -> None:
    while True:
        if not _readable(channel.fileno(), deadline):
            raise RequestTimeout(f"the daemon at {path} is still draining")
        try:
            if not channel.recv(65536):
                return
        except OSError:
            return


def _readable(descriptor: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))
