"""Closing what strangers passed, by threads of its own: a close may take as long as the sender likes.

::

    a TCP socket with SO_LINGER and unsent data ... sleeps until its other end reads, or for the time set
    a file of a FUSE file system .................. asks a process of the sender's (only where we have received it)
    a connection with unread descriptors .......... closes all of them

The threads are daemons, and none of anyio's: they keep nobody's thread, and the process ends whatever they wait for.
Work is done in the order it came, of one account (whom a user's uid counts as) by two threads at most, so that
nobody waits for what another one passed. What waits in the kernel for longer than a moment is interrupted by a signal,
which ends a linger; where much waits, at once.

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
from typing import Final, Generic, TypeVar

import anyio
from anyio import from_thread
from anyio.lowlevel import current_token

T = TypeVar("T")

THREADS: Final = 16
OF_AN_ACCOUNT: Final = 2
_FAVOURED_ONLY: Final = 4
"""Threads that only root and the daemon's own user get."""

_PATIENCE: Final = 1.0
"""Seconds that one piece of work may take before it is interrupted, and again and again from then on."""
_IN_A_HURRY: Final = 0.01
_MANY: Final = 64
"""Pieces that wait for a thread, from which on each gets no more than ten milliseconds."""

_WAKE: Final = signal.SIGURG
"""Does nothing where nobody handles it, and nothing but interrupt where we do."""


def allow_interrupts() -> None:
    """Have the signal end a wait in the kernel. To be called by the main thread, once for the process."""
    signal.signal(_WAKE, lambda number, frame: None)


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors here and now. Blocks for as long as their sender likes."""
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)


class Closer:
    """Threads that close, as many as there is work for. ``favoured`` accounts have some to themselves."""

    def __init__(self, *, favoured: frozenset[int] | None = None) -> None:
        self._favoured = frozenset({0, os.geteuid()}) if favoured is None else favoured
        self._lock = threading.Lock()
        self._queues: dict[int, deque[Callable[[], object]]] = {}
        self._of_account: dict[int, int] = {}
        self._began: dict[int, float] = {}
        """When the work of each thread began, by its identity."""
        self._threads = 0
        self._watched = False
        self.waiting = 0
        """Pieces of work that no thread has begun."""

    def put(self, account: int, work: Callable[[], object]) -> None:
        """Have it done, sometime. It must raise nothing."""
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
        """Have it done and wait for that.

        Where the wait is cancelled it is done all the same; with an ``undo`` it never begins, or that is called.

        Raises:
            BaseException: what the work raised.
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
        """What this thread, last at work for that account, does next: of others first. None: it ends."""
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
        """Interrupt what takes long, as long as anything is at work."""
        while True:
            with self._lock:
                if not self._began:
                    self._watched = False
                    return
                patience = _IN_A_HURRY if self.waiting > _MANY else _PATIENCE
                limit = time.monotonic() - patience
                late = [thread for thread, began in self._began.items() if began <= limit]
                for thread in late:
                    # Under the lock: a thread that has ended would be no one to signal.
                    signal.pthread_kill(thread, _WAKE)
            time.sleep(_IN_A_HURRY if late else patience)


class AccountCloser:
    """A closer for what one account passed."""

    def __init__(self, closer: Closer, account: int) -> None:
        self._closer = closer
        self._account = account

    def close(self, descriptors: Iterable[int]) -> None:
        """Have them closed; does not wait."""
        some = tuple(descriptors)
        if some:
            self._closer.put(self._account, partial(close_all, some))

    async def run(self, work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
        """As ``Closer.run``."""
        return await self._closer.run(self._account, work, undo)


class _Job(Generic[T]):
    """Work somebody waits for, on this event loop."""

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
        with suppress(RuntimeError):  # the loop ended: nobody waits any more
            from_thread.run_sync(self.done.set, token=self._token)

    def abandon(self) -> list[T]:
        """Nobody waits: what is made from now on is undone, and what was made is to be undone by the caller."""
        with self._lock:
            self._abandoned = True
            values, self._value = self._value, []
        return values

    def take(self) -> T:
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._value[0]
