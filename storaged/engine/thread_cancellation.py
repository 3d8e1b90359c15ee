"""Telling a worker thread that nobody waits for it any more."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio


@asynccontextmanager
async def set_on_cancel(stop: threading.Event) -> AsyncIterator[None]:
    """Set ``stop`` when the block is cancelled: a worker thread is waited for, so somebody else must tell it."""

    async def tell() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            stop.set()

    async with anyio.create_task_group() as telling:
        telling.start_soon(tell)
        yield
        telling.cancel_scope.cancel()
    stop.clear()
