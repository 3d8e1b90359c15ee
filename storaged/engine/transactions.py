"""Every change of the store, one at a time: plan, prepare, commit, publish.

::

    slot ── current proven snapshot ── thread: plan ─ prepare ─ claim ─ commit ─ adopt ── swap ── slot back ── finish
               ▲                                  │                       │
               └────── the plan is out of date ◀──┴───────────────────────┘   three times; then in one hold of all
                                                                              exclusive locks: read, plan, commit
    a commit that breaks off: ``mending``, before the slot is given back

Until its commit point a change can be cancelled and leaves nothing. After it nothing stops it: its task is shielded
(``change_scope``), its thread is waited for, and what it answers is what it did. A store lock is never held across
an await: taking and releasing are one call in a worker thread.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Generic, TypeVar

import anyio
from anyio import from_thread
from anyio.lowlevel import checkpoint_if_cancelled
from anyio.to_thread import run_sync
from msgspec import Struct

from storaged.engine.cache import Cache
from storaged.engine.cancellation import cancellation, shield_change
from storaged.engine.disk_errors import disk_error, made_unseen, store_error, told_left
from storaged.engine.loading import Current
from storaged.engine.roll_forward import Recover, RollForward
from storaged.engine.transaction_attempt import Decision, Done, Interrupted, TransactionAttempt
from storaged.engine.views import View
from storaged.engine.writer_lock import WriterLock
from storaged.metrics import Metrics
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.in_use import LayersBusy
from storaged.store.writing.prepared import Committed, PlanOutdated
from storaged_client.contract.errors import ImageDamaged, Leased, StoragedError, StoreBusy, StoreReadOnly

ROUNDS = 3
"""Lost to other writers before a change is decided with all locks held."""

_PATIENCE = 1.0
"""Seconds one round waits for a state that nobody is changing."""

_PAUSE = 0.02
"""Seconds until layers that somebody began to use are asked for again."""

_FINISHERS = 2
"""Deletions of trees at a time."""

_TELLING_INTERVAL = 0.1
"""Seconds between two notices of progress: often enough for people, seldom enough for the event loop."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class ProgressReporter:
    """Hands progress over to the loop. For one worker thread that a task of the loop waits for."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress
        self._next = 0.0

    def tell(self, done: int, total: int) -> None:
        """``done`` of ``total`` things are done. What comes too soon after the last telling is left out."""
        now = time.monotonic()
        if self._progress is not None and now >= self._next:
            self._next = now + _TELLING_INTERVAL
            from_thread.run_sync(self._progress, done, total)


class Outcome(Struct, Generic[T], frozen=True, kw_only=True):
    """What a change answered. ``view`` is of the generation that it made, or of a later one."""

    result: T
    view: View
    unfinished: str | None = None
    """Why files of what was removed still lie in the store; the next start of the daemon goes on with them."""


class Transactions:
    """The writer slot of one store. Belongs to the event loop.

    ``why_not_writable`` is blocking: a graphroot may be made at any time. ``provide`` is called once, in a worker
    thread, before the first change is answered. ``recover`` goes on with a change that broke off; without it the next
    start of the daemon does.
    """

    def __init__(
        self,
        cache: Cache,
        writer: StoreWriter,
        metrics: Metrics,
        *,
        why_not_writable: Callable[[], str | None] = lambda: None,
        provide: Callable[[], object] = lambda: None,
        recover: Recover | None = None,
    ) -> None:
        self._cache = cache
        self._writer = writer
        self._leases = cache.context.leases
        self._attempts = TransactionAttempt(cache.loader, writer, self._leases)
        self._metrics = metrics
        self._why_not_writable = why_not_writable
        self._provide: Callable[[], object] | None = provide
        self._slot = WriterLock(metrics)
        self._thread = anyio.CapacityLimiter(1)
        self._finishers = anyio.CapacityLimiter(_FINISHERS)
        self._ending = threading.Event()
        self._roll_forward = RollForward(cache, recover, metrics, limiter=self._thread, ending=self._ending.is_set)

    async def run(
        self, plan: Decision[T], *, timeout: float, progress: Callable[[int, int], None] | None = None
    ) -> Outcome[T]:
        """Make the change that ``plan`` decides on, and wait until its files are gone, too.

        ``timeout`` (seconds) bounds the wait for the slot, for the store and for its locks. ``progress`` is told the
        entries deleted and all of them, now and then.

        Raises:
            StoreReadOnly, StoreUnsupported: this store is not written.
            StoreBusy: the slot, a current state of the store or a lock was not had in time, or a pull or an import used
                layers all that time.
            StoreCorrupt: a table cannot be read, or must not be written as it is.
            Leased: a lease came in the way each time.
            NoSpace, DiskFailure, StoreReadOnly: the file system refused. Nothing was changed, but where ``partial`` is
                among the evidence.
            StoragedError: whatever ``plan`` raises.
        """
        deadline = time.monotonic() + timeout
        self._metrics.add("changes")
        unseen: Exception | None = None
        with anyio.CancelScope() as scope:
            async with self._slot.held(timeout):
                await run_sync(self._refuse, limiter=self._thread)
                try:
                    done = await self._decide(plan, deadline)
                    scope.shield = done.committed is not None
                    try:
                        view = await self._publish(done, deadline)
                    except Exception as error:
                        if done.committed is None:
                            raise
                        unseen = error  # the staged files go all the same
                        self._cache.pending_readback.begin()  # what is shown may be gone: nobody may lease it
                except Interrupted as broken:
                    scope.shield = True
                    view, unfinished = await self._roll_forward.go_on(broken, max(1.0, deadline - time.monotonic()))
                    return Outcome(result=broken.result, view=view, unfinished=unfinished)
                finally:
                    self._leases.yield_claim()
            unfinished = await self._finish(done.committed, progress) if done.committed is not None else None
        if unseen is not None:
            raise made_unseen(unseen) from unseen
        return Outcome(result=done.result, view=view, unfinished=unfinished)

    def exclusively(self, patience: float = math.inf) -> AbstractAsyncContextManager[None]:
        """Keep every other change of this daemon out; waits at most ``patience`` seconds for those under way.

        Raises:
            StoreBusy: on entering, they did not end in time.
        """
        return self._slot.held(patience)

    def hurry(self) -> None:
        """The daemon is about to end: deletions that are under way stop, and the next start goes on with them."""
        self._ending.set()

    # -------------------------------------------------------------- within

    def _refuse(self) -> None:
        """Blocking.

        Raises:
            StoreReadOnly, StoreUnsupported: as ``run``.
        """
        refusal = self._writer.refusal()
        # A store that is not made yet is an empty one: nothing is there to prune, ``prepare`` makes it for the rest.
        if refusal is not None and not refusal.data.get("missing"):
            raise refusal
        reason = self._why_not_writable()
        if reason is not None:
            raise StoreReadOnly(f"nothing can be changed: {reason}", detail=reason)

    async def _decide(self, plan: Decision[T], deadline: float) -> Done[T]:
        cancelled = cancellation()
        lost_races = 0
        while lost_races < ROUNDS:
            try:
                current = await self._current(min(deadline, time.monotonic() + _PATIENCE))
            except StoreBusy:
                break  # others write without a pause: our turn comes with the locks alone
            try:
                return await self._work(partial(self._attempts.one, plan, current, deadline, cancelled))
            except LayersBusy as busy:
                # One began after it was waited for: all is given back, and the next try waits for its end.
                if time.monotonic() >= deadline:
                    raise
                busy.__traceback__ = None
                self._leases.yield_claim()
                self._metrics.add("changes.lost.layers")
                await anyio.sleep(_PAUSE)
            except (PlanOutdated, Leased, ImageDamaged) as lost:
                # What looks damaged may be half of what another writer does: its file is there, its record follows.
                # Out of a thread, an error is in a circle with its traceback, whose frames have all that was planned.
                lost.__traceback__ = None
                lost_races += 1
                self._leases.yield_claim()
                self._metrics.add(f"changes.lost.{'leases' if isinstance(lost, Leased) else 'races'}")
        self._metrics.add("changes.decided_under_locks")
        try:
            return await self._work(partial(self._attempts.under_locks, plan, deadline, cancelled))
        except PlanOutdated as lost:
            raise StoreBusy(f"the store kept changing under every attempt ({lost.message}); try again") from lost

    async def _work(self, attempt: Callable[[], Done[T]]) -> Done[T]:
        """One call in the worker thread, waited for whatever happens."""
        try:
            done = await run_sync(attempt, limiter=self._thread)
        except Interrupted:
            shield_change()
            raise
        except StoragedError:
            # Who was cancelled while waiting for a lock is told so, and not that the store is busy.
            await checkpoint_if_cancelled()
            raise
        except OSError as error:
            self._cache.rebuild()
            raise disk_error(error) from error
        if done.committed is not None:
            shield_change()
        return done

    async def _current(self, deadline: float) -> Current:
        """The current state, which nobody is changing.

        Raises:
            StoreBusy, StoreCorrupt: as strict reads do.
        """
        await checkpoint_if_cancelled()
        while True:
            await self._cache.view("strict", max(0.0, deadline - time.monotonic()))
            current = self._cache.current
            if current is not None and current.snapshot.proven:
                return current
            if time.monotonic() >= deadline:
                raise StoreBusy("the store could not be read as one complete state in time; try again")
            self._cache.rebuild()
            await anyio.sleep(0.02)

    async def _publish(self, done: Done[T], deadline: float) -> View:
        if done.current is not None:
            return self._cache.adopt(done.current)
        if done.committed is None:
            return await self._cache.view("fresh", max(0.0, deadline - time.monotonic()))
        # Written, but somebody else wrote another table meanwhile: read as everybody's changes are.
        return await self._cache.read_back(max(1.0, deadline - time.monotonic())) or self._cache.known()

    async def _finish(self, committed: Committed, progress: Callable[[int, int], None] | None) -> str | None:
        tell = ProgressReporter(progress).tell
        began = time.monotonic()
        try:
            left = await run_sync(
                lambda: self._writer.finish(committed, progress=tell, cancelled=self._ending.is_set),
                limiter=self._finishers,
            )
            provide, self._provide = self._provide, None
            if provide is not None:
                await run_sync(provide, limiter=self._finishers)
        except Exception as error:
            _log.exception("the end of a change has failed")
            reason = store_error(error).message
        else:
            told = told_left([f"{found.path}: {found.detail}" for found in left])
            if told is None:
                self._metrics.spend("changes.finished", time.monotonic() - began)
                return None
            reason = told
        self._metrics.add("changes.unfinished")
        _log.warning("files of a removal are left, the next start tries again reason=%s", reason)
        return reason
