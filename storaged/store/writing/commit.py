"""Carries out one change of the store, completely or not at all.

::

    prepare   no locks           read again, new tables, temporary files flushed, journal
    commit    exclusive locks    stamp = the decision's? → big data → token, images.json → token, containers.json
                                 → token, layers.json with the removed layers flagged → files moved to quarantine
                                 → token, layers.json without them → stamp
    finish    no locks           delete the files in quarantine

Until the first rename, any failure leaves the store as it was. After it, the commit continues to its end, cancelled or
not. If the disk fails in the middle, the store is in a state that every tool accepts: images.json has the change,
layers are orphans or flagged incomplete, and the journal tells recovery what is left to do.

A removal flushes each folder before the next step, so that a power loss never leaves a record whose files are already
gone. In other changes the tables' folder is flushed after the locks are released, but before the answer.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial

from storaged.metrics import Metrics
from storaged.store.changes import NOTHING, Change
from storaged.store.drivers.contents import contents_of
from storaged.store.drivers.removal import Leftover
from storaged.store.files import Files
from storaged.store.stamp import Stamp
from storaged.store.tables import StoreLocation
from storaged.store.writing.create_store import make_store
from storaged.store.writing.data import forget
from storaged.store.writing.in_use import await_idle
from storaged.store.writing.journal import OpenEntry
from storaged.store.writing.locking import WriterLocks, locks_of, make_missing
from storaged.store.writing.preconditions import refusal
from storaged.store.writing.prepared import Committed, Holdings, PlanOutdated, Prepared
from storaged.store.writing.preparing import Preparation, go_on
from storaged.store.writing.publishing import Publisher
from storaged.store.writing.reserve import Reserve
from storaged_client.contract.errors import (
    ImageDamaged,
    ImageUnknown,
    NoSpace,
    StoragedError,
    StoreCorrupt,
    StoreUnsupported,
)

_log = logging.getLogger(__name__)


class StoreWriter:
    """Carries out changes of one store, one at a time, in worker threads."""

    def __init__(
        self,
        location: StoreLocation,
        *,
        metrics: Metrics,
        files: Files | None = None,
        reserve: Reserve | None = None,
    ) -> None:
        self._location = location
        self._files = files or Files()
        self._metrics = metrics
        self._reserve = reserve or Reserve(location, files=self._files)
        self._publisher = Publisher(location, self._files, metrics, self._reserve)
        self._preparation = Preparation(location, self._files, metrics)
        self._locks = WriterLocks(location, self._files, metrics)

    def refusal(self) -> StoragedError | None:
        """Why this store cannot be written; None if it can. A few system calls."""
        return refusal(self._location, self._files)

    def prepare(
        self,
        change: Change,
        stamp: Stamp,
        *,
        deadline: float = 0.0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> Prepared:
        """Do everything that needs no locks. A failure leaves nothing behind. A missing store is created, and stays.

        ``stamp`` is that of the snapshot on which the change was decided. A removal on a full disk gets the reserve.
        ``deadline``, on the clock of ``time.monotonic``, limits the wait for pulls that copy out of layers and imports
        that read them.

        Raises:
            PlanOutdated: the store has changed since.
            StoreCorrupt, StoreUnsupported, ImageUnknown, ImageDamaged: the change cannot be written.
            ImageInUse, LayersBusy: a layer to be removed is mounted, or a pull or an import was at work until the
                deadline.
            NoSpace, StoreReadOnly, OSError: a disk error.
            ChangeRefused: the change contradicts the tables.
        """
        refused = self.refusal()
        if refused is not None and refused.data.get("missing"):
            make_store(self._location, self._files)
            refused = self.refusal()
        if refused is not None:
            raise refused
        locks = locks_of(self._location, change)
        make_missing(self._files, locks)
        self._publisher.compare(stamp, locks)
        run = partial(self._preparation.run, change, stamp, deadline=deadline, cancelled=cancelled)
        try:
            try:
                return run(Holdings())
            except NoSpace:
                if not (change.removed or change.layers or change.containers):
                    raise
                with ExitStack() as room:
                    room.enter_context(self._reserve.released())
                    prepared = run(Holdings(), tight=True)
                    prepared.holdings.room.push(room.pop_all())
                    return prepared
        except (StoreCorrupt, ImageDamaged, ImageUnknown, StoreUnsupported):
            self._publisher.compare(stamp, locks)  # it may be half of another writer's change
            raise

    def commit(
        self, prepared: Prepared, *, deadline: float, cancelled: Callable[[], bool] = lambda: False
    ) -> Committed:
        """Make the change visible. Blocking; ``deadline``, on the clock of ``time.monotonic``, limits only the wait for
        the locks. After any exception, nothing of ``prepared`` is left to be discarded.

        Raises:
            PlanOutdated: the stamp under the locks is another one, or evidence was replaced: nothing was written.
            StoreBusy: the locks were not available in time, or ``cancelled`` returned true: nothing was written.
            LayersBusy: a pull or an import began since: nothing was written, and every lock is released.
            NoSpace, StoreReadOnly, OSError: a disk error. With ``partial`` in a StoragedError's data, part of the
                change is there, or all of it without being durable; for an OSError that is not known.
        """
        try:
            with self._locks.hold(prepared.locks, prepared.shared, deadline, cancelled) as locks:
                self._publisher.check(prepared, locks)
                go_on(cancelled)
                stamp = self._publisher.publish(prepared, locks)
                prepared.holdings.published = True
            self._publisher.flush(prepared)
        except BaseException as error:
            if isinstance(error, PlanOutdated):
                self._metrics.add("commits.outdated")
            if prepared.holdings.begun:
                self._break_off(prepared, error)
            else:
                self.discard(prepared)
            raise
        return self._done(prepared, stamp)

    def finish(
        self,
        committed: Committed,
        *,
        progress: Callable[[int, int], None] = lambda done, total: None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> tuple[Leftover, ...]:
        """Delete the files in quarantine. No lock is needed, and the next change may already run.

        Returns what could not be deleted. Nobody uses it, and the next start tries again.
        """
        holdings = committed.holdings
        if holdings.ended:
            return ()
        holdings.ended = True
        with holdings.room:
            return committed.deletion.finish(progress, cancelled) if committed.deletion is not None else ()

    def discard(self, prepared: Prepared) -> None:
        """Undo the preparation. Does nothing if it was committed or discarded already."""
        holdings = prepared.holdings
        if holdings.ended or holdings.published:
            return
        holdings.ended = True
        with holdings.room:
            for table in (*prepared.tables, *prepared.last):
                table.temporary.remove(self._files)
            for folder in prepared.data:
                forget(self._files, folder)
            if prepared.deletion is not None:
                prepared.deletion.abandon()
            _remove(holdings.entries)

    def await_idle(self, deadline: float, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Wait until no pull into the store and no import out of it runs; the caller must not hold a lock of the store.

        Raises:
            LayersBusy: one still runs at ``deadline``, or ``cancelled`` returned true.
            StoreUnsupported, OSError: it cannot be determined.
        """
        await_idle(self._location, contents_of(self._location, self._files), self._files, deadline, cancelled)

    def editing(
        self, expected: Change, deadline: float, cancelled: Callable[[], bool] = lambda: False
    ) -> AbstractContextManager[None]:
        """Hold the digest locks of the lists that the change edits, around :meth:`exclusively`. podman keeps such a
        lock while it waits for the store's locks and while it contacts a registry.

        Raises:
            StoreBusy: on entering: they were not available in time, or ``cancelled`` returned true.
            PlanOutdated: on entering: a lock file is gone.
        """
        return self._locks.editing(expected.editing, deadline, cancelled)

    @contextmanager
    def exclusively(
        self, deadline: float, cancelled: Callable[[], bool] = lambda: False, *, expected: Change = NOTHING
    ) -> Iterator[None]:
        """Hold every lock of the writable store: whatever this thread reads, decides, prepares and commits meanwhile
        cannot lose a race. ``expected`` is the change if nothing moves until then; it is prepared before, as far as
        possible.

        Raises:
            StoreBusy: the locks were not available in time, or ``cancelled`` returned true.
        """
        try:
            self._preparation.ahead.read(expected.layers)
            with self._locks.exclusively(deadline, cancelled):
                yield
        finally:
            self._preparation.ahead.forget()

    def close(self) -> None:
        """Close the open descriptors."""
        self._publisher.close()

    # -------------------------------------------------------------- after

    def _done(self, prepared: Prepared, stamp: Stamp) -> Committed:
        self._metrics.add("commits")
        _remove(prepared.holdings.entries)
        return Committed(
            stamp=stamp,
            written={table.path: table.data for table in (*prepared.tables, *prepared.last)},
            deletion=prepared.deletion,
            holdings=prepared.holdings,
        )

    def _break_off(self, prepared: Prepared, error: BaseException) -> None:
        """Stop in the middle of a change. What is needed to finish it stays: the journal entries and their files."""
        self._metrics.add("commits.broken_off")
        if isinstance(error, StoragedError):
            error.data["partial"] = True
        _log.error("a change was interrupted, recovery continues it error=%s", error)
        holdings = prepared.holdings
        holdings.ended = True
        with holdings.room:
            for table in (*prepared.tables, *prepared.last):
                table.temporary.remove(self._files)
            if prepared.deletion is not None:
                prepared.deletion.abandon(recorded=True)
            for entry in holdings.entries:
                entry.leave()


def _remove(entries: Sequence[OpenEntry]) -> None:
    for entry in entries:
        try:
            entry.remove()
        except (OSError, StoragedError) as error:
            _log.warning("journal entry not removed path=%s error=%s", entry.path, error)
