"""A value that is there, or what waits for it.

Most of what is asked needs no wait, and a task of its own costs more than its answer. So what may have to wait returns
the one or the other, and who asked begins a task for the other only. Nothing waits before it is called, so that what is
never called leaves nothing unfinished behind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

T = TypeVar("T")
U = TypeVar("U")

Later: TypeAlias = Callable[[], Awaitable[T]]
"""Waits for a value, which is nothing that can be called, and returns it. To be called once at most."""


def then(value: T | Later[T], go_on: Callable[[T], U | Later[U]]) -> U | Later[U]:
    """What ``go_on`` makes of the value: at once where it is there and ``go_on`` waits for nothing."""
    if not callable(value):
        return go_on(value)

    async def later() -> U:
        return await have(go_on(await value()))

    return later


async def have(value: T | Later[T]) -> T:
    """The value, whichever it is."""
    return await value() if callable(value) else value
