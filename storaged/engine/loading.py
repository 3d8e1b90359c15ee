"""One load of the store in a worker thread: tables, contents, snapshot.

The tables are one proven state. Big data is read afterwards and checked against size and digest in the records. New
damage may be a race with a writer, so the locks are probed and the stamp is taken again. If it has changed, the tables
are read again. Otherwise the damaged contents are read a second time; only what both reads found counts as certain.

A change of our own needs no reload: its new tables are taken over as they were written (``adopt``), with the stamp
that was taken before its locks were released.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress

from msgspec import Struct, structs

from storaged.engine.content import Contents
from storaged.engine.gc_schedule import GCSchedule
from storaged.metrics import Metrics
from storaged.snapshot.build import build
from storaged.snapshot.model import Snapshot
from storaged.snapshot.sizes import NOTHING_MEASURED, KnownSizes
from storaged.store.inventory import table_files
from storaged.store.layout.contents import ImageContent
from storaged.store.locks.probe import busy
from storaged.store.reader import Loaded, StoreReader, WriterActive
from storaged.store.stamp import Stamp
from storaged.store.tables import StoreTables
from storaged_client.contract.errors import StoragedError, StoreBusy

logger = logging.getLogger(__name__)

_ROUNDS = 8
"""Lost attempts before the store counts as busy: a writer that wins this often leaves no gap to read in."""


class Current(Struct, frozen=True, kw_only=True):
    """A snapshot and the stamp of the files that it was made from."""

    snapshot: Snapshot
    stamp: Stamp
    number: int = 0
    """Counts upwards: a greater number means a later state of the files."""


class Loader:
    """Makes snapshots, in any thread, one at a time; the stamp may be taken elsewhere meanwhile.

    A later snapshot is of a later state: each call holds the loader's own lock from its first look at the files.
    """

    def __init__(
        self,
        reader: StoreReader,
        contents: Contents,
        metrics: Metrics,
        known_sizes: Callable[[], KnownSizes] = lambda: NOTHING_MEASURED,
    ) -> None:
        self._reader = reader
        self._contents = contents
        self._metrics = metrics
        self._known_sizes = known_sizes
        self._alone = threading.RLock()
        self.garbage = GCSchedule()
        self._instance = secrets.token_hex(6)
        self._number = 0
        self._paths = [table.path for table in table_files(reader.location)]
        self._settled = 0
        self._last: Current | None = None
        self._tables: StoreTables | None = None
        self._kept: tuple[ImageContent, ...] = ()
        self._snapshot: Snapshot | None = None
        self._base: Snapshot | None = None

    @property
    def no_generation(self) -> str:
        """The generation before anything was read."""
        return f"{self._instance}:0"

    def load(
        self, *, unproven: bool, afresh: bool, cancelled: Callable[[], bool], shared_locks: bool = False
    ) -> Current:
        """Read the store and make its snapshot; returns the same snapshot if nothing changed.

        ``unproven``: take what can be read while a writer is at work. ``afresh``: read every content again.
        ``shared_locks``: take shared locks at once.

        Raises:
            WriterActive: a writer is at work (not with ``unproven``).
            StoreBusy: too many attempts were lost, or the shared locks were not free in time.
            StoreCorrupt: a table cannot be read.
            OSError: the daemon lacks descriptors or memory, or the disk failed.
        """
        with self._working("reload"):
            return self._rounds(unproven, afresh, cancelled, shared_locks=shared_locks)

    def adopt(self, before: Stamp, stamp: Stamp, written: Mapping[str, bytes]) -> Current | None:
        """Take over the tables of our own commit, by path; it led from stamp ``before`` to ``stamp``.

        None if that is not possible: the store is then read as after any other tool's change. Store errors are not
        raised: what was committed is committed.
        """
        with self._working("adopt"):
            if (last := self._last) is None:
                return None
            if any(
                path in written and seen != found
                for path, seen, found in zip(self._paths, before.tables, last.stamp.tables, strict=True)
            ):
                # Until the commit these tables matched ``before``, so a later state was read after it.
                return last if last.snapshot.proven else None
            try:
                loaded = self._reader.adopt(stamp, written)
                if loaded is None:
                    self._metrics.add("adopt.overtaken")  # another tool wrote meanwhile, under another lock
                    return None
                contents, _ = self._contents.collect(loaded.tables.images, afresh=False, cancelled=lambda: False)
                return self._settle(loaded, contents)
            except (StoragedError, OSError) as error:
                self._metrics.add("adopt.failed")
                logger.warning("own change is read back error=%s", error)
                return None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep reloads of other threads out, before taking the store's exclusive locks and reading."""
        with self._alone:
            yield

    def prepare(self) -> Snapshot | None:
        """Read what can be read now, so that ``load_locked`` has little left to do; ``alone`` must be held.

        Returns the state as if it were proven, so nothing may be decided by it; None if it cannot be read.

        While others write without a pause, the current snapshot may be far behind, and building thousands of layers
        takes too long while locks are held. The next snapshot shares the values that are made here.
        """
        with self._working("prepare"), suppress(StoragedError, OSError):
            # Unproven, it would have no dangling images, and so other values than the snapshot that shares them.
            tables = structs.replace(self._reader.load_unproven().tables, proven=True)
            contents, _ = self._contents.collect(tables.images, afresh=False, cancelled=lambda: False)
            self._base = build(
                tables, contents, generation="", previous=self._snapshot, known_sizes=self._known_sizes()
            )
            return self._base
        return None

    def load_locked(self) -> Current:
        """Read the store. This thread must hold all its exclusive locks, and ``alone``.

        Raises:
            StoreCorrupt: a table cannot be read.
            StoreBusy: the files change although their locks are held, or an additional store is being written.
            OSError: as ``load``.
        """
        with self._working("reload", hurried=True):
            try:
                loaded = self._reader.load_locked()
            except WriterActive as active:
                raise busy(active.holder) from None
            contents, _ = self._contents.collect(loaded.tables.images, afresh=False, cancelled=lambda: False)
            return self._settle(loaded, contents)

    @contextmanager
    def _working(self, what: str, *, hurried: bool = False) -> Iterator[None]:
        with self._alone:
            began = time.perf_counter()
            try:
                with self.garbage.paused(hurried=hurried):
                    yield
            finally:
                self._metrics.spend(what, time.perf_counter() - began)

    def _rounds(
        self, unproven: bool, afresh: bool, cancelled: Callable[[], bool], *, shared_locks: bool = False
    ) -> Current:
        for _ in range(1 if shared_locks else _ROUNDS):
            loaded = self._read(unproven=unproven, shared_locks=shared_locks, cancelled=cancelled)
            contents, surprises = self._contents.collect(loaded.tables.images, afresh=afresh, cancelled=cancelled)
            if cancelled():
                raise StoreBusy("the daemon is shutting down")
            if not surprises or unproven:
                return self._settle(loaded, contents)
            # A writer that replaces big data before it renews token and table holds its lock meanwhile.
            holder, same = self._reader.look_again(loaded.stamp)
            if holder is not None:
                raise WriterActive(holder)
            if same and (confirmed := self._contents.confirm(loaded.tables.images, contents, surprises)) is not None:
                return self._settle(loaded, confirmed)
            self._metrics.add("loads.lost_to_content")
        raise StoreBusy("the store changed under every attempt to read it; try again")

    def _read(self, *, unproven: bool, shared_locks: bool, cancelled: Callable[[], bool]) -> Loaded:
        if unproven:
            return self._reader.load_unproven()
        return self._reader.load_shared(cancelled=cancelled) if shared_locks else self._reader.load(cancelled=cancelled)

    def _settle(self, loaded: Loaded, contents: tuple[ImageContent, ...]) -> Current:
        tables, sizes = loaded.tables, self._known_sizes()
        before = self._snapshot
        same = before is not None and before.known_sizes is sizes and tables == self._tables and self._same(contents)
        if not same:
            self._number += 1
            self._snapshot = build(
                tables,
                contents,
                generation=f"{self._instance}:{self._number}",
                previous=before,
                base=self._base,
                known_sizes=sizes,
            )
            self._tables, self._kept = tables, contents
            self._contents.commit(tables.images, contents)
            self._metrics.add("generations")
        assert self._snapshot is not None
        self._base = None
        self._settled += 1
        self._last = Current(snapshot=self._snapshot, stamp=loaded.stamp, number=self._settled)
        return self._last

    def _same(self, contents: tuple[ImageContent, ...]) -> bool:
        return len(contents) == len(self._kept) and all(a is b for a, b in zip(contents, self._kept, strict=True))
