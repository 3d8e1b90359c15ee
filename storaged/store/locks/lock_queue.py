"""Waits for a lock in the kernel's queue, like every other tool.

A process that only tries now and then gets a lock only if by chance nobody waits for it: beside tools that pass it to
each other, as podman's processes do, perhaps never. The kernel's wait cannot be ended from outside, so a thread waits.
If nobody wants the lock any more, the thread stays until the next waiter for the same lock takes over its place, or
until the lock comes and is released at once. So there are never more threads for a lock than simultaneous waiters.
"""

from __future__ import annotations

import fcntl
import os
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

FLOCK: Final = struct.Struct("hhqqi4x")
"""``struct flock`` of 64-bit Linux: type, whence, start, length, pid; length 0 is the whole file, pid must be 0."""

Queue: TypeAlias = tuple[int, int, int]
"""Device and inode of a lock file, and the kind of the lock: ``fcntl.F_RDLCK`` or ``F_WRLCK``."""

_changed = threading.Condition()
"""Guards all state of this module."""
_left: dict[Queue, list[LockWaiter]] = {}
"""Abandoned places whose lock has not come yet."""


class LockWaiter:
    """One place in a queue, for an OFD lock of the whole file."""

    def __init__(self, queue: Queue, fd: int, close: Callable[[int], None]) -> None:
        self.queue = queue
        self._fd = fd
        self._close = close
        self._wanted = True
        self._had = False
        self._error: OSError | None = None
        # A daemon thread: it must not keep the process alive if the lock never comes.
        threading.Thread(target=self._wait, name=f"storaged-turn-{queue[1]}", daemon=True).start()

    @classmethod
    def join(cls, queue: Queue, opened: Callable[[], int], close: Callable[[int], None]) -> LockWaiter:
        """Join the queue; ``opened`` makes the descriptor to wait with, unless there is an abandoned place.

        Raises:
            OSError: from ``opened``.
            RuntimeError: the system provides no more threads.
        """
        with _changed:
            if queue in _left:
                turn = _left[queue].pop()
                turn._unlist()
                turn._wanted = True
                return turn
        fd = opened()
        try:
            return cls(queue, fd, close)
        except BaseException:
            close(fd)
            raise

    def take(self, patience: float) -> int | None:
        """Return the descriptor that holds the lock, which the caller then owns; None after ``patience`` seconds
        without it.

        Raises:
            OSError: the kernel refuses.
        """
        with _changed:
            _changed.wait_for(lambda: self._had or self._error is not None, patience)
            if self._error is not None:
                raise self._error
            return self._fd if self._had else None

    def leave(self) -> None:
        """Abandon the place. Not to be called after ``take`` returned the lock."""
        with _changed:
            self._wanted = False
            if self._had or self._error is not None:
                self._end()
            else:
                _left.setdefault(self.queue, []).append(self)

    def _wait(self) -> None:
        error: OSError | None = None
        try:
            fcntl.fcntl(self._fd, fcntl.F_OFD_SETLKW, FLOCK.pack(self.queue[2], os.SEEK_SET, 0, 0, 0))
        except OSError as failure:
            error = failure
        with _changed:
            self._had, self._error = error is None, error
            if not self._wanted:
                _left[self.queue].remove(self)
                self._unlist()
                self._end()
            _changed.notify_all()

    def _end(self) -> None:
        # Linux frees the descriptor whatever close(2) returns.
        with suppress(OSError):
            self._close(self._fd)

    def _unlist(self) -> None:
        if not _left[self.queue]:
            del _left[self.queue]
