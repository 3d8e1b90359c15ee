"""Counts the bytes of the files below a folder, in steps, while others may change them.

::

    without a lower folder   every file once; of several links to one inode the first     (``pkg/directory`` Usage)
    with one                 files that differ from the lower folder in type and mode, owner, device,
                             time or size                       (``pkg/archive`` ChangesDirs, ChangesSize)

Directories count nothing. A container, even a hostile one, may be writing below. So no link is followed, each folder is
opened from the one above it, and the inode proves the way back. The count stays on one file system and keeps one folder
open at a time, however deep they are nested.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator
from typing import TypeAlias

from msgspec import Struct, field

from storaged.store.files import EXHAUSTED, Files

Steps: TypeAlias = Generator[None, None, int]
"""Yields now and then, and returns bytes. Closing it ends the count."""

_STRIDE = 256
"""Entries between two steps."""

_MOST = 1_000_000
"""The maximum number of hard-linked inodes, and of folders still to be entered, that are remembered."""

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)


class Uncountable(Exception):
    """The bytes cannot be counted; the text says why."""


class Missing(Uncountable):
    """The folder itself does not exist."""


class _Frame(Struct):
    """A folder that was left for one below it."""

    inode: int
    waiting: list[str]
    lower: int | None
    """The descriptor of the lower folder, kept if that has nothing with the entered name."""
    lower_inode: int | None


class _Count(Struct):
    files: Files
    device: int
    fd: int
    lower: int | None
    total: int = 0
    links: set[int] = field(default_factory=set)
    frames: list[_Frame] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    waiting: int = 0

    def steps(self) -> Steps:
        waiting = yield from self._scan()
        while True:
            if waiting:
                entered = yield from self._enter(waiting)
                waiting = waiting if entered is None else entered
            elif self.frames:
                waiting = self._leave()
            else:
                return self.total

    def close(self) -> None:
        for fd in (self.fd, self.lower, *(frame.lower for frame in self.frames)):
            if fd is not None:
                self.files.close(fd)

    def _scan(self) -> Generator[None, None, list[str]]:
        """Count the files of this folder; returns the names of its folders."""
        folders: list[str] = []
        with self.files.scan(self.fd) as entries:
            for number, entry in enumerate(entries):
                if number % _STRIDE == 0:
                    yield
                try:
                    status = self.files.stat(entry.name, dir_fd=self.fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    if status.st_dev == self.device:
                        folders.append(entry.name)
                        self.waiting += 1
                        if self.waiting > _MOST:
                            raise Uncountable(f"more than {_MOST} folders wait to be entered")
                elif not self._is_below(entry.name, status):
                    self._add(status)
        return folders

    def _add(self, status: os.stat_result) -> None:
        if status.st_nlink > 1:
            if status.st_ino in self.links:
                return
            if len(self.links) >= _MOST:
                raise Uncountable(f"more than {_MOST} files have several links")
            self.links.add(status.st_ino)
        self.total += status.st_size

    def _is_below(self, name: str, status: os.stat_result) -> bool:
        if self.lower is None:
            return False
        try:
            other = self.files.stat(name, dir_fd=self.lower, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return (
            (status.st_mode, status.st_uid, status.st_gid, status.st_rdev, status.st_size)
            == (other.st_mode, other.st_uid, other.st_gid, other.st_rdev, other.st_size)
        ) and _same_time(status.st_mtime_ns, other.st_mtime_ns)

    def _enter(self, waiting: list[str]) -> Generator[None, None, list[str] | None]:
        """Enter the last of the waiting folders; returns the folders that wait there, or None if it is gone."""
        name = waiting.pop()
        self.waiting -= 1
        fd = self._open(name, self.fd)
        if fd is None:
            return None
        try:
            lower = self._open(name, self.lower) if self.lower is not None else None
        except (Uncountable, OSError):
            self.files.close(fd)
            raise
        frame = _Frame(self.files.fstat(self.fd).st_ino, waiting, None, None)
        if self.lower is not None and lower is None:
            frame.lower = self.lower
        elif self.lower is not None:
            frame.lower_inode = self.files.fstat(self.lower).st_ino
            self.files.close(self.lower)
        self.frames.append(frame)
        self.names.append(name)
        self.files.close(self.fd)
        self.fd, self.lower = fd, lower
        return (yield from self._scan())

    def _open(self, name: str, above: int) -> int | None:
        try:
            return self.files.open(name, _FOLDER, dir_fd=above)
        except OSError as error:
            if error.errno in _GONE:
                return None
            if error.errno in EXHAUSTED:
                raise
            where = "/".join((*self.names, name))
            raise Uncountable(f"{where[-200:]}: {os.strerror(error.errno or 0)}") from None

    def _leave(self) -> list[str]:
        """Return to the folder above; returns the folders that still wait there."""
        frame = self.frames.pop()
        self.names.pop()
        self.fd = self._up(self.fd, frame.inode)
        if frame.lower is not None:
            self.lower = frame.lower
        elif frame.lower_inode is not None and self.lower is not None:
            self.lower = self._up(self.lower, frame.lower_inode)
        return frame.waiting

    def _up(self, fd: int, inode: int) -> int:
        above = self.files.open("..", _FOLDER, dir_fd=fd)
        if self.files.fstat(above).st_ino != inode:
            self.files.close(above)
            raise Uncountable("a folder was moved while its files were counted")
        self.files.close(fd)
        return above


def count(files: Files, folder: str, lower: str | None = None) -> Steps:
    """Count the bytes of the files below ``folder``; with ``lower``, only of those that differ there.

    Blocking between two steps. A file or folder that vanishes meanwhile counts nothing.

    Raises:
        Missing: there is no such folder.
        Uncountable: a folder may not be read, was moved, or holds too much.
        OSError: the daemon lacks descriptors or memory, which says nothing about the folder.
    """
    fd = _open_root(files, folder)
    try:
        below = _open_root(files, lower) if lower is not None else None
    except (Uncountable, OSError):
        files.close(fd)
        raise
    counted = _Count(files, files.fstat(fd).st_dev, fd, below)
    try:
        return (yield from counted.steps())
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        raise Uncountable(os.strerror(error.errno or 0)) from None
    finally:
        counted.close()


def _open_root(files: Files, folder: str) -> int:
    try:
        return files.open(folder, _FOLDER)
    except FileNotFoundError:
        raise Missing(f"{folder}: the folder is missing") from None
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        raise Uncountable(f"{folder}: {os.strerror(error.errno or 0)}") from None


def _same_time(one: int, other: int) -> bool:
    """Compare whole seconds if either time has no fraction: a tar keeps none."""
    second = 1_000_000_000
    return one == other or (one // second == other // second and 0 in (one % second, other % second))
