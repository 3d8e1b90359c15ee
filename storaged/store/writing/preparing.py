"""Prepares a change: everything that can be done before the locks are taken.

The tables are read again, not taken from memory: what is written is derived from the very bytes that the stamp
identifies.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from storaged.metrics import Metrics
from storaged.store.changes import Change
from storaged.store.content import ITEM_LIMIT, ContentReader
from storaged.store.files import Files, Identity, identity
from storaged.store.inventory import TableFile, TableKind, table_files
from storaged.store.layout.paths import big_data_path
from storaged.store.layout.records import LayerRecord
from storaged.store.stamp import Stamp
from storaged.store.tables import StoreLocation
from storaged.store.writing.backup import Backups
from storaged.store.writing.data import write_data
from storaged.store.writing.deletion import LayerDeletion
from storaged.store.writing.locking import locks_of, shared_of
from storaged.store.writing.new_tables import (
    ChangeRefused,
    Draft,
    draft_containers,
    draft_images,
    draft_layers,
    refuse_needed,
)
from storaged.store.writing.preconditions import CurrentTable, read_table, refuse_lost_table
from storaged.store.writing.prepared import Holdings, PlanOutdated, Prepared, TableWrite
from storaged.store.writing.speculative_prepare import SpeculativePrepare, write_draft
from storaged_client.contract.errors import ImageDamaged, StoreBusy, StoreUnsupported

LAYERS_AT_ONCE = 2_000
"""The maximum number of layers in one commit: moving each takes some 60 µs under the locks, at most 250 ms in all."""


def go_on(cancelled: Callable[[], bool]) -> None:
    """A cancellation point between two steps, none of which wrote anything visible.

    Raises:
        StoreBusy: nobody wants the change any more.
    """
    if cancelled():
        raise StoreBusy("the change was cancelled; nothing was written")


class Preparation:
    """Prepares changes of one store; one at a time."""

    def __init__(self, location: StoreLocation, files: Files, metrics: Metrics) -> None:
        self._location = location
        self._files = files
        self._metrics = metrics
        self._tables = table_files(location)
        self._content = ContentReader(location, metrics, files)
        self._backups = Backups(location.graphroot, files)
        self.ahead = SpeculativePrepare(files, self._tables)

    def run(
        self,
        change: Change,
        stamp: Stamp,
        holdings: Holdings,
        *,
        deadline: float,
        cancelled: Callable[[], bool],
        tight: bool = False,
    ) -> Prepared:
        """Do everything except the renames. A failure leaves nothing behind. ``tight``: there is space for nothing
        else. ``cancelled`` is called between the steps.

        Raises:
            PlanOutdated: the store has changed since the stamp was taken.
            StoreCorrupt, StoreUnsupported, ImageUnknown: the change cannot be written.
            ImageDamaged: a manifest that the change depends on is not the recorded one.
            ImageInUse: a layer to be removed is mounted.
            StoreBusy: a pull was at work until ``deadline``, or ``cancelled`` returned true.
            NoSpace, StoreReadOnly, OSError: a disk error.
            ChangeRefused: the change contradicts the tables.
        """
        if len(change.layers) > LAYERS_AT_ONCE:
            raise ChangeRefused(f"{len(change.layers)} layers in one change, more than {LAYERS_AT_ONCE}")
        going = bool(change.removed or change.layers or change.containers)
        with ExitStack() as undo:
            evidence = self._evidence(change, cancelled)
            (images,) = self._read("images", stamp)
            refuse_lost_table(self._files, self._location, images)
            layers = self._read("layers", stamp) if going or change.needs_layers else []
            containers = self._read("containers", stamp) if going else []
            if going:
                refuse_needed(change, images, [*layers, *containers])
            self._check_layers(change, layers, stamp)
            first: list[Draft] = []
            pairs: list[tuple[TableWrite, TableWrite] | tuple[Draft, Draft]] = []
            changing: list[CurrentTable] = []
            if (draft := draft_images(images, change)) is not None:
                first.append(draft)
                changing.append(images)
            for table in containers:
                if (draft := draft_containers(table, change.containers)) is not None:
                    first.append(draft)
                    changing.append(table)
            for table in layers if change.layers else ():
                if (written := self.ahead.take(table, change.layers)) is not None:
                    for one in written:
                        undo.callback(one.temporary.remove, self._files)
                    pairs.append(written)
                elif (drafted := draft_layers(table, change.layers)) is not None:
                    pairs.append(drafted)
                else:
                    continue
                changing.append(table)
            for table in changing if not tight else ():
                go_on(cancelled)
                self._backups.keep(table, needed=not going)
            deletion = self._deletion(change, layers, undo, deadline, cancelled) if going else None
            go_on(cancelled)
            data = write_data(self._location, self._files, change, images, holdings, undo)
            prepared = Prepared(
                change=change,
                stamp=stamp,
                locks=locks_of(self._location, change),
                shared=shared_of(self._location, change),
                data=data,
                tables=self._write([*first, *[flagged for flagged, _ in pairs]], undo, cancelled),
                last=self._write([rest for _, rest in pairs], undo, cancelled),
                evidence=evidence,
                deletion=deletion,
                holdings=holdings,
            )
            undo.pop_all()
            return prepared

    def _read(self, kind: TableKind, stamp: Stamp) -> list[CurrentTable]:
        """The tables of the writable store."""
        return [
            self.ahead.current(table, seen)
            for table, seen in zip(self._tables, stamp.tables, strict=True)
            if table.kind == kind and table.store == 0
        ]

    def _write(
        self, tables: Sequence[Draft | TableWrite], undo: ExitStack, cancelled: Callable[[], bool]
    ) -> tuple[TableWrite, ...]:
        """Write those that are not written yet."""
        written: list[TableWrite] = []
        for table in tables:
            go_on(cancelled)
            if isinstance(table, Draft):
                table = write_draft(self._files, table)
                undo.callback(table.temporary.remove, self._files)
            written.append(table)
        return tuple(written)

    def _deletion(
        self,
        change: Change,
        layers: Sequence[CurrentTable],
        undo: ExitStack,
        deadline: float,
        cancelled: Callable[[], bool],
    ) -> LayerDeletion:
        records = {record.id: record for table in layers for record in table.records}
        deletion = LayerDeletion(
            self._location,
            change.layers,
            images=change.removed,
            containers=change.containers,
            times={layer: records[layer].created for layer in change.layers},
            files=self._files,
            metrics=self._metrics,
        )
        deletion.prepare(deadline=deadline, cancelled=cancelled)
        undo.callback(deletion.abandon)
        return deletion

    def _check_layers(self, change: Change, layers: Sequence[CurrentTable], stamp: Stamp) -> None:
        """Check the layers that a record will refer to, in whatever store they are."""
        if not change.needs_layers:
            return
        others: list[TableFile] = [table for table in self._tables if table.kind == "layers" and table.store != 0]
        seen = dict(zip([table.path for table in self._tables], stamp.tables, strict=True))
        tables = [*layers, *[read_table(self._files, table, seen[table.path]) for table in others]]
        whole = {
            record.id
            for table in tables
            for record in table.records
            if isinstance(record, LayerRecord) and not record.incomplete
        }
        for layer in change.needs_layers:
            if layer not in whole:
                raise StoreUnsupported(f"layer {layer} does not exist or is incomplete: an image cannot use it")

    def _evidence(self, change: Change, cancelled: Callable[[], bool]) -> tuple[tuple[str, Identity], ...]:
        """Read every manifest that the change depends on once more, and remember the file's identity."""
        found: list[tuple[str, Identity]] = []
        for record, store in change.evidence:
            go_on(cancelled)
            root = self._location.graphroot if store == 0 else self._location.additional[store - 1]
            path = big_data_path(root, self._location.driver, record.id, "manifest")
            try:
                before = identity(self._files.stat(path, follow_symlinks=False))
                self._content.blob(record, store, "manifest", ITEM_LIMIT)
                after = identity(self._files.stat(path, follow_symlinks=False))
            except StoreBusy:
                raise  # StoreBusy is an OSError, too
            except OSError as error:
                raise ImageDamaged(f"{path}: {error.strerror}", id=record.id, key="manifest", file=path) from None
            if before != after:
                raise PlanOutdated(f"{path} was replaced", file=path)
            found.append((path, before))
        return tuple(found)
