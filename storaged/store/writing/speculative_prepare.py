"""Prepares part of a change before all its locks are taken, in the hope that little changes meanwhile.

Beside writers that never pause, a change is decided with the locks held. Decoding, building and flushing a table of
43,000 layers would make other tools wait too long. So this is done before, and under the locks only what has changed is
done again.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from storaged.store.files import Files, Identity, identity
from storaged.store.inventory import TableFile
from storaged.store.writing.new_tables import Draft, draft_layers
from storaged.store.writing.preconditions import CurrentTable, read_table
from storaged.store.writing.prepared import TableWrite
from storaged.store.writing.temporary import temporary_for, write_temporary
from storaged_client.contract.errors import StoragedError


class SpeculativePrepare:
    """The tables of the writable store as they were a moment ago, and the tables of layers as they may become."""

    def __init__(self, files: Files, tables: Sequence[TableFile]) -> None:
        self._files = files
        self._files_of_tables = tuple(table for table in tables if table.store == 0)
        self._tables: dict[str, CurrentTable] = {}
        self._layers: frozenset[str] = frozenset()
        self._written: dict[str, tuple[TableWrite, TableWrite]] = {}

    def read(self, layers: Collection[str]) -> None:
        """Decode the tables, and write those without these layers. What fails now is done under the locks.

        ``forget`` releases all of it.
        """
        self._layers = frozenset(layers)
        for table in self._files_of_tables:
            with suppress(StoragedError, OSError):
                current = read_table(self._files, table, identity(self._files.stat(table.path)))
                self._tables[table.path] = current
                if table.kind == "layers" and layers and (pair := draft_layers(current, layers)) is not None:
                    self._write(pair)

    def current(self, table: TableFile, seen: Identity | None) -> CurrentTable:
        """The table as it is now; ``seen`` is its identity in the stamp.

        Raises:
            PlanOutdated, StoreCorrupt: as ``read_table``.
        """
        return read_table(self._files, table, seen, self._tables.get(table.path))

    def take(self, table: CurrentTable, layers: Collection[str]) -> tuple[TableWrite, TableWrite] | None:
        """The two tables of ``draft_layers``, flushed; the caller then owns them. None if they have changed by now."""
        path = table.file.path
        pair = self._written.pop(path, None)
        if pair is None or (self._tables.get(path) is table and self._layers == frozenset(layers)):
            return pair
        _remove(self._files, pair)  # useless now, and others may need the space
        return None

    def forget(self) -> None:
        """Remove what was written but not taken, and free the memory."""
        for pair in self._written.values():
            _remove(self._files, pair)
        self._written.clear()
        self._tables.clear()

    def _write(self, pair: tuple[Draft, Draft]) -> None:
        first = write_draft(self._files, pair[0])
        try:
            self._written[first.path] = first, write_draft(self._files, pair[1])
        except BaseException:
            first.temporary.remove(self._files)
            raise


def write_draft(files: Files, draft: Draft) -> TableWrite:
    """Write a new table to a flushed file beside the old one. A failure leaves nothing behind.

    Raises:
        NoSpace, StoreReadOnly, OSError: a disk error.
    """
    temporary = temporary_for(files, draft.file.path, draft.data)
    write_temporary(files, temporary, draft.data)
    return TableWrite(path=draft.file.path, lock=draft.file.lock, temporary=temporary, data=draft.data)


def _remove(files: Files, pair: tuple[TableWrite, TableWrite]) -> None:
    for written in pair:
        written.temporary.remove(files)
