"""The instance lock: one daemon per graphroot, held for the daemon's life.

It is a ``filelock.FileLock`` (flock) on a file of storaged's own, so it disturbs no other tool and ends with the
process, however that ends::

    graphroot/storaged/daemon.lock           folder 0700, contains our pid and socket
    RUNTIME/guard-<device>-<inode>.lock      of the graphroot, if that is read-only, by whatever path
    RUNTIME/guard-<hash of its path>.lock    if it is read-only, or does not exist yet
                                             both are removed at the end

A daemon that finds one of the others takes it as well: the daemon that created it may have started before the graphroot
existed. A daemon that only has these also probes the first, if it exists: a daemon that may write could hold it.

A store may be removed and created again under its daemon (``podman system reset``). Then the lock is on a file that
nobody will find. ``InstanceLock.standing`` detects that.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Literal, TypeAlias

from filelock import FileLock, Timeout

from storaged.errors import GuardTaken
from storaged.store.files import Files, open_regular
from storaged.store.layout.paths import own_dir

Inode: TypeAlias = tuple[int, int]
"""Device and inode number: the path does not matter."""

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_WHILE_REMOVED = 0.1
"""Seconds."""


Standing = Literal["held", "moved", "replaced"]
"""Whether a lock still guards the store that exists. ``moved``: the store is the same or was created since, but another
file guards it. ``replaced``: it is another store, or it is gone."""


class InstanceLock:
    """A held instance lock; ``path`` is its file. Ends by ``close`` or as a context manager."""

    def __init__(
        self, graphroot: str, inodes: Mapping[str, Inode], store: Inode | None, files: Files, locks: ExitStack
    ) -> None:
        self.path = next(iter(inodes))
        self._inside = self.path == _own_path(os.path.realpath(graphroot))
        self._graphroot = graphroot
        self._inodes = dict(inodes)
        self._store = store
        self._files = files
        self._locks = locks

    def standing(self) -> Standing:
        """The present standing: a few system calls. Blocks like stat(2); what cannot be examined has not changed."""
        try:
            if self._inside:
                own = _inode(_own_path(self._graphroot), self._files)
                return "held" if own == self._inodes[self.path] else "replaced"
            store = _inode(self._graphroot, self._files)
            if self._store not in (None, store):
                return "replaced"
            there = all(_inode(path, self._files) == inode for path, inode in self._inodes.items())
            return "held" if there and store == self._store else "moved"
        except OSError:
            return "held"

    def close(self) -> None:
        self._locks.close()

    def __enter__(self) -> InstanceLock:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def take_instance_lock(
    graphroot: str, runtime_dir: str, *, files: Files, writable: bool = True, socket: str = ""
) -> InstanceLock:
    """Become the only daemon of this graphroot, or fail at once.

    ``runtime_dir`` is storaged's own runtime folder, created with mode 0700 if needed; with ``writable`` False it is
    always used. A missing graphroot is not created. ``socket`` is where this daemon will listen; daemons that find the
    lock taken report it.

    Raises:
        GuardTaken: another daemon serves this graphroot; ``pid`` is None if its file does not say.
        OSError: no lock can be made.
    """
    real = os.path.realpath(graphroot)
    with ExitStack() as stack:
        inodes: dict[str, Inode] = {}
        path = _own_file(real, files) if writable else None
        store = _held_folder(real, files, stack) if path is None else None
        if path is not None:
            inodes[path] = _hold(path, real, files, stack, socket)
        for outside in _outside(runtime_dir, real, store if path is None else _inode(real, files)):
            if path is None or _exists(outside, files):
                _make_folder(runtime_dir, files)
                inodes[outside] = _hold(outside, real, files, stack, socket, passing=True)
        if path is None:
            _refuse_if_held(_own_path(real), real, files)
        return InstanceLock(graphroot, inodes, store, files, stack.pop_all())


def _held_folder(folder: str, files: Files, stack: ExitStack) -> Inode | None:
    """Which folder it is, kept open until ``stack`` ends, so that a new folder cannot get its inode number. None if it
    does not exist or cannot be entered."""
    try:
        fd = files.open(folder, os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    stack.callback(files.close, fd)
    status = files.fstat(fd)
    return status.st_dev, status.st_ino


def _outside(runtime_dir: str, graphroot: str, store: Inode | None) -> list[str]:
    """The lock files outside of the store."""
    names = [] if store is None else [f"{store[0]:x}-{store[1]}"]
    names.append(hashlib.sha256(os.fsencode(graphroot)).hexdigest()[:16])
    return [os.path.join(runtime_dir, f"guard-{name}.lock") for name in names]


def _inode(path: str, files: Files) -> Inode | None:
    """Raises: OSError: the path cannot be examined."""
    try:
        status = files.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def _exists(path: str, files: Files) -> bool:
    try:
        files.stat(path, follow_symlinks=False)
    except OSError:
        return False
    return True


def _own_file(graphroot: str, files: Files) -> str | None:
    """The lock file inside the store; None if nothing can be created there."""
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
    return _own_path(graphroot) if files.access(folder, os.W_OK) else None


def _own_path(graphroot: str) -> str:
    return os.path.join(own_dir(graphroot), "daemon.lock")


def _refuse_if_held(path: str, graphroot: str, files: Files) -> None:
    """Probe a lock that must not be written to. Both sides take their own file before they probe the other's.

    Raises:
        GuardTaken: it is held.
    """
    try:
        fd = open_regular(files, path, follow=False)
    except OSError:
        return  # missing or unreadable for us: then nobody of this user can hold it
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _taken(path, graphroot, files) from None
    finally:
        files.close(fd)


def _make_folder(folder: str, files: Files) -> None:
    """Create one of our folders, or check that the existing one is a folder, ours, and not a link."""
    try:
        files.mkdir(folder, 0o700)
    except FileExistsError:
        status = files.stat(folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "not a folder of this user", folder) from None


def _hold(path: str, graphroot: str, files: Files, stack: ExitStack, socket: str, *, passing: bool = False) -> Inode:
    """Hold the lock until ``stack`` ends; a ``passing`` file is removed then. Returns the inode of the file."""
    inode: list[Inode] = []

    def sign(fd: int) -> None:
        status = files.fstat(fd)
        inode.append((status.st_dev, status.st_ino))
        files.truncate(fd, 0)
        files.pwrite(fd, os.fsencode(f"{os.getpid()}\n" + (f"{socket}\n" if socket else "")), 0)

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
        # A passing file may have been opened just before it is removed: that is not a lock, so try again.
        lock.acquire(timeout=_WHILE_REMOVED if passing else 0, poll_interval=0.005)
    except Timeout:
        raise _taken(path, graphroot, files) from None
    stack.callback(lock.release)
    if passing:
        # Before the release: nobody else holds it, and a waiting process then finds a file without a name.
        stack.callback(lambda: _remove(path, inode[-1], files))
    return inode[-1]


def _remove(path: str, inode: Inode, files: Files) -> None:
    with suppress(OSError):
        status = files.stat(path, follow_symlinks=False)
        if (status.st_dev, status.st_ino) == inode:
            files.unlink(path)


def _taken(path: str, graphroot: str, files: Files) -> GuardTaken:
    pid, socket = _holder(path, files)
    who = f"pid {pid}" if pid is not None else "another daemon"
    where = f" on {socket}" if socket else ""
    return GuardTaken(f"{who} already serves {graphroot}{where}", pid=pid, graphroot=graphroot, socket=socket)


def _holder(path: str, files: Files) -> tuple[int | None, str | None]:
    """The pid and the socket in a lock file; earlier versions wrote no socket."""
    try:
        fd = files.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return None, None
    try:
        pid, _, rest = files.pread(fd, 256, 0).partition(b"\n")
    finally:
        files.close(fd)
    socket = os.fsdecode(rest.partition(b"\n")[0])
    return int(pid) if pid.isdigit() else None, socket or None
