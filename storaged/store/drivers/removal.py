"""Removes a tree: one path and everything below it, and nothing else.

No link is followed: each folder is opened from the one above it, and the inode proves the way back. The removal stays
on one file system and crosses no mount point. A bind mount of the same file system looks like any folder and may appear
at any moment, so the kernel checks each folder (``Files.enter``). One folder is open at a time, however deep they are
nested. A missing path counts as removed, so an interrupted removal can be repeated.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Protocol

from msgspec import Struct, field

from storaged.store.files import Files

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_NONBLOCK
_ENTERED = frozenset({errno.ENOTEMPTY, errno.EEXIST, errno.EPERM, errno.EACCES, errno.EBUSY, errno.ENOTDIR})
"""Errors after which a folder is entered: it is not empty, or its contents will show what prevents its removal."""

_SHOWN = 400
"""The maximum number of characters of a path in a message."""


class Leftover(Struct, frozen=True, kw_only=True):
    """What a removal could not remove: the first path that remained, and why."""

    path: str
    detail: str


class RemovalCancelled(Exception):
    """The removal was cancelled: part of the tree still exists."""


class Remover(Protocol):
    """Moves and removes the files of layers, in this process or in the store's user namespace."""

    def rename(self, source: str, target: str) -> None:
        """Raises: OSError: as rename(2)."""

    def remove(self, path: str, cancelled: Callable[[], bool]) -> Leftover | None:
        """Remove a tree; returns None when nothing of it is left.

        Raises:
            RemovalCancelled: ``cancelled`` returned true before the end.
        """

    def close(self) -> None:
        """Release resources. No further calls may follow."""


class OwnRemover:
    """Moves and removes in this process. Stateless; safe from any thread."""

    def __init__(self, files: Files) -> None:
        self._files = files

    def rename(self, source: str, target: str) -> None:
        self._files.rename(source, target)

    def remove(self, path: str, cancelled: Callable[[], bool]) -> Leftover | None:
        return remove_tree(self._files, path, cancelled)

    def close(self) -> None:
        return


class _Frame(Struct):
    """A folder that was left for the one called ``name`` below it."""

    identity: tuple[int, int]
    waiting: list[str]
    name: str


class _Walk(Struct):
    files: Files
    path: str
    cancelled: Callable[[], bool]
    fd: int
    device: int
    frames: list[_Frame] = field(default_factory=list)
    left: Leftover | None = None

    def remove(self, name: str) -> None:
        """Remove the entry with this name in the starting folder."""
        waiting = [name] if self._unlink_or_keep(name) else []
        while True:
            if waiting:
                entered = self._enter(waiting)
                waiting = waiting if entered is None else entered
            elif self.frames:
                waiting = self._leave()
            else:
                return

    def _unlink_or_keep(self, name: str) -> bool:
        """Remove an entry unless it is a folder; returns whether it is one."""
        try:
            if stat.S_ISDIR(self.files.stat(name, dir_fd=self.fd, follow_symlinks=False).st_mode):
                return True
        except OSError as error:
            self._keep(name, error)
            return False
        self._unlink(name)
        return False

    def _empty(self) -> list[str]:
        """Remove the files of the open folder; returns the names of its folders."""
        folders: list[str] = []
        others: list[str] = []
        with self.files.scan(self.fd) as entries:
            for entry in entries:
                (folders if entry.is_dir(follow_symlinks=False) else others).append(entry.name)
        for name in others:
            self._check()
            self._unlink(name)
        return folders

    def _unlink(self, name: str) -> None:
        try:
            self.files.unlink(name, dir_fd=self.fd)
        except OSError as error:
            self._keep(name, error)

    def _enter(self, waiting: list[str]) -> list[str] | None:
        """Enter the last of the waiting folders; returns the folders that wait there, or None if it cannot be
        entered."""
        self._check()
        name = waiting.pop()
        if self._was_empty(name):
            return None
        try:
            fd = self.files.enter(name, self.fd)
        except OSError as error:
            self._keep(name, error)
            return None
        try:
            above, status = self.files.fstat(self.fd), self.files.fstat(fd)
            if status.st_dev != self.device:
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
        except OSError as error:
            self.files.close(fd)
            self._keep(name, error)
            return None
        self.frames.append(_Frame((above.st_dev, above.st_ino), waiting, name))
        self.files.close(self.fd)
        self.fd = fd
        try:
            return self._empty()
        except OSError as error:
            self._keep(".", error)
            return []

    def _was_empty(self, name: str) -> bool:
        """Try to remove a folder without reading it first: most folders of an overlay layer are empty."""
        try:
            self.files.rmdir(name, dir_fd=self.fd)
        except OSError as error:
            if error.errno in _ENTERED:
                return False
            self._keep(name, error)
        return True

    def _leave(self) -> list[str]:
        """Return to the folder above and remove the one just left; returns the folders that still wait there.

        Raises:
            OSError: there is no way back, for example because something was mounted over the folder above.
        """
        try:
            above = self.files.enter("..", self.fd)
        except OSError as error:
            self._keep("..", error)
            raise
        frame = self.frames[-1]
        try:
            status = self.files.fstat(above)
            if (status.st_dev, status.st_ino) != frame.identity:
                raise OSError(errno.ESTALE, "a folder was moved while it was removed")
        except OSError:
            self.files.close(above)
            raise
        self.frames.pop()
        self.files.close(self.fd)
        self.fd = above
        try:
            self.files.rmdir(frame.name, dir_fd=above)
        except OSError as error:
            self._keep(frame.name, error)
        return frame.waiting

    def _check(self) -> None:
        if self.cancelled():
            raise RemovalCancelled(self.path)

    def _keep(self, name: str, error: OSError) -> None:
        """Remember the first entry that remains; ignore entries that are gone."""
        if error.errno == errno.ENOENT or self.left is not None:
            return
        parts = [frame.name for frame in self.frames]
        where = os.path.join(os.path.dirname(self.path), *parts, name)
        self.left = Leftover(path=os.path.normpath(where)[:_SHOWN], detail=_why(error))


def remove_tree(files: Files, path: str, cancelled: Callable[[], bool] = lambda: False) -> Leftover | None:
    """Remove whatever is at an absolute path; returns None when nothing of it is left.

    Continues if an entry cannot be removed. Blocking: never on the event loop.

    Raises:
        RemovalCancelled: ``cancelled`` returned true between two entries.
    """
    folder, name = os.path.split(path)
    try:
        fd = files.open(folder, _FOLDER)
    except FileNotFoundError:
        return None
    except OSError as error:
        return Leftover(path=folder[:_SHOWN], detail=_why(error))
    walk = _Walk(files, path, cancelled, fd, -1)
    try:
        walk.device = files.fstat(fd).st_dev
        walk.remove(name)
    except OSError as error:
        walk.left = walk.left or Leftover(path=path[:_SHOWN], detail=_why(error))
    finally:
        files.close(walk.fd)
    return walk.left


def _why(error: OSError) -> str:
    reason = error.strerror or str(error)
    match error.errno:
        case errno.EPERM:
            return f"{reason}: it may be immutable (see lsattr)"
        case errno.EBUSY | errno.EXDEV:
            return f"{reason}: something is mounted there (see findmnt); unmount it"
        case _:
            return reason
