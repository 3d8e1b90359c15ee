"""Staging folders: files are moved there while the store's locks are held, and removed after they are released.

::

    parent/
    ├── lock-<n>                  0600; an exclusive record lock held by the process that works on the folder
    └── temp-dir-<n>/             0700
        ├── 0-<name>              in the order in which they were moved in
        └── 1-<name>

If the lock is free, its process died: tools from 1.59 on remove both whenever they open the store, and so does our own
recovery. This order makes that safe: lock file, lock, folder, files; then files, folder, lock file, lock. A cleaner may
have removed a lock file just before it was locked, so the lock counts only while its path names the held file. Source:
containers/storage ``internal/tempdir``, ``internal/staging_lockfile``.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable

from filelock import Timeout

from storaged.store.drivers.mount_points import below, mount_points
from storaged.store.drivers.removal import Leftover, Remover
from storaged.store.files import Files, opened
from storaged.store.locks.record_lock import RecordLock
from storaged.store.writing.temporary import give_away, make_folder

_TRIES = 200
_STAYS = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT, errno.EBUSY)
_PAUSE = 0.001
"""Seconds until a cleaner that held our new lock file has removed it."""


class StagingFolder:
    """One ``temp-dir-<n>`` of ours. Created, filled and emptied by one thread at a time."""

    def __init__(self, parent: str, number: str, *, files: Files, remover: Remover) -> None:
        self.parent = parent
        self.path = os.path.join(parent, f"temp-dir-{number}")
        self._lock_path = os.path.join(parent, f"lock-{number}")
        self._files = files
        self._remover = remover
        self._lock: RecordLock | None = None
        self._taken: list[str] = []

    @property
    def taken(self) -> int:
        """The number of entries moved in."""
        return len(self._taken)

    def open(self) -> None:
        """Create the folder and hold its lock; does nothing if that is done.

        Raises:
            OSError: it cannot be created.
        """
        if self._lock is not None:
            return
        for _ in range(_TRIES):
            make_folder(self._files, self.parent)
            try:
                self._make_lock_file()
                lock = RecordLock(self._lock_path, mode_held="exclusive", files=self._files)
                lock.acquire(blocking=False)
            except FileNotFoundError:
                continue  # its creator removed the parent, or a cleaner our file
            except Timeout:
                time.sleep(_PAUSE)
                continue
            try:
                make_folder(self._files, self.path)
            except BaseException:
                try:
                    self._files.unlink(self._lock_path)
                finally:
                    lock.release()
                raise
            self._lock = lock
            return
        raise OSError(errno.EBUSY, "the lock file of a staging folder is removed again and again", self._lock_path)

    def take(self, path: str) -> None:
        """Move a file or folder in; does nothing if it is missing. The exclusive lock of its table must be held.

        An entry on another file system is removed in place. That takes long, and happens if a part of the store is a
        separate mount or is on an overlay itself.

        Raises:
            OSError: it is still in its old place, or part of it could not be removed.
        """
        name = f"{len(self._taken)}-{os.path.basename(path)}"
        try:
            self._remover.rename(path, os.path.join(self.path, name))
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            left = self._remover.remove(path, lambda: False)
            if left is not None:
                raise OSError(errno.EXDEV, left.detail, left.path) from None
            return
        self._taken.append(name)

    def clear(self, cancelled: Callable[[], bool], done: Callable[[], None]) -> Leftover | None:
        """Remove what was moved in, then the folder and its lock file; the lock is always released.

        ``done`` is called after each of them. Returns the first entry that could not be removed.

        Raises:
            RemovalCancelled: ``cancelled`` returned true; the rest is left to recovery, or to the next tool.
        """
        if self._lock is None:
            return None
        first: Leftover | None = None
        try:
            for name in self._taken:
                found = _removed(self._remover, os.path.join(self.path, name), cancelled)
                first = first or found
                done()
            first = first or self._remove_folder()
        finally:
            self.leave()
        return first

    def leave(self) -> None:
        """Release the lock; recovery or the next tool removes the folder's contents."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _remove_folder(self) -> Leftover | None:
        # The lock file while it is locked: a process that opened it earlier finds no folder, a later one no file.
        for remove, path in ((self._files.rmdir, self.path), (self._files.unlink, self._lock_path)):
            try:
                remove(path)
            except FileNotFoundError:
                pass
            except OSError as error:
                return Leftover(path=path, detail=error.strerror or str(error))
        return None

    def _make_lock_file(self) -> None:
        with opened(self._files, self._lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW) as fd:
            give_away(self._files, fd, self._lock_path)


def clear_dead(
    parent: str, number: str, *, files: Files, remover: Remover, cancelled: Callable[[], bool]
) -> Leftover | None:
    """Remove what a dead process has staged under this number; does nothing if a process is at work on it.

    Raises:
        RemovalCancelled: ``cancelled`` returned true.
        OSError: its lock file cannot be opened.
    """
    lock_path, folder = os.path.join(parent, f"lock-{number}"), os.path.join(parent, f"temp-dir-{number}")
    lock = RecordLock(lock_path, mode_held="exclusive", files=files)
    if not exists(files, folder) and not exists(files, lock_path):
        return None
    try:
        files.close(files.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600))
        lock.acquire(blocking=False)
    except (FileNotFoundError, Timeout):
        return None  # another process is removing it at this moment
    try:
        left = mounted_below(files, folder)
        if left is None:
            left = _removed(remover, folder, cancelled)
        if left is None:
            files.unlink(lock_path)
        return left
    finally:
        lock.release()


def mounted_below(files: Files, folder: str) -> Leftover | None:
    """What is mounted at or below a folder to be removed, where a bind mount looks like any folder."""
    try:
        above, name = os.path.split(folder)
        inside = below(mount_points(files), os.path.realpath(above))
        point = next((point for entry, point in inside if entry == name), None)
    except OSError as error:
        return Leftover(path=folder, detail=f"whether something is mounted below is unknown: {error}")
    if point is None:
        return None
    return Leftover(path=point, detail="mounted inside the files to be removed (see findmnt); unmount it")


def remove_empty(files: Files, folder: str) -> None:
    """Remove a folder if it is empty; one in use stays.

    Raises:
        OSError: it is empty and cannot be removed.
    """
    try:
        files.rmdir(folder)
    except OSError as error:
        if error.errno not in _STAYS:
            raise


def _removed(remover: Remover, path: str, cancelled: Callable[[], bool]) -> Leftover | None:
    try:
        return remover.remove(path, cancelled)
    except OSError as error:
        return Leftover(path=path, detail=error.strerror or str(error))


def exists(files: Files, path: str) -> bool:
    """Whether anything exists at the path. Raises: OSError: it cannot be determined."""
    try:
        files.stat(path, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
