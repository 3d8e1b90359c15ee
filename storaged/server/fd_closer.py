"""Closes descriptors from clients in separate threads, because a close may take as long as the sender likes.

::

    a TCP socket with SO_LINGER and unsent data ... sleeps until its other end reads, or for the time set
    a file of a FUSE file system .................. asks a process of the sender's (only if we have received it)
    a connection with unread descriptors .......... closes all of them

The threads are daemon threads and not anyio's: they occupy no other thread, and the process exits whatever they wait
for. Work is done in order, for each account (the user a uid counts as) by two threads at most, so that nobody waits for
what another user passed. A close that takes longer than a moment is interrupted by a signal, which ends a linger; if
much is waiting, at once.

Source: tcp_close of net/ipv4/tcp.c, fuse_flush of fs/fuse/file.c, __scm_destroy of net/core/scm.c.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import Any, Final, Generic, TypeVar

import anyio
from anyio.lowlevel import current_token

T = TypeVar("T")

THREADS: Final = 16
OF_AN_ACCOUNT: Final = 2
_FAVOURED_ONLY: Final = 4
"""Threads reserved for root and the daemon's own user."""

_PATIENCE: Final = 1.0
"""Seconds that a job may take before it is interrupted, and then repeatedly."""
_IN_A_HURRY: Final = 0.01
_MANY: Final = 64
"""With this many waiting jobs or more, each gets no more than ten milliseconds."""

_WAKE: Final = signal.SIGURG
"""Does nothing by default; our handler makes it interrupt system calls."""


def allow_interrupts() -> None:
    """Let the signal interrupt a wait in the kernel. The main thread must call this once for the process."""
    signal.signal(_WAKE, lambda number, frame: None)


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors in this thread. Blocks as long as their sender likes."""
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)


class Closer:
    """Threads that close descriptors, started as needed. ``favoured`` accounts have reserved threads."""

    def __init__(self, *, favoured: frozenset[int] | None = None) -> None:
        self._favoured = frozenset({0, os.geteuid()}) if favoured is None else favoured
        self._lock = threading.Lock()
        self._queues: dict[int, deque[Callable[[], object]]] = {}
        self._of_account: dict[int, int] = {}
        self._began: dict[int, float] = {}
        """When the job of each thread began, by the thread's identity."""
        self._threads = 0
        self._watched = False
        self.waiting = 0
        """The number of jobs that no thread has begun."""

    def put(self, account: int, work: Callable[[], object]) -> None:
        """Schedule a job, which must not raise."""
        with self._lock:
            self._queues.setdefault(account, deque()).append(work)
            self.waiting += 1
            begin = self._may_begin(account)
            if begin:
                self._threads += 1
                self._of_account[account] = self._of_account.get(account, 0) + 1
        if begin:
            threading.Thread(target=self._serve, args=(account,), name="closing", daemon=True).start()

    async def run(self, account: int, work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
        """Schedule a job and wait for it.

        If the wait is cancelled, the job is still done. With an ``undo``, it does not begin any more, or
        ``undo`` is called.

        Raises:
            BaseException: what the job raised.
        """
        job = _Job(work, undo)
        self.put(account, job)
        try:
            await job.done.wait()
        except BaseException:
            if undo is not None:
                self._withdraw(account, job)
                for value in job.abandon():
                    self.put(account, partial(undo, value))
            raise
        return job.take()

    def _withdraw(self, account: int, work: Callable[[], object]) -> None:
        with self._lock:
            queue = self._queues.get(account)
            if queue is not None and work in queue:
                queue.remove(work)
                self.waiting -= 1
                if not queue:
                    del self._queues[account]

    def of(self, account: int) -> AccountCloser:
        return AccountCloser(self, account)

    def _may_begin(self, account: int) -> bool:
        if account in self._favoured:
            return self._threads < THREADS and self._of_account.get(account, 0) < OF_AN_ACCOUNT
        return self._threads < THREADS - _FAVOURED_ONLY and self._of_account.get(account, 0) < OF_AN_ACCOUNT

    def _serve(self, account: int) -> None:
        me = threading.get_ident()
        while True:
            with self._lock:
                self._began.pop(me, None)
                taken = self._next(account)
                if taken is None:
                    return
                account, work = taken
                self._began[me] = time.monotonic()
                watch, self._watched = not self._watched, True
            if watch:
                threading.Thread(target=self._watch, name="closing-watch", daemon=True).start()
            work()

    def _next(self, account: int) -> tuple[int, Callable[[], object]] | None:
        """The next job of this thread, which last worked for that account: other accounts first. None: the thread
        ends."""
        self._threads -= 1
        self._of_account[account] -= 1
        if not self._of_account[account]:
            del self._of_account[account]
        for other in self._queues:
            if self._may_begin(other):
                queue = self._queues.pop(other)
                work = queue.popleft()
                if queue:
                    self._queues[other] = queue  # behind all others
                self.waiting -= 1
                self._threads += 1
                self._of_account[other] = self._of_account.get(other, 0) + 1
                return other, work
        return None

    def _watch(self) -> None:
        """Interrupt slow jobs as long as any job runs."""
        while True:
            with self._lock:
                if not self._began:
                    self._watched = False
                    return
                patience = _IN_A_HURRY if self.waiting > _MANY else _PATIENCE
                limit = time.monotonic() - patience
                late = [thread for thread, began in self._began.items() if began <= limit]
                for thread in late:
                    # Under the lock: a thread that has ended must not be signalled.
                    signal.pthread_kill(thread, _WAKE)
            time.sleep(_IN_A_HURRY if late else patience)


class AccountCloser:
    """A closer for what one account passed."""

    def __init__(self, closer: Closer, account: int) -> None:
        self._closer = closer
        self._account = account

    def close(self, descriptors: Iterable[int]) -> None:
        """Schedule them to be closed; does not wait."""
        some = tuple(descriptors)
        if some:
            self._closer.put(self._account, partial(close_all, some))

    async def run(self, work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
        """As ``Closer.run``."""
        return await self._closer.run(self._account, work, undo)


class _Job(Generic[T]):
    """A job that a task on this event loop waits for."""

    def __init__(self, work: Callable[[], T], undo: Callable[[T], object] | None) -> None:
        self.done = anyio.Event()
        self._token = current_token()
        self._work = work
        self._undo = undo
        self._lock = threading.Lock()
        self._abandoned = False
        self._value: list[T] = []
        self._error: BaseException | None = None

    def __call__(self) -> None:
        try:
            value = self._work()
        except BaseException as error:
            self._error = error
        else:
            with self._lock:
                abandoned = self._abandoned
                if not abandoned:
                    self._value.append(value)
            if abandoned and self._undo is not None:
                self._undo(value)
        # Not by ``from_thread``, which waits: a loop that ends meanwhile would never let this thread go.
        loop: Any = self._token.native_token
        soon = loop.call_soon_threadsafe if hasattr(loop, "call_soon_threadsafe") else loop.run_sync_soon
        with suppress(RuntimeError):  # the loop ended: nobody waits any more
            soon(self.done.set)

    def abandon(self) -> list[T]:
        """Nobody waits: later results are undone; the caller must undo the returned ones."""
        with self._lock:
            self._abandoned = True
            values, self._value = self._value, []
        return values

    def take(self) -> T:
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._value[0]
