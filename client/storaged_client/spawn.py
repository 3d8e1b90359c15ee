"""Starts a daemon if none listens: of several racing clients, one starts it.

::

    connect        something listens                    use it
                   EACCES                               SocketForbidden, never a start
    allowed?       STORAGED_NO_SPAWN                    DaemonUnavailable
                   an enabled storaged.socket unit      DaemonUnavailable with its start command
    lock           <socket>.spawn.lock (filelock)       the losers wait, and then connect
    start          python -m storaged serve             log in $XDG_STATE_HOME/storaged/spawned.log
    record         <socket>.spawned                     pid and version of the daemon (``spawn_record``)

A daemon that a client of another version started is drained and replaced. Any other daemon is left alone, and so is
every daemon if a unit should provide the socket.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from contextlib import suppress

from . import address as addresses
from . import discovery, retry, spawn_record, systemd_units
from .contract.errors import ShuttingDown, from_wire
from .errors import ClientError, DaemonUnavailable, RequestTimeout, SocketForbidden
from .spawn_record import is_spawned as is_spawned
from .stores import Target

IDLE_EXIT = "10min"
PATIENCE = 30.0
"""Seconds a daemon may take until it listens, and an old one until it is gone."""

_BUSY = 75
"""The exit status of a daemon whose graphroot another one serves."""
_MOST_DEATHS = 3
"""How many daemons in a row may be killed while they start (by a person, or because memory ran out)."""
_THE_SERVICES_OWN = frozenset(
    ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
)
"""A client may be a systemd service; the daemon must not speak to the manager in its name."""
_PATHS = (
    "CONTAINERS_STORAGE_CONF",
    "CONTAINERS_STORAGE_CONF_OVERRIDE",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "HOME",
)
"""The variables by which a daemon finds its store."""


def connect(target: Target, *, timeout: float | None = None, replace: bool = True) -> socket.socket:
    """Connect to the daemon of ``target``; start it first, if none listens and that is allowed.

    ``replace``: drain a daemon that a client of another version started, and start one of ours. A client that lost its
    connection does not do that: two long-lived clients of different versions would end each other's daemon for ever.

    Raises: DaemonUnavailable, with the last lines of its log if a start failed; SocketForbidden.
    """
    deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
    path = target.address
    sock = _try(target)
    if sock is None:
        _check_allowed(target)
        addresses.make_folder(path)
    elif not replace or _forbidden() or target.refusal or not _is_old(sock, path):
        return sock
    else:
        sock.close()
    return _connect_locked(target, deadline, replace)


def _connect_locked(target: Target, deadline: float, replace: bool) -> socket.socket:
    path = target.address
    from filelock import FileLock, Timeout  # imported only for a start: 40 ms

    lock = FileLock(path + ".spawn.lock", mode=0o600, fallback_to_soft=False)
    try:
        with lock.acquire(timeout=max(0.0, deadline - time.monotonic()), poll_interval=0.02):
            # Another client may have started it while this one waited.
            sock = _try(target)
            if sock is not None:
                if not replace or not _is_old(sock, path):
                    return sock
                _drain(sock, path, deadline)
            return _start(target, deadline)
    except Timeout:
        raise DaemonUnavailable(f"another client is still starting a daemon at {path}") from None
    except ClientError:
        raise
    except PermissionError as error:
        raise SocketForbidden(f"{lock.lock_file}: {error.strerror}") from error
    except OSError as error:
        raise DaemonUnavailable(f"no daemon can be started at {path}: {lock.lock_file}: {error.strerror}") from error


def _try(target: Target) -> socket.socket | None:
    try:
        return discovery.connect(target)
    except addresses.NobodyListens:
        return None


def _forbidden() -> bool:
    return os.environ.get("STORAGED_NO_SPAWN", "0") not in ("", "0")


def _check_allowed(target: Target) -> None:
    path = target.address
    if target.refusal:
        raise DaemonUnavailable(f"no daemon listens at {path}; {target.refusal}")
    if _forbidden():
        hint = f"unset it, or run: storaged serve --socket {path}"
        raise DaemonUnavailable(f"no daemon listens at {path}, and STORAGED_NO_SPAWN forbids starting one: {hint}")
    command = systemd_units.start_command(path)
    if command is not None:
        raise DaemonUnavailable(f"no daemon listens at {path}; its unit is enabled and not running: {command}")


# ---------------------------------------------------------------- the replacement


def _peer_pid(sock: socket.socket) -> int:
    pid, _, _ = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def _is_old(sock: socket.socket, path: str) -> bool:
    """Whether a client of another version started this daemon, and we may replace it."""
    return spawn_record.is_old(path, _peer_pid(sock)) and systemd_units.start_command(path) is None


def _drain(sock: socket.socket, path: str, deadline: float) -> None:
    """Tell a daemon to stop, and wait until its process has exited: until then it holds the store's instance lock."""
    from .connection import Connection
    from .transport import NotSent

    pid = _peer_pid(sock)
    hint = f"the daemon of another version at {path} (pid {pid})"
    process: int | None = None
    with suppress(OSError):
        # Opened before the daemon is told: its number cannot be another process's yet.
        process = os.pidfd_open(pid)
    connection = Connection(sock)
    try:
        with suppress(NotSent):  # it is already ending
            pending = connection.ask("server.shutdown", None, deadline)
            if pending.error is not None and not isinstance(from_wire(pending.error), ShuttingDown):
                raise DaemonUnavailable(f"{hint} cannot be replaced: {from_wire(pending.error)}")
        # Without a descriptor of the process, a start finds the lock taken and is repeated.
        if process is not None and not _ended(process, deadline):
            raise RequestTimeout
    except RequestTimeout:
        raise DaemonUnavailable(
            f"{hint} does not exit: look at {spawn_record.log_path()}, or run: kill {pid}"
        ) from None
    finally:
        connection.close()
        if process is not None:
            os.close(process)


def _ended(process: int, deadline: float) -> bool:
    poll = select.poll()
    poll.register(process, select.POLLIN)
    return bool(poll.poll(max(0.0, deadline - time.monotonic()) * 1000))


# ---------------------------------------------------------------- the start


def command(path: str) -> list[str]:
    """The daemon's command line, without the flags that name its store."""
    return [sys.executable, "-m", "storaged", "serve", "--socket", path, "--idle-exit", IDLE_EXIT]


def _start(target: Target, deadline: float) -> socket.socket:
    path = target.address
    log = spawn_record.open_log()
    deaths = 0
    try:
        for pause in retry.delays():
            began = os.fstat(log).st_size
            earlier = spawn_record.read(path)
            process = _run(target, log)
            try:
                sock = _await(process, target, deadline)
            except TimeoutError:
                spawn_record.restore(path, earlier)
                raise DaemonUnavailable(
                    f"the daemon did not listen at {path} in time and was stopped: allow more (--timeout); "
                    f"{spawn_record.log_path()} ends:\n{spawn_record.tail(log, began)}"
                ) from None
            if sock is None or _peer_pid(sock) != process.pid:
                # A client was killed after its start: that daemon came first, so keep its record.
                spawn_record.restore(path, earlier)
            if sock is not None:
                return sock
            deaths += process.returncode < 0
            again = process.returncode == _BUSY or 0 < deaths < _MOST_DEATHS
            if not again or time.monotonic() + pause > deadline:
                break
            if process.returncode == _BUSY:
                _refuse_if_elsewhere(path, spawn_record.tail(log, began))
            time.sleep(pause)  # an earlier daemon starts, or drains and still holds the store's lock
            sock = _try(target)
            if sock is not None:
                return sock
        status = f"exit status {process.returncode}" if process.returncode >= 0 else f"signal {-process.returncode}"
        raise DaemonUnavailable(
            f"the daemon did not start ({status}); {spawn_record.log_path()} ends:\n{spawn_record.tail(log, began)}"
        )
    finally:
        os.close(log)


def _refuse_if_elsewhere(path: str, said: str) -> None:
    """Refuse at once if a daemon serves the store on another socket and answers there.

    Raises: DaemonUnavailable.
    """
    for line in said.splitlines():
        # "pid 4711 already serves /srv/images on /run/storaged/storaged.sock"
        before, _, rest = line.rstrip('"').partition(" already serves ")
        graphroot, there, other = rest.rpartition(" on /")
        other = f"/{other}"
        if not there or other == os.path.abspath(path):
            continue
        try:
            addresses.connect(other).close()
        except addresses.NobodyListens:
            continue  # it drains: its socket is gone before it releases the store
        except (addresses.QueueFull, SocketForbidden, DaemonUnavailable):
            pass
        pid = before.rpartition("pid ")[2]
        raise DaemonUnavailable(
            f"pid {pid} already serves {graphroot} on {other}: use that one (--socket {other}), or stop it: "
            f"storaged stop --socket {other}"
        )


def _run(target: Target, log: int) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(
            [*command(os.path.abspath(target.address)), *target.flags.words()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            env=_environment(),
            start_new_session=True,
        )
    except OSError as error:
        raise DaemonUnavailable(f"the daemon cannot be started: {error}") from error
    # Reaped when it exits, if this process still lives.
    threading.Thread(target=process.wait, name="storaged-reaper", daemon=True).start()
    spawn_record.write(target.address, process.pid)
    return process


def _environment() -> dict[str, str]:
    """The client's own environment, by which the daemon finds the same store: it runs in another folder."""
    env = {name: value for name, value in os.environ.items() if name not in _THE_SERVICES_OWN}
    return env | {name: os.path.abspath(env[name]) for name in _PATHS if env.get(name)}


def _await(process: subprocess.Popen[bytes], target: Target, deadline: float) -> socket.socket | None:
    """Wait until it listens; None if it exited by itself.

    Raises: TimeoutError, if it took too long and was stopped.
    """
    for pause in retry.delays():
        sock = _try(target)
        if sock is not None:
            return sock
        if process.poll() is not None:
            return None
        if time.monotonic() + pause > deadline:
            break
        time.sleep(min(pause, 0.05))
    process.terminate()
    try:
        process.wait(5.0)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    raise TimeoutError
