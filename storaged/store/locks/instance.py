"""The guard: one daemon a graphroot, held for the daemon's life.

It is a ``filelock.FileLock`` (flock) on a file of storaged's own, so it stands in nobody's way and ends
with the process however that ends::

    graphroot/storaged/daemon.lock             folder 0700, our pid inside
    RUNTIME/guard-<hash of graphroot>.lock     where the graphroot is read-only or is not there yet

A daemon that finds the second file takes both: the one that made it may have started before the graphroot was.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from contextlib import ExitStack
from types import TracebackType

from filelock import FileLock, Timeout

from storaged.errors import GuardTaken
from storaged.store.files import Files
from storaged.store.layout.paths import own_dir

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


class Guard:
    """A held guard; ``path`` is its file. Ends by ``close`` or as a context manager."""

    def __init__(self, path: str, locks: ExitStack) -> None:
        self.path = path
        self._locks = locks

    def close(self) -> None:
        self._locks.close()

    def __enter__(self) -> Guard:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def take_guard(graphroot: str, runtime_dir: str, *, files: Files, writable: bool = True) -> Guard:
    """Become the one daemon of this graphroot, at once or not at all.

    ``runtime_dir`` is storaged's own runtime folder (made 0700 where it is needed); with ``writable`` False it
    is used whatever the graphroot is. A graphroot that is not there is not made.

    Raises:
        GuardTaken: another daemon serves this graphroot; ``pid`` is None where its file does not say.
        OSError: no guard can be made.
    """
    graphroot = os.path.realpath(graphroot)
    name = hashlib.sha256(os.fsencode(graphroot)).hexdigest()[:16]
    fallback = os.path.join(runtime_dir, f"guard-{name}.lock")
    with ExitStack() as stack:
        path = _own_file(graphroot, files) if writable else None
        if path is not None:
            _hold(path, graphroot, files, stack)
        if path is None or _exists(fallback, files):
            _make_folder(runtime_dir, files)
            _hold(fallback, graphroot, files, stack)
        return Guard(path or fallback, stack.pop_all())


def _exists(path: str, files: Files) -> bool:
    try:
        files.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return True


def _own_file(graphroot: str, files: Files) -> str | None:
    """The guard's file inside the store; None where nothing can be made there."""
    folder = own_dir(graphroot)
    try:
        files.stat(graphroot)
        _make_folder(folder, files)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _READ_ONLY:
            return None
        raise
    return os.path.join(folder, "daemon.lock") if files.access(folder, os.W_OK) else None


def _make_folder(folder: str, files: Files) -> None:
    """Make a folder of ours, or check that the one there is a folder, ours, and no link to elsewhere."""
    try:
        files.mkdir(folder, 0o700)
    except FileExistsError:
        status = files.stat(folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "not a folder of this user", folder) from None


def _hold(path: str, graphroot: str, files: Files, stack: ExitStack) -> None:
    def sign(fd: int) -> None:
        files.truncate(fd, 0)
        files.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    lock = FileLock(
        path,
        timeout=0,
        mode=0o600,
        thread_local=False,
        fallback_to_soft=False,
        preserve_lock_file=True,
        on_acquired=sign,
    )
    try:
        lock.acquire(blocking=False)
    except Timeout:
        pid = _pid(path, files)
        who = f"pid {pid}" if pid is not None else "another daemon"
        raise GuardTaken(f"{who} already serves {graphroot}", pid=pid, graphroot=graphroot) from None
    stack.callback(lock.release)


def _pid(path: str, files: Files) -> int | None:
    try:
        fd = files.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        text = files.pread(fd, 32, 0).strip()
    finally:
        files.close(fd)
    return int(text) if text.isdigit() else None
