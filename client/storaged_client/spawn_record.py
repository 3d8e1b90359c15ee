"""Records a daemon that a client started: its record file and its log.

::

    <socket>.spawned                       the record: pid and version
    $XDG_STATE_HOME/storaged/spawned.log   the log of such daemons; the previous one in spawned.log.1

With it, a client knows that a daemon was started by clients only, and by which version: its pid must be that of the
socket's other end. A record that outlived its daemon means nothing.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import Any

from .contract.version import VERSION
from .errors import DaemonUnavailable
from .json_limits import CONTENT_DEPTH, check_nesting

_MOST_LOG = 1024 * 1024
_LAST_LINES = 10


def _file(path: str) -> str:
    return path + ".spawned"


def read(path: str, since: float = 0.0) -> dict[str, Any]:
    """The record beside the socket at ``path``; empty if this user has none. Blocking.

    Only one written ``since``, in seconds since 1970.
    """
    try:
        with open(os.open(_file(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), encoding="utf-8") as file:
            # In a folder that others may write, anyone could otherwise make us end a daemon.
            status = os.fstat(file.fileno())
            if status.st_uid != os.geteuid() or status.st_mtime < since:
                return {}
            text = file.read(4096)
            check_nesting(text.encode(), CONTENT_DEPTH)
            found = json.loads(text)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_spawned(path: str, pid: int) -> bool:
    """Whether a client started the daemon with this pid, so that nobody else manages it. Blocking."""
    return read(path).get("pid") == pid


def is_old(path: str, pid: int) -> bool:
    """Whether a client of another version started the daemon with this pid. Blocking."""
    record = read(path)
    return bool(record) and record.get("version") != VERSION and record.get("pid") == pid


def write(path: str, pid: int) -> None:
    """Record that this version started the daemon with this pid. If that fails, nobody will replace the daemon."""
    restore(path, {"pid": pid, "version": VERSION})


def restore(path: str, record: dict[str, Any]) -> None:
    """Restore an earlier record; an empty one changes nothing."""
    if not record:
        return
    temporary = f"{_file(path)}.{os.getpid()}"
    with suppress(OSError):
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        os.replace(temporary, _file(path))


# ---------------------------------------------------------------- the log


def log_path() -> str:
    """The log of a daemon that a client started."""
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    return os.path.join(state, "storaged", "spawned.log")


def open_log() -> int:
    """A descriptor of that file, for appending and reading; a long file is renamed first.

    Raises: DaemonUnavailable.
    """
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
        raise DaemonUnavailable(
            f"the daemon's log cannot be written: {path}: {error.strerror}; fix that or set XDG_STATE_HOME"
        ) from error
    return descriptor


def tail(log: int, began: int) -> str:
    """The last lines written since it had ``began`` bytes."""
    size = os.fstat(log).st_size
    start = max(began, size - 8192)
    text = os.pread(log, size - start, start).decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-_LAST_LINES:]) or "(it wrote nothing)"
