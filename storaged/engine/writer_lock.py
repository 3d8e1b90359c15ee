"""The writer lock: this daemon makes one change at a time."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio

from storaged.metrics import Metrics
from storaged_client.contract.errors import StoreBusy


class WriterLock:
    """A fair lock: first come, first served. Belongs to the event loop."""

    def __init__(self, metrics: Metrics) -> None:
        self._semaphore = anyio.Semaphore(1)
        self._metrics = metrics

    @asynccontextmanager
    async def held(self, patience: float) -> AsyncIterator[None]:
        """Keep every other change out; waits at most ``patience`` seconds for earlier ones.

        Raises:
            StoreBusy: they did not end in time.
        """
        began = time.monotonic()
        await self._take(patience)
        try:
            self._metrics.spend("changes.waited", time.monotonic() - began)
            yield
        finally:
            self._semaphore.release()

    async def _take(self, patience: float) -> None:
        try:
            self._semaphore.acquire_nowait()
        except anyio.WouldBlock:
            with anyio.move_on_after(patience):
                await self._semaphore.acquire()
                return
            raise StoreBusy(
                "another change of this daemon did not finish in time: try again, or allow more time"
            ) from None
