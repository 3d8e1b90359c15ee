"""Reads one table file, and decodes only what changed since the previous generation."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar, cast

from msgspec import Struct

from storaged.metrics import Metrics
from storaged.store.files import EXHAUSTED, Files, Identity, read_whole
from storaged.store.inventory import TableFile
from storaged.store.layout.common_ends import Run, split_beside
from storaged.store.layout.records import ContainerRecord, ImageRecord, LayerRecord
from storaged.store.layout.table import Decoder, Table
from storaged.store.stamp import LockIdentity
from storaged.store.tables import ContainerRow, ImageRow, LayerRow, RecordFlaw
from storaged_client.contract.errors import StoreCorrupt

TABLE_LIMIT = 1 << 30
"""The maximum size of a table in bytes, fifty times the largest one known; a longer one counts as damaged."""

RACY_NS = 50_000_000
"""A file that changed less than this before it was read may change again under the same identity.

A rename may free an inode that is then reused, and the file system's clock ticks only every few milliseconds.
"""

Row = ImageRow | LayerRow | ContainerRow
RowT = TypeVar("RowT", ImageRow, LayerRow, ContainerRow)


class _RowDecoder(Protocol):
    def decode(self, raws: Sequence[bytes], known: Mapping[bytes, Row], *, at: int = 0) -> Table[Row]: ...


class TableContent(Struct, frozen=True, kw_only=True, eq=False):
    """One table as read. ``seen`` is the identity of the file that was read, None if there was none."""

    seen: Identity | None
    lock: LockIdentity
    racy: bool
    rows: tuple[Row, ...]
    flaws: tuple[RecordFlaw, ...]
    runs: tuple[Run, ...]
    """Runs of records by which the text of the file is recognised."""
    decoded: int
    """The number of records that differ from the previous content."""

    def of(self, kind: type[RowT]) -> tuple[RowT, ...]:
        """The rows if this is a table of that kind; else none."""
        if self.rows and isinstance(self.rows[0], kind):
            return cast("tuple[RowT, ...]", self.rows)
        return ()

    def is_still(self, seen: Identity | None, lock: LockIdentity) -> bool:
        """Whether the file with this identity, under a lock file with this identity and token, has the same bytes."""
        if seen != self.seen:
            return False
        # A very young file may have changed within one clock tick; then only an unchanged token proves that it did not.
        return not self.racy or (lock is not None and lock == self.lock)


class TableReader:
    """Reads one table file again and again."""

    def __init__(self, table: TableFile, files: Files, metrics: Metrics) -> None:
        self.table = table
        self._files = files
        self._metrics = metrics
        self._decoder = _decoder(table)

    def read(self, known: TableContent | None, seen: Identity | None, lock: LockIdentity) -> TableContent:
        """Read the file, decoding only records whose bytes are not in ``known``.

        ``seen`` and ``lock`` are from an earlier stamp. If the file was replaced since, the content has the identity of
        the new file. No lock is needed.

        Raises:
            StoreCorrupt: it cannot be read or is not a table.
            OSError: the daemon lacks descriptors or memory, which says nothing about the table.
        """
        data, began = b"", time.time_ns()
        if seen is not None:
            try:
                data, seen = read_whole(self._files, self.table.path, TABLE_LIMIT)
            except FileNotFoundError:
                seen = None
            except OSError as error:
                if error.errno in EXHAUSTED:
                    raise
                detail = error.strerror or str(error)
                raise StoreCorrupt(f"{self.table.path}: {detail}", file=self.table.path, detail=detail) from None
            else:
                self._metrics.add("files.opened")
                self._metrics.add("tables.read")
        return self._content(known, data, seen, lock, began)

    def take(self, known: TableContent | None, data: bytes, seen: Identity | None, lock: LockIdentity) -> TableContent:
        """The content of the file as it was just written, with its new identity.

        Raises:
            StoreCorrupt: the bytes are not a table.
        """
        return self._content(known, data, seen, lock, time.time_ns())

    def _content(
        self, known: TableContent | None, data: bytes, seen: Identity | None, lock: LockIdentity, began: int
    ) -> TableContent:
        rows = known.rows if known is not None else ()
        parts = split_beside(data, known.runs if known is not None else (), file=self.table.path)
        after = len(rows) - parts.last
        before = rows[parts.first : after]
        new = self._decoder.decode(
            parts.between, {row.raw: row for row in before if isinstance(row, ImageRow)}, at=parts.first
        )
        between, taken = _taken_over(before, new)
        return TableContent(
            seen=seen,
            lock=lock,
            racy=seen is not None and max(seen[3], seen[4]) + RACY_NS > began,
            rows=(*rows[: parts.first], *between, *rows[after:]) if parts.first or parts.last else between,
            flaws=tuple(
                RecordFlaw(
                    file=self.table.path,
                    index=flaw.index,
                    detail=flaw.detail,
                    id=flaw.id,
                    store=self.table.store,
                    table=self.table.kind,
                    evidence=flaw.evidence,
                )
                for flaw in new.flaws
            ),
            runs=parts.runs({flaw.index - parts.first for flaw in new.flaws}),
            decoded=new.decoded - taken,
        )


def _taken_over(before: Sequence[Row], new: Table[Row]) -> tuple[tuple[Row, ...], int]:
    """Replace new rows by equal rows decoded before; also return how many were replaced.

    Rows of images were already found by their bytes. A record with flags is never taken for another one: in Python true
    equals 1, but upstream does not read 1 as a flag.
    """
    by_id: dict[str, Row] = {
        row.record.id: row for row in before if not isinstance(row, ImageRow) and not row.record.flags
    }
    if not by_id:
        return tuple([row for _, row in new.entries]), 0
    rows: list[Row] = []
    taken = 0
    for _, row in new.entries:
        kept = by_id.get(row.record.id)
        if kept is not None and kept == row:
            taken += 1
            row = kept
        rows.append(row)
    return tuple(rows), taken


def _decoder(table: TableFile) -> _RowDecoder:
    store, volatile = table.store, table.volatile
    match table.kind:
        case "images":
            return Decoder[ImageRecord, Row](
                ImageRecord, lambda raw, record: ImageRow(record=record, store=store, raw=raw)
            )
        case "layers":
            return Decoder[LayerRecord, Row](
                LayerRecord, lambda _, record: LayerRow(record=record, store=store, volatile=volatile)
            )
        case "containers":
            return Decoder[ContainerRecord, Row](
                ContainerRecord, lambda _, record: ContainerRow(record=record, store=store, volatile=volatile)
            )
