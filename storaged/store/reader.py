"""Reads the store's tables as one complete state, without a lock.

::

    stamp → read the tables that changed → does a process hold a lock for writing? → stamp

Equal stamps and no writer prove a complete state, both for tools that write the token before the table and for those
that write it after. A writer in the middle of its work holds its lock at the probe; one that finished in between
changed the stamp. A visible writer ends the attempt at once. A race lost to an invisible one is repeated five times;
then shared locks settle it. If a store has no lock files, or they cannot be read, the identity of the files alone is
compared.
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
from storaged.store.mountinfo import is_remote
from storaged.store.stamp import Stamp, StampWatch
from storaged.store.table_cache import Loaded, TableCache
from storaged.store.table_reader import TableContent
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import InternalError, StoreBusy, StoreCorrupt

TRIES = 5
"""Attempts of one load without locks."""

PATIENCE = 2.0
"""Seconds that a load then waits for the shared locks."""

SHORT_PATIENCE = 0.5
"""The same for ``load_shared``, which is repeated."""


class WriterActive(InternalError):
    """A writer is at work, so the tables may show half of a change. ``holder`` names the writer."""

    def __init__(self, holder: LockHolder) -> None:
        super().__init__(f"{holder.lock} is held for writing", lock=holder.lock)
        self.holder = holder


class StoreReader:
    """Loads the tables of one store. Never creates or changes anything.

    Loading and ``adopt`` run one at a time, in a worker thread. The event loop may call ``stamp`` and ``writer``
    meanwhile; they never wait for a load.
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
        """How changes are detected: by the locks, or by the files' identity only (locks missing, unreadable or
        remote)."""
        if self._remote is None:
            self._remote = is_remote(self._location.graphroot, self._files)
        self._watch.take()
        missing = self._writable.intersection(self._watch.unreadable())
        return "file system" if self._remote or missing else "locks"

    def stamp(self) -> Stamp:
        """Take the stamp of this moment, to be compared with that of a load."""
        return self._watch.take()

    def writer(self) -> LockHolder | None:
        """The process that holds any lock of this store, or of an additional one, for writing. Takes no lock."""
        self._watch.take()
        return self._watch.writer()

    def look_again(self, loaded: Stamp) -> tuple[LockHolder | None, bool]:
        """The holder of a lock for writing, as ``writer``, and whether the stamp is still current.

        This is for the loading thread: using the event loop's watch would make the event loop wait.
        """
        with self._mutex:
            self._own_watch.take()
            holder = self._own_watch.writer()
            return holder, holder is None and self._own_watch.take() == loaded

    def identify(self, holder: LockHolder) -> LockHolder:
        """The same holder with the pid of an OFD lock, if it can be found. Slow: for reports."""
        return identify(holder, self._files)

    def load(self, *, cancelled: Callable[[], bool] = lambda: False) -> Loaded:
        """Load one complete state of the tables, decoding only what changed since the last one.

        Raises:
            WriterActive: a writer is at work; try again when it is done.
            StoreBusy: every race was lost and the shared locks were not available within 2 s, or ``cancelled``
                returned true.
            StoreCorrupt: a table cannot be read or is not a JSON array, or a lock file cannot be read;
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
        """Load one complete state under shared locks at once, for writers that never pause.

        Raises:
            StoreBusy, StoreCorrupt: as ``load``; the locks were not available within 0.5 s.
        """
        with self._mutex:
            self._metrics.add("loads.shared")
            return self._locked(cancelled, SHORT_PATIENCE)

    def load_unproven(self) -> Loaded:
        """Load what can be read beside a writer at work: perhaps half of a change (``tables.proven`` is False).

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
        """Load one complete state while the caller holds every lock of the writable store exclusively.

        Raises:
            WriterActive: a writer is at work in an additional store.
            StoreBusy: the files change in spite of the locks.
            StoreCorrupt: as ``load``.
        """
        with self._mutex:
            for _ in range(TRIES):
                if (loaded := self._attempt(ours=self._writable)) is not None:
                    return loaded
            raise StoreBusy("the store's files change although this daemon holds their locks; another program writes")

    def adopt(self, stamp: Stamp, written: Mapping[str, bytes]) -> Loaded | None:
        """Return the state after a commit: the given bytes by path, and for all other tables what was last proven.

        ``stamp`` was taken under the exclusive locks after the last rename. Returns None if another table or its lock
        changed since it was read; the tables must then be loaded.

        Raises:
            StoreCorrupt: the bytes are not a table, which a writer never writes.
        """
        with self._mutex:
            return self._known.adopt(stamp, written)

    def close(self) -> None:
        """Close the descriptors that were kept. No load or stamp may follow."""
        self._watch.close()
        self._own_watch.close()

    # -------------------------------------------------------------- attempts

    def _attempt(self, ours: Collection[str] = ()) -> Loaded | None:
        """Try once without a lock; None if the files changed meanwhile. The caller holds the locks ``ours``."""
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
        """Load under shared locks, where no writer that follows the rules can interfere."""
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
            raise  # StoreBusy is an OSError, too
        except OSError as lost:
            if lost.errno in EXHAUSTED:
                raise
            raise StoreBusy(
                f"{lost.filename}: {lost.strerror}: the lock files are changing", lock=lost.filename
            ) from None
        if proven and error is not None:
            raise error
        if not proven or not self._as_stamped(contents, stamp):
            raise StoreBusy("the store's files change although nobody holds their locks; another program writes them")
        return self._known.settle(contents, stamp, proven=True)

    def _refuse_fault(self) -> None:
        """Treat a lock file that cannot be read like an unreadable table: without it nothing is proven."""
        fault = self._own_watch.fault()
        if fault is not None:
            if fault.errno in EXHAUSTED:
                raise fault
            detail = f"{fault.strerror}: its holder cannot be determined"
            raise StoreCorrupt(f"{fault.filename}: {detail}", file=fault.filename, detail=detail)

    def _as_stamped(self, contents: list[TableContent], stamp: Stamp) -> bool:
        return all(content.seen == seen for content, seen in zip(contents, stamp.tables, strict=True))


__all__ = ["Loaded", "StoreReader", "WriterActive"]
