"""Handles readers of layers that ignore record locks: they hold a shared flock(2) on ``layers.lock`` while they read.

composefs-rs, and bootc with it, reads ``layers.json``, tar-split files and ``diff/`` that way, for as long as an import
takes. flock(2) and record locks do not see each other, so a removal of layers needs both: first the record lock, then
the exclusive flock on the same descriptor, without waiting. Source: composefs-rs ``storage`` (locking).
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from typing import Final, Literal

from storaged.store.files import Files
from storaged.store.locks.probe import LockHolder, command_of, try_proc

_LINE = re.compile(rb"^\d+: FLOCK +\S+ +(READ|WRITE) +(\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) ", re.MULTILINE)
_HELD: Final = frozenset({errno.EAGAIN, errno.EACCES})


def shut_out(fd: int) -> bool:
    """Exclude these readers until the descriptor's file description is closed; returns False if one is at work.

    A file system without flock(2) has no such readers. Never waits.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in _HELD
    return True


def reader_at_work(path: str, files: Files) -> LockHolder | None:
    """The process that reads layers under this lock file now; None without one, or without the file.

    Must not be called while this process excludes readers: it would find itself.

    Raises:
        OSError: it cannot be determined.
    """
    try:
        fd = files.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        return None
    try:
        return None if shut_out(fd) else holder_of_flock(path, files)
    finally:
        files.close(fd)


def holder_of_flock(path: str, files: Files) -> LockHolder:
    """The first process that holds a flock(2) on the file, as far as ``/proc`` shows. For reports only."""
    nobody = LockHolder(lock=path, mode="read")
    try:
        status = files.stat(path)
    except OSError:
        return nobody
    for kind, pid, major, minor, inode in _LINE.findall(try_proc("/proc/locks", files)):
        # A btrfs subvolume shows another device here than in stat(2); then the descriptors of the process decide.
        device = os.makedev(int(major, 16), int(minor, 16))
        number = int(pid)
        if int(inode) == status.st_ino and number > 0 and (device == status.st_dev or _has_open(number, status, files)):
            mode: Literal["read", "write"] = "write" if kind == b"WRITE" else "read"
            return LockHolder(lock=path, pid=number, command=command_of(number, files), mode=mode)
    return nobody


def _has_open(pid: int, wanted: os.stat_result, files: Files) -> bool:
    try:
        descriptors = files.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    for descriptor in descriptors:
        try:
            status = files.stat(f"/proc/{pid}/fd/{descriptor}")
        except OSError:
            continue
        if (status.st_dev, status.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False
