"""Reading the store's tables as one complete state, without a lock.

::

    stamp → read the tables that changed → does anyone hold a lock for writing? → stamp

Equal stamps and no writer: one complete state, for tools that write the token before the table and for
those that write it after. A writer halfway holds its lock at the probe, one that ended in between changed
the stamp. A writer seen ends the attempt at once; a race lost without one seen is run again, five times,
then shared locks settle it. Where a store has no lock files (or they cannot be read) the same is done by
the identity of the files alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping
from typing import Literal

from storaged.metrics import Metrics
from storaged.store.files import EXHAUSTED, Files
from storaged.store.inventory import lock_files, table_files, writable_lock_files
from storaged.store.locks.order import hold
from storaged.store.locks.probe import LockHolder, identify
from storaged.store.mounts import is_remote
from storaged.store.stamp import Stamp, StampWatch
from storaged.store.table_cache import Loaded, TableCache
from storaged.store.table_reader import TableContent
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import InternalError, StoreBusy, StoreCorrupt

TRIES = 5
"""Lock-free attempts of one load."""

PATIENCE = 2.0
"""Seconds a load waits for the shared locks after the last of them."""

SHORT_PATIENCE = 0.5
"""The same of ``load_shared``, which comes again."""


class WriterActive(InternalError):
    """A writer is at work, so what could be read now may be half of a change: ``holder`` says who."""

    def __init__(self, holder: LockHolder) -> None:
        super().__init__(f"{holder.lock} is held for writing", lock=holder.lock)
        self.holder = holder


class StoreReader:
    """Loads the tables of one store. Never creates or changes anything.

    Loading and ``adopt`` run one at a time, in a worker thread; ``stamp`` and ``writer`` may be called from the
    event loop meanwhile and never wait for them.
    """

    def __init__(self, location: StoreLocation, *, metrics: Metrics, files: Files | None = None) -> None:
        self._location = location
        self._files = files or Files()
        self._metrics = metrics
        self._locks = lock_files(location)
        self._writable = frozenset(writable_lock_files(location))
        paths = [table.path for table in table_files(location)]
        self._watch = StampWatch(self._locks, paths, self._files, metrics)
        self._own_watch = StampWatch(self._locks, paths, self._files, metrics)
        self._mutex = threading.Lock()
        self._known = TableCache(location, self._files, metrics)
        self._remote: bool | None = None

    @property
    def location(self) -> StoreLocation:
        return self._location

    @property
    def freshness(self) -> Literal["locks", "file system"]:
        """What currency rests on: the locks, or the files' identity alone (locks missing, unreadable or remote)."""
        if self._remote is None:
            self._remote = is_remote(self._location.graphroot, self._files)
        self._watch.take()
        missing = self._writable.intersection(self._watch.unreadable())
        return "file system" if self._remote or missing else "locks"

    def stamp(self) -> Stamp:
        """The stamp of this moment: compare it with that of what was loaded."""
        return self._watch.take()

    def writer(self) -> LockHolder | None:
        """Who holds any lock of this store, or of an additional one, for writing. Takes no lock."""
        self._watch.take()
        return self._watch.writer()

    def look_again(self, loaded: Stamp) -> tuple[LockHolder | None, bool]:
        """Who holds a lock for writing, as ``writer``, and whether the store is still that of the stamp.

        For the loading thread: with the looks of the event loop it would make that wait.
        """
        with self._mutex:
            self._own_watch.take()
            holder = self._own_watch.writer()
            return holder, holder is None and self._own_watch.take() == loaded

    def identify(self, holder: LockHolder) -> LockHolder:
        """The same holder with the pid of an OFD lock, where it can be found. Slow: for reports."""
        return identify(holder, self._files)

    def load(self, *, cancelled: Callable[[], bool] = lambda: False) -> Loaded:
        """One complete state of the tables, decoding only what changed since the last one.

        Raises:
            WriterActive: a writer is at work; try again when it is done.
            StoreBusy: every race was lost and the shared locks were not had in 2 s, or ``cancelled`` said so.
            StoreCorrupt: a table cannot be read or is no JSON array, or a lock file cannot be looked into;
                ``file`` says which.
            OSError: the daemon lacks descriptors or memory.
        """
        with self._mutex:
            self._metrics.add("loads")
            for _ in range(TRIES):
                if cancelled():
                    raise StoreBusy("the load was cancelled")
                if (loaded := self._attempt()) is not None:
                    return loaded
                self._metrics.add("loads.lost_races")
            return self._locked(cancelled)

    def load_shared(self, *, cancelled: Callable[[], bool] = lambda: False) -> Loaded:
        """One complete state, read under shared locks at once: where writers leave no gap to read in without.

        Raises:
            StoreBusy, StoreCorrupt: as ``load``; the locks were not had in 0.5 s.
        """
        with self._mutex:
            self._metrics.add("loads.shared")
            return self._locked(cancelled, SHORT_PATIENCE)

    def load_unproven(self) -> Loaded:
        """What can be read beside a writer at work: perhaps half of a change (``tables.proven`` is False).

        Raises:
            StoreCorrupt: as ``load``.
        """
        with self._mutex:
            self._metrics.add("loads.unproven")
            for last in (False, False, True):
                stamp = self._own_watch.take()
                contents, error = self._known.read(stamp)
                if last or self._own_watch.take() == stamp:
                    break
            if error is not None:
                raise error
            return self._known.settle(contents, stamp, proven=False)

    def load_locked(self) -> Loaded:
        """One complete state, read while the caller holds every lock of the writable store exclusively.

        Raises:
            WriterActive: a writer is at work in an additional store.
            StoreBusy: the files change all the same.
            StoreCorrupt: as ``load``.
        """
        with self._mutex:
            for _ in range(TRIES):
                if (loaded := self._attempt(ours=self._writable)) is not None:
                    return loaded
            raise StoreBusy("the store's files change although this daemon holds their locks; a foreign program writes")

    def adopt(self, stamp: Stamp, written: Mapping[str, bytes]) -> Loaded | None:
        """The state that a commit left: these bytes by path, and for the rest what was proven last.

        ``stamp`` was taken under the exclusive locks after the last rename. None where another table, or its lock,
        is not what it was then: that has to be read.

        Raises:
            StoreCorrupt: the bytes are no table, which a writer never writes.
        """
        with self._mutex:
            return self._known.adopt(stamp, written)

    def close(self) -> None:
        """Close the kept descriptors. Neither a load nor a stamp may follow."""
        self._watch.close()
        self._own_watch.close()

    # -------------------------------------------------------------- attempts

    def _attempt(self, ours: Collection[str] = ()) -> Loaded | None:
        """One try without taking a lock; None where the files moved under it. ``ours`` are locks the caller holds."""
        before = self._own_watch.take()
        contents, error = self._known.read(before)
        if (holder := self._own_watch.writer(besides=ours)) is not None:
            raise WriterActive(holder)
        if self._own_watch.take() != before or self._own_watch.fault() is not None:
            return None
        if error is not None:
            raise error
        if not self._as_stamped(contents, before):
            return None
        return self._known.settle(contents, before, proven=True)

    def _locked(self, cancelled: Callable[[], bool], patience: float = PATIENCE) -> Loaded:
        """Under shared locks no writer that keeps the rules can interfere."""
        stamp = self._own_watch.take()
        self._refuse_fault()
        paths = [
            path
            for path, found in zip(self._locks, stamp.locks, strict=True)
            if found is not None and found[2] is not None
        ]
        deadline = time.monotonic() + patience
        try:
            with hold(
                paths,
                "shared",
                deadline=deadline,
                files=self._files,
                metrics=self._metrics,
                cancelled=cancelled,
            ) as locks:
                stamp = self._own_watch.take()
                contents, error = self._known.read(stamp)
                proven = all(lock.still_named() for lock in locks) and self._own_watch.take() == stamp
                self._refuse_fault()
        except StoreBusy:
            raise  # it is an OSError, too
        except OSError as lost:
            if lost.errno in EXHAUSTED:
                raise
            raise StoreBusy(
                f"{lost.filename}: {lost.strerror}: the lock files are changing", lock=lost.filename
            ) from None
        if proven and error is not None:
            raise error
        if not proven or not self._as_stamped(contents, stamp):
            raise StoreBusy("the store's files change although nobody holds their locks; a foreign program writes them")
        return self._known.settle(contents, stamp, proven=True)

    def _refuse_fault(self) -> None:
        """A lock file that cannot be looked into is as bad as a table that cannot: nothing is proven without it."""
        fault = self._own_watch.fault()
        if fault is not None:
            if fault.errno in EXHAUSTED:
                raise fault
            detail = f"{fault.strerror}: its holder cannot be asked for"
            raise StoreCorrupt(f"{fault.filename}: {detail}", file=fault.filename, detail=detail)

    def _as_stamped(self, contents: list[TableContent], stamp: Stamp) -> bool:
        return all(content.seen == seen for content, seen in zip(contents, stamp.tables, strict=True))


__all__ = ["Loaded", "StoreReader", "WriterActive"]
