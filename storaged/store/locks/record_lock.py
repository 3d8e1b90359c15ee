"""An OFD record lock over a whole lock file of the store.

containers/storage uses classic POSIX record locks (``pkg/lockfile``). OFD locks and those exclude each other both ways,
and OFD locks also exclude each other between threads. A classic lock would vanish as soon as any descriptor of the file
is closed anywhere in this process.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
import time
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from filelock import AcquireReturnProxy, BaseFileLock, Timeout

from storaged.store.files import Files, NotAFile, is_regular
from storaged.store.locks.lock_queue import FLOCK, LockWaiter

Mode: TypeAlias = Literal["shared", "exclusive"]

_CONTENDED: Final = (errno.EAGAIN, errno.EACCES)
_REOPENS: Final = 8
_LOOK: Final = 0.02
"""Seconds between two checks whether a place in a queue is still wanted."""

_log = logging.getLogger(__name__)


class RecordLock(BaseFileLock):
    """A whole-file OFD lock on an existing file, which is never created, truncated or unlinked.

    Make a new instance for each hold, and always acquire with a finite timeout or ``blocking=False``: an instance
    counts its acquisitions, so a second thread using it would be let in.
    """

    def __init__(self, lock_file: str, *, mode_held: Mode, files: Files, in_turn: bool = False) -> None:
        """``in_turn``: wait in the kernel's queue, instead of polling."""
        super().__init__(lock_file, timeout=0, thread_local=False, poll_interval=0.001)
        self._held_mode = mode_held
        self._files = files
        self._in_turn = in_turn
        self._turn: LockWaiter | None = None
        self._until = 0.0

    def acquire(
        self,
        timeout: float | None = None,
        poll_interval: float | None = None,
        *,
        poll_intervall: float | None = None,
        blocking: bool | None = None,
        cancel_check: Callable[[], bool] | None = None,
    ) -> AcquireReturnProxy[RecordLock]:
        """Acquire within ``timeout`` seconds, or, if not blocking, at once.

        Raises:
            filelock.Timeout: it is held elsewhere, or ``cancel_check`` returned true.
            FileNotFoundError: there is no such lock file.
            NotAFile: it is a FIFO, a folder, a device.
            OSError: it cannot be opened with the access that the mode needs.
        """
        # The base class creates a missing directory before it tries, but a read must create nothing in a store.
        self._files.stat(self.lock_file)
        self._until = time.monotonic() + (timeout or 0.0)
        try:
            return super().acquire(
                timeout, poll_interval, poll_intervall=poll_intervall, blocking=blocking, cancel_check=cancel_check
            )
        finally:
            if self._turn is not None:
                self._turn.leave()
                self._turn = None

    def _acquire(self) -> None:
        for _ in range(_REOPENS):
            fd = self._next() if self._in_turn else self._tried()
            if fd is None:
                return
            try:
                ours, now = self._files.fstat(fd), self._files.stat(self.lock_file)
            except BaseException:
                self._files.close(fd)
                raise
            if (ours.st_dev, ours.st_ino) == (now.st_dev, now.st_ino):
                self._context.lock_file_fd = fd
                return
            # The file was replaced between open and lock: this lock excludes nobody.
            self._files.close(fd)

    @property
    def _kind(self) -> int:
        return fcntl.F_RDLCK if self._held_mode == "shared" else fcntl.F_WRLCK

    def _open(self) -> int:
        access = os.O_RDONLY if self._held_mode == "shared" else os.O_RDWR
        # O_NONBLOCK: a FIFO with this name must not block the thread.
        fd = self._files.open(self.lock_file, access | os.O_NONBLOCK | os.O_NOCTTY)
        try:
            if not is_regular(self._files.fstat(fd)):
                raise NotAFile(errno.EINVAL, "not a regular file", self.lock_file)
        except BaseException:
            self._files.close(fd)
            raise
        return fd

    def _tried(self) -> int | None:
        fd = self._open()
        try:
            had = _try(fd, self._kind)
        except BaseException:
            self._files.close(fd)
            raise
        if not had:
            self._files.close(fd)
        return fd if had else None

    def _next(self) -> int | None:
        """The descriptor that holds the lock; None if it has not come within a moment."""
        now = self._files.stat(self.lock_file)
        queue = now.st_dev, now.st_ino, self._kind
        if self._turn is not None and self._turn.queue != queue:
            self._turn.leave()
            self._turn = None
        if self._turn is None:
            try:
                self._turn = LockWaiter.join(queue, self._open, self._files.close)
            except RuntimeError as error:
                raise OSError(errno.EAGAIN, f"no thread to wait in: {error}", self.lock_file) from error
        fd = self._turn.take(max(0.0, min(_LOOK, self._until - time.monotonic())))
        if fd is not None:
            self._turn = None
        return fd

    def _release(self) -> None:
        fd = self._context.lock_file_fd
        if fd is not None:
            self._context.lock_file_fd = None
            # Closing the only descriptor of the open file description releases the lock, whatever close(2) returns,
            # because Linux frees the descriptor first. The work under the lock is done, and an error would hide its
            # result.
            try:
                self._files.close(fd)
            except OSError as error:
                _log.warning("a lock file was not closed cleanly path=%s error=%s", self.lock_file, error)

    def still_named(self) -> bool:
        """Whether the path still names the held file. If not, the lock excludes nobody any more."""
        fd = self._context.lock_file_fd
        if fd is None:
            return False
        try:
            ours, now = self._files.fstat(fd), self._files.stat(self.lock_file)
        except FileNotFoundError:
            return False
        return (ours.st_dev, ours.st_ino) == (now.st_dev, now.st_ino)

    @property
    def descriptor(self) -> int:
        """The descriptor while held, for the token. Closing it would release the lock.

        Raises:
            ValueError: the lock is not held.
        """
        if self._context.lock_file_fd is None:
            raise ValueError(f"{self.lock_file} is not held")
        return self._context.lock_file_fd


def _try(fd: int, kind: int) -> bool:
    try:
        fcntl.fcntl(fd, fcntl.F_OFD_SETLK, FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0))
    except OSError as error:
        if error.errno in _CONTENDED:
            return False
        raise
    return True


__all__ = ["FLOCK", "Mode", "RecordLock", "Timeout"]
