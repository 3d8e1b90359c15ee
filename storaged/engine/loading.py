"""One reload, start to end, in a worker thread: tables, contents, snapshot.

The tables are one proven state (architecture, fact 4). Big data is read afterwards and checked against
the records (fact 5): a damage never seen before may be a race with a writer, so the locks are asked and
the stamp is taken again, and where it moved the round is lost and the tables are read anew.
"""

from __future__ import annotations

import gc
import secrets
import time
from collections.abc import Callable

from attrs import frozen

from storaged.engine.content import Contents
from storaged.errors import StoreBusy
from storaged.metrics import Metrics
from storaged.snapshot.build import build
from storaged.snapshot.model import NOTHING_MEASURED, KnownSizes, Snapshot
from storaged.store.layout.contents import ImageContent
from storaged.store.reader import Loaded, StoreReader, WriterActive
from storaged.store.stamp import Stamp
from storaged.store.tables import StoreTables

_ROUNDS = 8
"""Lost rounds before the store counts as busy: a writer that wins this often leaves no gap to read in."""


@frozen(kw_only=True)
class Current:
    """A snapshot and the stamp of the files it was made of."""

    snapshot: Snapshot
    stamp: Stamp


class Loader:
    """Makes snapshots. One call of ``load`` at a time; the stamp may be taken elsewhere meanwhile."""

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
        self._instance = secrets.token_hex(6)
        self._number = 0
        self._tables: StoreTables | None = None
        self._kept: tuple[ImageContent, ...] = ()
        self._snapshot: Snapshot | None = None

    @property
    def no_generation(self) -> str:
        """The generation of a daemon that has not read anything yet."""
        return f"{self._instance}:0"

    def load(self, *, unproven: bool, afresh: bool, cancelled: Callable[[], bool]) -> Current:
        """Read the store and make its snapshot; the same snapshot again where nothing changed.

        ``unproven`` takes what can be read beside a writer at work; ``afresh`` trusts no content read before.

        Raises:
            WriterActive: a writer is at work (not with ``unproven``).
            StoreBusy: too many rounds were lost, or the shared locks could not be had in time.
            StoreCorrupt: a table cannot be read.
        """
        began = time.perf_counter()
        # A load allocates hundreds of thousands of values and no cycles: collections in its course find
        # nothing, and each stops the event loop too.
        gc.disable()
        try:
            return self._rounds(unproven, afresh, cancelled)
        finally:
            gc.enable()
            self._metrics.spend("reload", time.perf_counter() - began)

    def _rounds(self, unproven: bool, afresh: bool, cancelled: Callable[[], bool]) -> Current:
        for _ in range(_ROUNDS):
            loaded = self._reader.load_unproven() if unproven else self._reader.load(cancelled=cancelled)
            contents, surprise = self._contents.collect(loaded.tables.images, afresh=afresh, cancelled=cancelled)
            if cancelled():
                raise StoreBusy("the daemon is shutting down")
            if not surprise or unproven:
                return self._settle(loaded, contents)
            # A writer that replaces a file of big data before it renews token and table holds its lock meanwhile.
            if (holder := self._reader.writer()) is not None:
                raise WriterActive(holder)
            if self._reader.stamp() == loaded.stamp:
                return self._settle(loaded, contents)
            self._metrics.add("loads.lost_to_content")
        raise StoreBusy("the store changed under every attempt to read it; try again")

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
                known_sizes=sizes,
            )
            self._tables, self._kept = tables, contents
            self._contents.commit(tables.images, contents)
            self._metrics.add("generations")
        assert self._snapshot is not None
        return Current(snapshot=self._snapshot, stamp=loaded.stamp)

    def _same(self, contents: tuple[ImageContent, ...]) -> bool:
        return len(contents) == len(self._kept) and all(a is b for a, b in zip(contents, self._kept, strict=True))
