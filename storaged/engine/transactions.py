"""Transactions: every change of the store, one at a time: decide, prepare, commit, publish.

::

    writer lock ─ proven snapshot ─ thread: decide ─ prepare ─ claim ─ commit ─ adopt ── swap ── unlock ── finish
                     ▲                                  │              │
                     └────── the store has changed ◀────┴──────────────┘   three times; then with all exclusive
                                                                           locks held: read, decide, commit
    a commit that breaks off: ``roll_forward``, before unlocking

Until its commit point a change can be cancelled and leaves nothing. After that nothing stops it: its task is shielded
(``change_scope``), its thread is waited for, and its answer says what it did. A store lock is never held across an
await: one call in a worker thread takes and releases it.
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
"""Attempts lost to other writers before a change is decided with all locks held."""

_PATIENCE = 1.0
"""Seconds that one attempt waits for a state that no tool is changing."""

_PAUSE = 0.02
"""Seconds until the next attempt, if another tool began to use a layer."""

_FINISHERS = 2
"""Deletions of folders at a time."""

_TELLING_INTERVAL = 0.1
"""Seconds between two notices of progress: often enough for people, seldom enough for the event loop."""

T = TypeVar("T")

_log = logging.getLogger(__name__)


class ProgressReporter:
    """Passes progress from one worker thread to the event loop, whose task waits for that thread."""

    def __init__(self, progress: Callable[[int, int], None] | None) -> None:
        self._progress = progress
        self._next = 0.0

    def tell(self, done: int, total: int) -> None:
        """``done`` of ``total`` things are done. Dropped if it comes too soon after the last notice."""
        now = time.monotonic()
        if self._progress is not None and now >= self._next:
            self._next = now + _TELLING_INTERVAL
            from_thread.run_sync(self._progress, done, total)


class Outcome(Struct, Generic[T], frozen=True, kw_only=True):
    """The result of a change. ``view`` is of the generation that it made, or of a later one."""

    result: T
    view: View
    unfinished: str | None = None
    """Why files of what was removed are still there; the next start of the daemon deletes them."""


class Transactions:
    """Makes the changes of one store. Belongs to the event loop.

    ``why_not_writable`` is blocking: a graphroot may be made at any time. ``provide`` is called once, in a worker
    thread, before the first change is answered. ``recover`` finishes a change that broke off; without it the next
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
        """Make the change that ``plan`` decides on, and wait until its files are deleted.

        ``timeout`` (seconds) bounds the wait for the writer lock, the store and its locks. ``progress`` is called now
        and then with the number of entries deleted and of all entries.

        Raises:
            StoreReadOnly, StoreUnsupported: this store is not written.
            StoreBusy: the writer lock, a current state of the store or one of its locks was not available in time, or a
                pull or an import used layers all that time.
            StoreCorrupt: a table cannot be read, or must not be written as it is.
            Leased: a lease was in the way at each attempt.
            NoSpace, DiskFailure, StoreReadOnly: the file system refused. Nothing was changed, unless the evidence has
                ``partial``.
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
                        unseen = error  # the staged files are deleted nevertheless
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
        """Stop deletions that are under way, since the daemon is about to end; the next start continues them."""
        self._ending.set()

    # -------------------------------------------------------------- within

    def _refuse(self) -> None:
        """Blocking.

        Raises:
            StoreReadOnly, StoreUnsupported: as ``run``.
        """
        refusal = self._writer.refusal()
        # A store that does not exist yet is empty: nothing to prune, and for other changes ``prepare`` makes it.
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
                break  # others write without a pause: only the locks give us a turn
            try:
                return await self._work(partial(self._attempts.one, plan, current, deadline, cancelled))
            except LayersBusy as busy:
                # It began after the wait: give everything back, and let the next attempt wait for its end.
                if time.monotonic() >= deadline:
                    raise
                busy.__traceback__ = None
                self._leases.yield_claim()
                self._metrics.add("changes.lost.layers")
                await anyio.sleep(_PAUSE)
            except (PlanOutdated, Leased, ImageDamaged) as lost:
                # What looks damaged may be half of another tool's change: the file is there, the record follows.
                # An error from a thread is in a reference cycle with its traceback, whose frames hold the whole plan.
                lost.__traceback__ = None
                lost_races += 1
                self._leases.yield_claim()
                self._metrics.add(f"changes.lost.{'leases' if isinstance(lost, Leased) else 'races'}")
        self._metrics.add("changes.decided_under_locks")
        try:
            return await self._work(partial(self._attempts.under_locks, plan, deadline, cancelled))
        except PlanOutdated as lost:
            raise StoreBusy(f"the store kept changing during every attempt ({lost.message}); try again") from lost

    async def _work(self, attempt: Callable[[], Done[T]]) -> Done[T]:
        """Make one call in the worker thread and wait for it, whatever happens."""
        try:
            done = await run_sync(attempt, limiter=self._thread)
        except Interrupted:
            shield_change()
            raise
        except StoragedError:
            # If this was cancelled while waiting for a lock, say so, and not that the store is busy.
            await checkpoint_if_cancelled()
            raise
        except OSError as error:
            self._cache.rebuild()
            raise disk_error(error) from error
        if done.committed is not None:
            shield_change()
        return done

    async def _current(self, deadline: float) -> Current:
        """The current state, while no tool is changing it.

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
        # Written, but another tool wrote another table meanwhile: read it like any other tool's change.
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
            _log.exception("finishing a change failed")
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
