"""One attempt at a change in the worker thread: decide, prepare, claim, commit, adopt."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Generic, TypeVar

from msgspec import Struct

from storaged.engine.leases import Leases
from storaged.engine.loading import Current, Loader
from storaged.snapshot.model import Snapshot
from storaged.store.changes import NOTHING, Change, ChangeSet
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.in_use import LayersBusy
from storaged.store.writing.prepared import Committed, ListLocked
from storaged_client.contract.errors import Leased, StoragedError

_PAUSES = (0.0, 0.005, 0.01, 0.02)
"""Seconds before each attempt to read a store that others also write."""

_TURNS = 4
"""How often the store's locks are taken for one change: each time, another list may be meant."""

_log = logging.getLogger(__name__)

T = TypeVar("T")

Decision = Callable[[Snapshot], ChangeSet[T]]
"""Decides by one snapshot. Called in a worker thread, maybe again for a later snapshot; may raise StoragedErrors."""


class Interrupted(Exception):
    """A commit failed in the middle: the change is made in part, or is complete but maybe not durable."""

    def __init__(self, planned: ChangeSet[Any], cause: Exception, *, published: bool) -> None:
        super().__init__(str(cause))
        self.change: Change = planned.change
        self.result = planned.result
        self.cause = cause
        self.published = published
        """Whether everything was in place, and only the flush failed."""


class Done(Struct, Generic[T], frozen=True, kw_only=True):
    """``committed`` is None if nothing had to be written, ``current`` if the store must be read back."""

    result: T
    committed: Committed | None = None
    current: Current | None = None


class TransactionAttempt:
    """Makes one change at a time; the caller holds the writer lock. Blocking."""

    def __init__(self, loader: Loader, writer: StoreWriter, leases: Leases) -> None:
        self._loader = loader
        self._writer = writer
        self._leases = leases

    def one(self, plan: Decision[T], current: Current, deadline: float, cancelled: Callable[[], bool]) -> Done[T]:
        """Try the change on the current state. No lock is held while deciding and preparing.

        After the commit the removed images stay claimed (``Leases.yield_claim``) until the new snapshot is served.

        Raises:
            PlanOutdated, Leased: the store or the leases have changed since; nothing was written.
            LayersBusy: a pull or an import uses layers to be removed; nothing was written.
            StoreBusy: a lock was not free before ``deadline`` (``time.monotonic``), or ``cancelled`` said so.
            StoragedError, OSError: of the decision or of the writer; nothing was written.
            Interrupted: something was written; the images stay claimed in this case, too.
        """
        planned = plan(current.snapshot)
        return self._taken_over(current, planned, self._written(planned, current, deadline, cancelled))

    def under_locks(self, plan: Decision[T], deadline: float, cancelled: Callable[[], bool]) -> Done[T]:
        """The same with all exclusive locks held from reading to commit, so that no tool can come in between.

        Raises:
            PlanOutdated: a foreign program writes without the locks, or others kept the list's own lock.
            StoreCorrupt: a table cannot be read.
            Leased, StoreBusy, StoragedError, OSError, Interrupted: as ``one``.
        """
        with self._loader.alone():
            expected = _expected(plan, self._loader.prepare())
        turns = _TURNS
        while True:
            try:
                # The lists' own locks outside ``alone``: podman may keep one for long, and reads must go on meanwhile.
                # The store's locks inside: a reload waits for shared ones while it holds the loader's own.
                with (
                    self._writer.editing(expected, deadline, cancelled),
                    self._loader.alone(),
                    self._writer.exclusively(deadline, cancelled, expected=expected),
                ):
                    current = self._loader.load_locked()
                    planned = plan(current.snapshot)
                    expected = planned.change
                    committed = self._written(planned, current, deadline, cancelled)
            except ListLocked:
                # Podman waits for our locks while it holds the digest lock: let it go first, and then take that lock
                # before the others, too.
                self._leases.yield_claim()
                turns -= 1
                if not turns:
                    raise
                continue
            except LayersBusy:
                # Never wait for it while holding a lock of the store.
                self._leases.yield_claim()
                self._writer.await_idle(deadline, cancelled)
                continue
            # The new snapshot takes longer than the commit and needs no store lock: others do not wait for it.
            return self._taken_over(current, planned, committed)

    def _written(
        self, planned: ChangeSet[T], current: Current, deadline: float, cancelled: Callable[[], bool]
    ) -> Committed | None:
        """Prepare, claim, commit; None if nothing has to be written."""
        return None if planned.change.empty else self._commit(planned, current, deadline, cancelled)

    def _taken_over(self, before: Current, planned: ChangeSet[T], committed: Committed | None) -> Done[T]:
        """Adopt the new tables, without a store lock. No error loses what is committed."""
        if committed is None:
            return Done(result=planned.result)
        current: Current | None = None
        try:
            current = self._loader.adopt(before.stamp, committed.stamp, committed.written) or self._read_back()
        except Exception:
            _log.exception("own change could not be taken over")
        return Done(result=planned.result, committed=committed, current=current)

    def _read_back(self) -> Current | None:
        """Read the store with our change and another tool's; None while writers are at work."""
        for pause in _PAUSES:
            time.sleep(pause)
            with suppress(StoragedError, OSError):
                return self._loader.load(unproven=False, afresh=False, cancelled=lambda: False)
        return None

    def _commit(
        self, planned: ChangeSet[T], current: Current, deadline: float, cancelled: Callable[[], bool]
    ) -> Committed:
        prepared = self._writer.prepare(planned.change, current.stamp, deadline=deadline, cancelled=cancelled)
        try:
            self._leases.claim(planned.change.removed)
        except Leased:
            self._writer.discard(prepared)
            raise
        try:
            return self._writer.commit(prepared, deadline=deadline, cancelled=cancelled)
        except Exception as error:
            if prepared.holdings.begun:
                raise Interrupted(planned, error, published=prepared.holdings.published) from error
            raise


def _expected(plan: Decision[Any], seen: Snapshot | None) -> Change:
    """What would be changed in this state, which may show half of another tool's change."""
    if seen is None:
        return NOTHING
    try:
        return plan(seen).change
    except StoragedError:
        return NOTHING
