"""Limits on what one connection takes of shared resources, however many requests it has in flight.

::

    event loop          of its answers that pause, one continues in each turn of the loop
    worker threads      two at a time, in use or waited for
    writer lock         one change at a time, at work or waiting
    the check's thread  one check at a time

Each resource is granted in the order of requests. As a connection requests so little at a time, connections take
turns, and none waits for everything that another has requested at once.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

import anyio
from anyio.lowlevel import checkpoint

from storaged.service.fair_queue import FairQueue, Pace
from storaged_client.contract.errors import StoreBusy

THREADS = 2


class Limiters:
    """The limits of one connection. Belongs to the event loop."""

    def __init__(self, fair_queue: FairQueue | None = None, account: int = 0) -> None:
        self._fair_queue = fair_queue or FairQueue()
        self._account = account
        self.pace = Pace(self._fair_queue, account)
        self.threads = anyio.CapacityLimiter(THREADS)
        self.checks = anyio.Lock(fast_acquire=True)
        self._turn = anyio.Lock(fast_acquire=True)
        self._change = anyio.Lock(fast_acquire=True)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Within this scope, ``pause`` is that of this connection."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    async def pause(self) -> None:
        """Let others run once: the queue, and the answers of this connection that paused before."""
        async with self._turn:
            await self._fair_queue.turn(self._account)

    async def step(self) -> None:
        """Let all other tasks and the queue run once."""
        await self._fair_queue.turn(self._account)

    @asynccontextmanager
    async def change(self, patience: float) -> AsyncIterator[float]:
        """Make one change; yields what is left of ``patience``, in seconds.

        Raises:
            StoreBusy: on entering, earlier changes of this connection did not end in time.
        """
        began = anyio.current_time()
        await self._take_change(patience)
        try:
            yield max(0.0, patience - (anyio.current_time() - began))
        finally:
            self._change.release()

    async def _take_change(self, patience: float) -> None:
        try:
            self._change.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(patience):
                await self._change.acquire()
                return
            raise StoreBusy(
                "earlier changes of this connection did not finish in time: try again, or allow more time"
            ) from None


_current: ContextVar[Limiters | None] = ContextVar("shares", default=None)


async def pause() -> None:
    """Within a long answer: let others run, other connections before other answers of this one."""
    shares = _current.get()
    await (checkpoint() if shares is None else shares.pause())
