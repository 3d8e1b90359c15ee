"""Performs the renames of a change under the exclusive locks, after checking that its decision is still valid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import dirname

from storaged.metrics import Metrics
from storaged.store.files import Files, identity
from storaged.store.inventory import lock_files, table_files
from storaged.store.locks.record_lock import RecordLock
from storaged.store.locks.token import write_token
from storaged.store.stamp import Stamp, StampWatch
from storaged.store.tables import StoreLocation
from storaged.store.writing.deletion import LayerDeletion
from storaged.store.writing.prepared import PlanOutdated, Prepared, TableWrite
from storaged.store.writing.reserve import Reserve
from storaged.store.writing.temporary import sync_folder, told
from storaged_client.contract.errors import NoSpace


class Publisher:
    """Moves prepared files to their places. One change at a time."""

    def __init__(self, location: StoreLocation, files: Files, metrics: Metrics, reserve: Reserve) -> None:
        self._graphroot = location.graphroot
        self._files = files
        self._reserve = reserve
        self._locks = lock_files(location)
        self._tables = table_files(location)
        self._watch = StampWatch(self._locks, [table.path for table in self._tables], files, metrics)

    def check(self, prepared: Prepared, locks: Sequence[RecordLock]) -> None:
        """Check that the decision is still valid. What is proven under these locks stays true until they are released.

        Raises:
            PlanOutdated: it is not valid.
            ImageInUse, LayersBusy: something to be removed was mounted since, or a pull or an import began.
        """
        for lock in locks:
            if not lock.still_named():
                raise PlanOutdated(f"{lock.lock_file} was replaced", file=lock.lock_file)
        self.compare(prepared.stamp, prepared.locks)
        for path, seen in prepared.evidence:
            try:
                same = identity(self._files.stat(path, follow_symlinks=False)) == seen
            except OSError:
                same = False
            if not same:
                raise PlanOutdated(f"{path} was replaced", file=path)
        if prepared.deletion is not None:
            prepared.deletion.confirm(locks)

    def compare(self, planned: Stamp, locks: Sequence[str]) -> None:
        """Compare what these locks guard, and the additional stores; other parts of the store may change meanwhile.

        Raises:
            PlanOutdated: they differ.
        """
        now = self._watch.take()
        guarded = {*locks, *[table.lock for table in self._tables if table.store != 0]}
        for path, before, here in zip(self._locks, planned.locks, now.locks, strict=True):
            if path in guarded and before != here:
                raise PlanOutdated(f"another process wrote under {path}", file=path)
        for table, seen, found in zip(self._tables, planned.tables, now.tables, strict=True):
            if table.lock in guarded and seen != found:
                raise PlanOutdated(f"{table.path} was replaced", file=table.path)

    def publish(self, prepared: Prepared, locks: Sequence[RecordLock]) -> Stamp:
        """Make the change visible; returns the stamp of the files after it. ``prepared.holdings.begun`` shows whether
        an error came before the first rename.

        Raises:
            PlanOutdated: the folder of a new image was removed, and nothing was written.
            NoSpace, StoreReadOnly, OSError: a disk error.
        """
        self._publish_data(prepared)
        self._publish_tables(prepared, {lock.lock_file: lock for lock in locks})
        return self._watch.take()

    def _publish_data(self, prepared: Prepared) -> None:
        for folder in prepared.data:
            for temporary in folder.temporaries:
                try:
                    temporary.publish(self._files)
                except FileNotFoundError:
                    if prepared.holdings.begun:
                        raise
                    # Other tools remove a folder without a record.
                    raise PlanOutdated(f"{folder.path} was removed", file=folder.path) from None
                prepared.holdings.begun = True
            sync_folder(self._files, folder.path)

    def _publish_tables(self, prepared: Prepared, locks: Mapping[str, RecordLock]) -> None:
        durable = prepared.deletion is not None
        for table in prepared.tables:
            self._replace(table, locks[table.lock])
            prepared.holdings.begun = True
            if durable:
                sync_folder(self._files, dirname(table.path))
        if prepared.deletion is not None:
            prepared.holdings.begun = True
            try:
                self._stage(prepared.deletion)
            except NoSpace:
                prepared.holdings.room.enter_context(self._reserve.released())
                self._stage(prepared.deletion)
        for table in prepared.last:
            self._replace(table, locks[table.lock])

    def _stage(self, deletion: LayerDeletion) -> None:
        with told(self._graphroot):
            deletion.stage()

    def _replace(self, table: TableWrite, lock: RecordLock) -> None:
        """Write the token, then the table: a reader in between only reads once more than necessary."""
        with told(table.lock):
            write_token(self._files, lock.descriptor)
        table.temporary.publish(self._files)

    def flush(self, prepared: Prepared) -> None:
        """Make the last renames durable; no lock is needed.

        Raises:
            NoSpace, StoreReadOnly, OSError: a power loss may bring back the state before.
        """
        tables = prepared.last if prepared.deletion is not None else prepared.tables
        for folder in dict.fromkeys([dirname(table.path) for table in tables]):
            sync_folder(self._files, folder)

    def close(self) -> None:
        """Close the open descriptors."""
        self._watch.close()
