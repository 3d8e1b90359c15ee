"""Cancellation: until when a change of the store can be cancelled, and how a worker thread learns of it.

::

    change_scope ─ slot ─ plan ─ locks ─┬─ commit ── finish ── further portions ── result
    cancelled: ends, nothing changed ───┘ shielded: continues in any case, and its result is the answer
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar

import anyio
from anyio import from_thread

_current: ContextVar[anyio.CancelScope | None] = ContextVar("change_scope", default=None)


@contextmanager
def change_scope() -> Iterator[None]:
    """A part of a task that can no longer be cancelled once a change within it was committed.

    Its result is only sure to become the answer if nothing is awaited between its end and the answer.
    """
    with anyio.CancelScope() as scope:
        token = _current.set(scope)
        try:
            yield
        finally:
            _current.reset(token)


def shield_change() -> None:
    """Shield the surrounding ``change_scope`` from now on. Must follow the commit without an await."""
    scope = _current.get()
    if scope is not None:
        scope.shield = True


def cancellation() -> Callable[[], bool]:
    """A function for a worker thread that the calling task waits for: whether that task was cancelled."""
    raised = anyio.get_cancelled_exc_class()

    def cancelled() -> bool:
        try:
            from_thread.check_cancelled()
        except raised:
            return True
        return False

    return cancelled


@asynccontextmanager
async def set_on_cancel(stop: threading.Event) -> AsyncIterator[None]:
    """Set ``stop`` when the block is cancelled: the task waits for its worker thread and cannot tell it."""

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
