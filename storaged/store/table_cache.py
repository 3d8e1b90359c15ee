"""Caches all tables of one store between reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from msgspec import Struct

from storaged.metrics import Metrics
from storaged.store.files import EXHAUSTED, Files
from storaged.store.inventory import lock_files, table_files
from storaged.store.stamp import Stamp
from storaged.store.table_reader import RowT, TableContent, TableReader
from storaged.store.tables import ContainerRow, ImageRow, LayerRow, RecordFlaw, StoreLocation, StoreTables
from storaged_client.contract.errors import StoreCorrupt


class Loaded(Struct, frozen=True, kw_only=True):
    """The tables, the stamp that proves them, and the number of records decoded since the last load."""

    tables: StoreTables
    stamp: Stamp
    decoded: int


class TableCache:
    """Keeps the content of each table between reads. One thread at a time."""

    def __init__(self, location: StoreLocation, files: Files, metrics: Metrics) -> None:
        self._location = location
        self._files = files
        self._metrics = metrics
        tables, locks = table_files(location), lock_files(location)
        self._lock_of = [locks.index(table.lock) for table in tables]
        self._sources = [TableReader(table, files, metrics) for table in tables]
        self._known: list[TableContent | None] = [None] * len(tables)
        self._decoded = 0
        self._proven: Stamp | None = None

    def read(self, stamp: Stamp) -> tuple[list[TableContent], StoreCorrupt | None]:
        """Read the tables that changed according to the stamp. Stops at the first unreadable table, which matters only
        if the race is won."""
        contents: list[TableContent] = []
        for index, source in enumerate(self._sources):
            known, seen, lock = self._known[index], stamp.tables[index], stamp.locks[self._lock_of[index]]
            if known is not None and known.is_still(seen, lock):
                contents.append(known)
                continue
            try:
                content = source.read(known, seen, lock)
            except StoreCorrupt as error:
                return contents, error
            self._keep(index, content)
            contents.append(content)
        return contents, None

    def adopt(self, stamp: Stamp, written: Mapping[str, bytes]) -> Loaded | None:
        """The state with these bytes by path and all other tables as last proven; None if those are out of date.

        Raises:
            StoreCorrupt: the bytes are not a table.
        """
        proven = self._proven
        own = {lock for lock, source in zip(self._lock_of, self._sources, strict=True) if source.table.path in written}
        if proven is None or any(
            lock not in own and before != now
            for lock, (before, now) in enumerate(zip(proven.locks, stamp.locks, strict=True))
        ):
            return None
        contents: list[TableContent] = []
        for index, (source, seen) in enumerate(zip(self._sources, stamp.tables, strict=True)):
            known, path = self._known[index], source.table.path
            if path in written:
                contents.append(source.take(known, written[path], seen, stamp.locks[self._lock_of[index]]))
            elif known is None or known.seen != seen or proven.tables[index] != seen:
                return None
            else:
                contents.append(known)
        for index, content in enumerate(contents):
            if content is not self._known[index]:
                self._keep(index, content)
        return self.settle(contents, stamp, proven=True)

    def settle(self, contents: list[TableContent], stamp: Stamp, *, proven: bool) -> Loaded:
        """Collect all rows in the order of the store. ``proven``: the stamp shows that they are one complete state."""
        tables = StoreTables(
            images=_rows(contents, ImageRow),
            layers=_rows(contents, LayerRow),
            containers=_rows(contents, ContainerRow),
            flaws=(*(flaw for content in contents for flaw in content.flaws), *self._missing_stores()),
            proven=proven,
        )
        decoded, self._decoded = self._decoded, 0
        if proven:
            self._proven = stamp
        return Loaded(tables=tables, stamp=stamp, decoded=decoded)

    def _keep(self, index: int, content: TableContent) -> None:
        """Keep the content even if the race is lost: it is right for the identity it has."""
        self._known[index] = content
        self._decoded += content.decoded
        self._metrics.add("records.decoded", content.decoded)

    def _missing_stores(self) -> list[RecordFlaw]:
        """Additional stores whose folder does not exist: skipped, as upstream does from 1.57."""
        flaws: list[RecordFlaw] = []
        for store, root in enumerate(self._location.additional, 1):
            try:
                self._files.stat(root)
            except OSError as error:
                if error.errno in EXHAUSTED:
                    raise
                detail = f"additional image store cannot be read: {error.strerror}"
                flaws.append(RecordFlaw(file=root, index=-1, detail=detail, store=store, table="store"))
        return flaws


def _rows(contents: Sequence[TableContent], kind: type[RowT]) -> tuple[RowT, ...]:
    """The rows of one kind in the order of the store. Usually one table has them all, and its own tuple is returned."""
    found = [rows for content in contents if (rows := content.of(kind))]
    return found[0] if len(found) == 1 else tuple(chain.from_iterable(found))
