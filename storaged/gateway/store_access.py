"""The gateway's only access to the store: the service's own methods, and its snapshots.

Rights, budgets for changes and audit lines are those of the method called. A read that may not be stale waits for at
most ten seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

import msgspec
from anyio.to_thread import run_sync
from attrs import field, frozen

from storaged.engine.cache import Consistency
from storaged.engine.response_cache import CacheKey
from storaged.engine.views import Staleness, View
from storaged.gateway.passed_changes import PassedChanges
from storaged.gateway.request import Request
from storaged.service.context import Engine
from storaged.service.service import Service
from storaged.store.locks.probe import LockHolder

T = TypeVar("T")

PATIENCE: Final = 10.0
"""Seconds that a strict read waits for a writer."""

_decode = msgspec.json.Decoder().decode


@frozen(kw_only=True)
class StoreAccess:
    """Access through ``service``, the current one: a reload of the settings replaces it."""

    engine: Engine
    service: Callable[[], Service]
    passed: PassedChanges = field(factory=PassedChanges)

    async def view(self, request: Request) -> View:
        """The state of the store to answer the request from.

        Raises:
            StoreBusy: it must not be stale, and a writer did not finish in time.
            StoreCorrupt: the store cannot be read.
        """
        cache = self.engine.cache
        number = self.passed.number
        consistency: Consistency = "strict" if request.strict else "fresh"
        # A strict read does not share a look that was taken before it was asked.
        view = cache.view_now(consistency)
        if view is None:
            async with request.link.watched():
                view = await cache.view(consistency, PATIENCE)
        request.stale = view.stale
        if view.stale is None:
            self.passed.seen(number)
        return view

    def is_current(self) -> bool:
        """Whether the known state is that of the files."""
        return self.engine.cache.view_now() is not None

    async def in_thread(self, request: Request, work: Callable[[], T]) -> T:
        """Run blocking or long work in one of the connection's share of threads."""
        async with request.session.shares.threads:
            return await run_sync(work, limiter=self.engine.blob_threads)

    async def call(self, request: Request, method: str, params: dict[str, Any]) -> Any:
        """The result of one of the service's methods, decoded.

        Raises:
            StoragedError: the method's own errors.
        """
        number = self.passed.number
        if request.strict:
            params = {**params, "consistency": "strict", "timeout": PATIENCE}
        answer = await self.service().handle(request.session, method, params)
        result = _decode(answer if isinstance(answer, bytes) else b"".join(answer))
        request.stale = _staleness(result.get("stale"))
        if request.strict and request.stale is None:
            self.passed.seen(number)
        return result


def question(view: View, what: str, text: str) -> CacheKey:
    """The key under which an answer is kept with the snapshot of a view."""
    return (view.context.number, f"rest {what}", text)


def _staleness(told: dict[str, Any] | None) -> Staleness | None:
    if told is None:
        return None
    holder = told["holder"]
    lock = LockHolder(lock=told["lock"], **holder) if holder is not None else None
    return Staleness(age_ms=told["age_ms"], reason=told["reason"], holder=lock, file=told["file"])
