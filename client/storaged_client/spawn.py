"""Start a daemon where none listens: one winner among racing clients.

::

    connect        something listens                    use it
                   EACCES                               SocketForbidden, never a start
    may we?        STORAGED_NO_SPAWN                    DaemonUnavailable
                   an enabled storaged.socket unit      DaemonUnavailable with its start command
    lock           <socket>.spawn.lock (filelock)       the losers wait, and then connect
    start          python -m storaged serve             log in $XDG_STATE_HOME/storaged/spawned.log
    mark           <socket>.spawned                     pid and version of what was started here

The mark is how a client knows that a daemon was started by a client, and is of another version: its pid
must be that of the socket's other end. Such a daemon is drained and replaced; any other is left alone.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from typing import Any

from . import address as addresses
from . import retry, units
from .contract.version import VERSION
from .errors import ClientError, DaemonUnavailable, SocketForbidden

IDLE_EXIT = "10min"
PATIENCE = 30.0
"""Seconds a daemon may take until it listens, and an old one until it is gone."""

_BUSY = 75
"""Exit status of a daemon whose graphroot another one serves."""
_MOST_LOG = 1024 * 1024
_LAST_LINES = 10


def connect(path: str, *, timeout: float | None = None) -> socket.socket:
    """Connect to the daemon at ``path``; start it first, if none listens and that is allowed.

    Raises: DaemonUnavailable, with the last lines of its log where a start failed; SocketForbidden.
    """
    deadline = time.monotonic() + (PATIENCE if timeout is None else timeout)
    channel = _try(path)
    if channel is not None and (_forbidden() or not _is_old(channel, path)):
        return channel
    if channel is None:
        _check_allowed(path)
        addresses.make_folder(path)
    try:
        return _connect_locked(path, channel, deadline)
    except BaseException:
        if channel is not None:
            channel.close()
        raise


def _connect_locked(path: str, old: socket.socket | None, deadline: float) -> socket.socket:
    from filelock import FileLock, Timeout  # 40 ms, and only a start needs it

    lock = FileLock(path + ".spawn.lock", mode=0o600, fallback_to_soft=False)
    try:
        with lock.acquire(timeout=max(0.0, deadline - time.monotonic()), poll_interval=0.02):
            # Another client may have been here while this one waited.
            channel = _try(path)
            if channel is not None:
                if not _is_old(channel, path):
                    if old is not None:
                        old.close()
                    return channel
                channel.close()
            if old is not None:
                _drain(old, path, deadline)
            return _start(path, deadline)
    except Timeout:
        raise DaemonUnavailable(f"another client is still starting a daemon at {path}") from None
    except PermissionError as error:
        if isinstance(error, ClientError):
            raise
        raise SocketForbidden(f"{lock.lock_file}: {error.strerror}") from error


def _try(path: str) -> socket.socket | None:
    try:
        return addresses.connect(path)
    except addresses.NobodyListens:
        return None


def _forbidden() -> bool:
    return os.environ.get("STORAGED_NO_SPAWN", "0") not in ("", "0")


def _check_allowed(path: str) -> None:
    if _forbidden():
        hint = f"unset it, or run: storaged serve --socket {path}"
        raise DaemonUnavailable(f"no daemon listens at {path}, and STORAGED_NO_SPAWN forbids to start one: {hint}")
    command = units.start_command(path)
    if command is not None:
        raise DaemonUnavailable(f"no daemon listens at {path}; its unit is enabled and not running: {command}")


# ---------------------------------------------------------------- the mark


def _mark(path: str) -> str:
    return path + ".spawned"


def _read_mark(path: str) -> dict[str, Any]:
    try:
        with open(_mark(path), encoding="utf-8") as file:
            found = json.loads(file.read(4096))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_spawned(path: str, pid: int) -> bool:
    """Whether the daemon of this pid was started here by a client, which nobody looks after. Blocking."""
    return _read_mark(path).get("pid") == pid


def _write_mark(path: str, pid: int) -> None:
    temporary = f"{_mark(path)}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        file.write(json.dumps({"pid": pid, "version": VERSION}) + "\n")
    os.replace(temporary, _mark(path))


def _peer_pid(channel: socket.socket) -> int:
    pid, _, _ = struct.unpack("3i", channel.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid)


def _is_old(channel: socket.socket, path: str) -> bool:
    """Whether this daemon was started by a client of another version."""
    mark = _read_mark(path)
    return bool(mark) and mark.get("version") != VERSION and mark.get("pid") == _peer_pid(channel)


def _drain(channel: socket.socket, path: str, deadline: float) -> None:
    """Ask a daemon to end, and wait until its process has: until then it holds the store's guard."""
    from .channel import NotSent
    from .link import Link

    pid = _peer_pid(channel)
    link = Link(channel)
    try:
        link.ask("server.shutdown", None, deadline)
    except NotSent:
        pass  # it is ending already
    finally:
        link.close()
    for pause in retry.delays():
        try:
            os.kill(pid, 0)
        except OSError:
            return
        if time.monotonic() + pause > deadline:
            raise DaemonUnavailable(f"the daemon of another version at {path} (pid {pid}) does not end")
        time.sleep(pause)


# ---------------------------------------------------------------- the start


def command(path: str) -> list[str]:
    """The daemon's command line."""
    return [sys.executable, "-m", "storaged", "serve", "--socket", path, "--idle-exit", IDLE_EXIT]


def _start(path: str, deadline: float) -> socket.socket:
    log = _open_log()
    try:
        for pause in retry.delays():
            began = os.fstat(log).st_size
            process = _run(path, log)
            channel = _await(process, path, deadline)
            if channel is not None:
                return channel
            if process.returncode != _BUSY or time.monotonic() + pause > deadline:
                break
            time.sleep(pause)  # an earlier daemon drains and still holds the store's guard
        status = f"exit status {process.returncode}" if process.returncode >= 0 else f"signal {-process.returncode}"
        raise DaemonUnavailable(f"the daemon did not start ({status}); {log_path()} ends:\n{_tail(log, began)}")
    finally:
        os.close(log)


def _run(path: str, log: int) -> subprocess.Popen[bytes]:
    try:
        process = subprocess.Popen(
            command(os.path.abspath(path)),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise DaemonUnavailable(f"the daemon cannot be started: {error}") from error
    # Reaped when it ends, should this process live longer.
    threading.Thread(target=process.wait, name="storaged-reaper", daemon=True).start()
    _write_mark(path, process.pid)
    return process


def _await(process: subprocess.Popen[bytes], path: str, deadline: float) -> socket.socket | None:
    """Wait until it listens; None where it ended or was ended for taking too long."""
    for pause in retry.delays():
        channel = _try(path)
        if channel is not None:
            return channel
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
    return None


def log_path() -> str:
    """Where a daemon that was started by a client writes."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "storaged", "spawned.log")


def _open_log() -> int:
    path = log_path()
    try:
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        if os.fstat(descriptor).st_size > _MOST_LOG:
            os.close(descriptor)
            os.replace(path, path + ".1")
            descriptor = os.open(path, flags, 0o600)
    except OSError as error:
        raise DaemonUnavailable(f"the daemon's log cannot be written: {path}: {error.strerror}") from error
    return descriptor


def _tail(log: int, began: int) -> str:
    size = os.fstat(log).st_size
    start = max(began, size - 8192)
    text = os.pread(log, size - start, start).decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-_LAST_LINES:]) or "(it wrote nothing)"
