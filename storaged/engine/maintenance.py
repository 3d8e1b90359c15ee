"""Background work of a daemon that may write: finish what an earlier one left, keep room for removals.

It begins when clients can connect, so no start waits for it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
from anyio.to_thread import run_sync

from storaged.engine.cache import Cache
from storaged.engine.cancellation import cancellation
from storaged.engine.transactions import Transactions
from storaged.metrics import Metrics
from storaged.store.writing.recovery import Recovery
from storaged.store.writing.reserve import Reserve
from storaged_client.contract.errors import StoragedError

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 600.0
"""Seconds until a failed attempt is repeated, doubled each time."""

_log = logging.getLogger(__name__)


class Maintenance:
    """Maintenance of one store. ``why_not_writable`` and ``at_once`` are blocking.

    ``at_once`` returns whether to make the reserve for a full disk now instead of with the first change.
    """

    def __init__(
        self,
        transactions: Transactions,
        cache: Cache,
        recovery: Recovery,
        reserve: Reserve,
        metrics: Metrics,
        *,
        why_not_writable: Callable[[], str | None],
        at_once: Callable[[], bool],
    ) -> None:
        self._transactions = transactions
        self._cache = cache
        self._recovery = recovery
        self._reserve = reserve
        self._metrics = metrics
        self._why_not_writable = why_not_writable
        self._at_once = at_once

    async def run(self) -> None:
        """Do it, and repeat it while the machine refuses. Raises only if cancelled, at the next step."""
        pause = _FIRST_PAUSE
        while not await self._try(pause):
            await anyio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        self._metrics.add("upkeep.ended")

    async def _try(self, pause: float) -> bool:
        """Whether it is over."""
        try:
            await self._run()
        except (OSError, StoragedError) as error:
            # Descriptors may be free again later, and a store that is locked for long may be unlocked.
            _log.warning("maintenance failed, tried again in=%ds error=%s", pause, error)
            return False
        except Exception:
            # Nothing that an earlier daemon left may stop this one, or every later one, from serving.
            _log.exception("maintenance failed")
        return True

    async def _run(self) -> None:
        if await run_sync(self._why_not_writable) is not None:
            return
        if await run_sync(self._recovery.pending):
            await self._recover()
        if await run_sync(self._at_once):
            await run_sync(self._reserve.build)

    async def _recover(self) -> None:
        cancelled = cancellation()
        async with self._transactions.exclusively():
            report = await run_sync(lambda: self._recovery.run(cancelled=cancelled))
        self._cache.rebuild()
        _log.info("finished changes of an earlier daemon entries=%d left=%d", report.finished, len(report.left))
