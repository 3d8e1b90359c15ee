"""The guard: one daemon a graphroot, held for the daemon's life.

It is a ``filelock.FileLock`` (flock) on a file of storaged's own, so it stands in nobody's way and ends
with the process however that ends::

    graphroot/storaged/daemon.lock           folder 0700, our pid and socket inside
    RUNTIME/guard-<device>-<inode>.lock      of the graphroot, where that is only read, by whatever path
    RUNTIME/guard-<hash of its path>.lock    where it is only read, or is not there yet
                                             both are removed at the end

A daemon that finds one of the others takes it as well: the one that made it may have started before the graphroot was.
One that only has these asks for the first, where it is there: a daemon that may write could hold it.

A store may be removed and made again under its daemon (``podman system reset``): then the lock is on a file that nobody
will find. ``InstanceLock.standing`` tells.
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
"""Device and number: by which path it was reached does not matter."""

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_WHILE_REMOVED = 0.1
"""Seconds."""


Standing = Literal["held", "moved", "replaced"]
"""Whether a guard still guards the store that is there. ``moved``: the store is the same or was made since, but another
file guards it. ``replaced``: what is there is another store, or none."""


class InstanceLock:
    """A held guard; ``path`` is its file. Ends by ``close`` or as a context manager."""

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
        """How it stands now: a few system calls. Blocks as stat(2) does; what cannot be looked at has not changed."""
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
    """Become the one daemon of this graphroot, at once or not at all.

    ``runtime_dir`` is storaged's own runtime folder (made 0700 where it is needed); with ``writable`` False it
    is used whatever the graphroot is. A graphroot that is not there is not made. ``socket`` is where this daemon will
    listen: who finds the guard taken is told.

    Raises:
        GuardTaken: another daemon serves this graphroot; ``pid`` is None where its file does not say.
        OSError: no guard can be made.
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
    """Which folder it is, open until ``stack`` ends: a folder made in its place must not get its number. None where it
    is not there, or not to be entered."""
    try:
        fd = files.open(folder, os.O_PATH | os.O_DIRECTORY)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return None
    stack.callback(files.close, fd)
    status = files.fstat(fd)
    return status.st_dev, status.st_ino


def _outside(runtime_dir: str, graphroot: str, store: Inode | None) -> list[str]:
    """The files of a guard that lies outside of the store."""
    names = [] if store is None else [f"{store[0]:x}-{store[1]}"]
    names.append(hashlib.sha256(os.fsencode(graphroot)).hexdigest()[:16])
    return [os.path.join(runtime_dir, f"guard-{name}.lock") for name in names]


def _inode(path: str, files: Files) -> Inode | None:
    """Raises: OSError: it cannot be told what lies there."""
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
    return _own_path(graphroot) if files.access(folder, os.W_OK) else None


def _own_path(graphroot: str) -> str:
    return os.path.join(own_dir(graphroot), "daemon.lock")


def _refuse_if_held(path: str, graphroot: str, files: Files) -> None:
    """Ask for a guard that must not be written to. Both sides take their own file before they ask for the other's.

    Raises:
        GuardTaken: it is held.
    """
    try:
        fd = open_regular(files, path, follow=False)
    except OSError:
        return  # not there, or not ours to read: then nobody of this user can hold it
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _taken(path, graphroot, files) from None
    finally:
        files.close(fd)


def _make_folder(folder: str, files: Files) -> None:
    """Make a folder of ours, or check that the one there is a folder, ours, and no link to elsewhere."""
    try:
        files.mkdir(folder, 0o700)
    except FileExistsError:
        status = files.stat(folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid():
            raise PermissionError(errno.EPERM, "not a folder of this user", folder) from None


def _hold(path: str, graphroot: str, files: Files, stack: ExitStack, socket: str, *, passing: bool = False) -> Inode:
    """Hold the lock until ``stack`` ends; a ``passing`` file is removed then. Which file it is."""
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
        # A passing file may have been opened in the moment before it is removed: that is no lock, and tried again.
        lock.acquire(timeout=_WHILE_REMOVED if passing else 0, poll_interval=0.005)
    except Timeout:
        raise _taken(path, graphroot, files) from None
    stack.callback(lock.release)
    if passing:
        # Before the release: nobody else holds it, and who waits for it finds a file without a name.
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
    """The pid and the socket that a guard's file names; earlier versions wrote no socket."""
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
