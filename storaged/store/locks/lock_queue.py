"""Waiting for a lock in the kernel's queue, where every other tool waits.

Who only tries now and then has a lock when by chance nobody waits for it: beside tools that hand it to each other, as
podman's processes do, perhaps never. The kernel's wait cannot be ended from outside, so a thread does it. Where nobody
wants the lock any more, the thread stays until whoever waits for the same lock next takes its place over, or the lock
comes, and is given back at once: so of one lock there are never more than waited for it at the same time.
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
"""Guards all of this module's state."""
_left: dict[Queue, list[LockWaiter]] = {}
"""Places that nobody wants, whose lock has not come."""


class LockWaiter:
    """One place in a queue, for an OFD lock of the whole file."""

    def __init__(self, queue: Queue, fd: int, close: Callable[[int], None]) -> None:
        self.queue = queue
        self._fd = fd
        self._close = close
        self._wanted = True
        self._had = False
        self._error: OSError | None = None
        # A daemon thread: it must not keep the process where the lock never comes.
        threading.Thread(target=self._wait, name=f"storaged-turn-{queue[1]}", daemon=True).start()

    @classmethod
    def join(cls, queue: Queue, opened: Callable[[], int], close: Callable[[int], None]) -> LockWaiter:
        """Wait there; ``opened`` is called where nobody left a place, and makes the descriptor to wait with.

        Raises:
            OSError: from ``opened``.
            RuntimeError: the system gives no more threads.
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
        """The descriptor that holds the lock, the caller's from now on; None where it is not had in so many seconds.

        Raises:
            OSError: the kernel refuses.
        """
        with _changed:
            _changed.wait_for(lambda: self._had or self._error is not None, patience)
            if self._error is not None:
                raise self._error
            return self._fd if self._had else None

    def leave(self) -> None:
        """Nobody wants the lock. Not to be called once it was taken."""
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
        # Linux frees the descriptor whatever close(2) answers.
        with suppress(OSError):
            self._close(self._fd)

    def _unlist(self) -> None:
        if not _left[self.queue]:
            del _left[self.queue]
