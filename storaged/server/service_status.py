"""Notifies the service manager: knows the phase of the daemon's life and what to report in it.

::

    starting   EXTEND_TIMEOUT_USEC  every 5 s of a first load that takes long, for a quarter of an hour
    ready      READY=1 STATUS=
    serving    STATUS=              when images, generation or clients changed, at most once a second
               RELOADING=1 MONOTONIC_USEC= ... READY=1
    stopping   STOPPING=1 STATUS=draining, EXTEND_TIMEOUT_USEC every 5 s
    always     WATCHDOG=1           three times an interval, each after a worker thread answered the event loop

Source: sd_notify(3).
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from itertools import count

import anyio
from anyio.to_thread import run_sync

from storaged.server.systemd import Notifier

_READY_SECONDS = 5.0
_READY_AGAIN = 0.05
_STATUS_SECONDS = 1.0
"""The minimum seconds between two messages."""
_EXTENSION_EVERY = 5.0
_EXTENSION = 20.0
"""Seconds requested from the manager each time: a message may be late, and threads finish after a drain."""
_LONGEST_START = 900.0
_PINGS = 3
"""Messages per interval: one may be late, or lost in a full queue, while the daemon is well."""


class ServiceStatus:
    """Reports ``status``; each of ``changes`` returns when the text may have changed."""

    def __init__(
        self,
        notifier: Notifier,
        *,
        watchdog: float | None,
        status: Callable[[], str],
        changes: Sequence[Callable[[], Awaitable[object]]],
    ) -> None:
        self._notifier = notifier
        self._watchdog = watchdog
        self._status = status
        self._changes = changes
        self._noted = anyio.Event()

    # ---------------------------------------------------------------- the parts of a life

    @asynccontextmanager
    async def starting(self) -> AsyncIterator[None]:
        """The time until ``tell_ready``. After a quarter of an hour, a hanging load gets no more time."""
        async with self._asking_for_patience(int(_LONGEST_START / _EXTENSION_EVERY)):
            yield

    async def tell_ready(self) -> None:
        """Report that clients are accepted; tries again for five seconds while the manager's queue is full."""
        with anyio.move_on_after(_READY_SECONDS):
            while not self._notifier.tell(READY=1, STATUS=self._status()):  # noqa: ASYNC110 - a full queue has no event
                await anyio.sleep(_READY_AGAIN)

    @asynccontextmanager
    async def reloading(self) -> AsyncIterator[None]:
        """The time in which the configuration is read again."""
        self._notifier.tell(RELOADING=1, MONOTONIC_USEC=time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
        yield
        await self.tell_ready()

    @asynccontextmanager
    async def stopping(self) -> AsyncIterator[None]:
        """The drain, which has its own limit. Also request the time that threads need to end after it."""
        self._notifier.tell(STOPPING=1, STATUS="draining")
        async with self._asking_for_patience(None):
            yield

    @asynccontextmanager
    async def beginning_anew(self) -> AsyncIterator[None]:
        """The drain of a daemon that continues: ``tell_ready`` follows once it has read the new store."""
        self._notifier.tell(STATUS="beginning anew")
        yield

    @asynccontextmanager
    async def _asking_for_patience(self, times: int | None) -> AsyncIterator[None]:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._ask_for_patience, times)
            yield
            tasks.cancel_scope.cancel()

    async def _ask_for_patience(self, times: int | None) -> None:
        for _ in count() if times is None else range(times):
            await anyio.sleep(_EXTENSION_EVERY)
            self._notifier.tell(EXTEND_TIMEOUT_USEC=int(_EXTENSION * 1e6))

    # ---------------------------------------------------------------- tasks

    async def tell_status(self) -> None:
        """Report each new status, until cancelled."""
        told = ""
        async with anyio.create_task_group() as tasks:
            for change in self._changes:
                tasks.start_soon(self._note, change)
            while True:
                await self._noted.wait()
                self._noted = anyio.Event()
                status = self._status()
                if status != told:
                    if self._notifier.tell(STATUS=status):
                        told = status
                    else:
                        self._noted.set()
                await anyio.sleep(_STATUS_SECONDS)

    async def _note(self, change: Callable[[], Awaitable[object]]) -> None:
        while True:
            # First: what changed before this task waited for it counts, too.
            self._noted.set()
            await change()

    async def prove_well(self) -> None:
        """Prove that the daemon is well as often as the manager wants it, until cancelled.

        Uses the worker threads that answer requests: if none of those becomes free, nobody is served.
        """
        if self._watchdog is None:
            return
        while True:
            await run_sync(_nothing)
            self._notifier.tell(WATCHDOG=1)
            await anyio.sleep(self._watchdog / _PINGS)


def _nothing() -> None:
    """A job for a worker thread, to show that it runs."""
