"""Recovery: finishes or undoes storaged's own interrupted transactions.

::

    journal entry     deletion    staging folders whose lock is free; remaining records and files
                      editing     temporaries → places → record, or the temporaries are removed
                      creation    folders of images that got no record
    beside tables     .tmp-<name>-storaged-<boot>-<8 hex>

Each step is an ordinary change with its own journal entry; the old entry is removed last. So recovery itself may die
and may be repeated. What other tools left is theirs; ``store.check`` reports it.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Iterator, Sequence

from attrs import evolve
from msgspec import Struct

from storaged.metrics import Metrics
from storaged.store.changes import Change
from storaged.store.drivers.removal import Leftover, RemovalCancelled
from storaged.store.files import Files
from storaged.store.inventory import table_files
from storaged.store.layout.paths import own_dir
from storaged.store.reader import Loaded, StoreReader
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.entries import Creation, Deletion, Editing, Entry, Unread
from storaged.store.writing.in_use import LayersBusy
from storaged.store.writing.interrupted_edit import carry_on, forget
from storaged.store.writing.journal import Journal, OpenEntry
from storaged.store.writing.new_tables import ChangeRefused
from storaged.store.writing.prepared import PlanOutdated
from storaged.store.writing.preparing import LAYERS_AT_ONCE
from storaged.store.writing.temporary import OURS
from storaged.store.writing.unfinished import Orphans, rest_of
from storaged.store.writing.unrecorded import PATIENCE, ROUNDS, Unrecorded, load, refuse_doubt, remove_made
from storaged_client.contract.errors import ImageDamaged, StoragedError

_log = logging.getLogger(__name__)


class Recovered(Struct, frozen=True, kw_only=True):
    """The number of finished entries, and what stays for the next time, with the reasons."""

    finished: int
    left: tuple[str, ...] = ()


class Recovery:
    """Recovery of one store. ``run`` needs the writer lock: no other change may use ``writer``."""

    def __init__(
        self, location: StoreLocation, writer: StoreWriter, *, metrics: Metrics, files: Files | None = None
    ) -> None:
        self._location = location
        self._writer = writer
        self._files = files or Files()
        self._metrics = metrics
        self._journal = Journal(location, files=self._files)
        folders = [os.path.dirname(table.path) for table in table_files(location) if table.store == 0]
        self.left: tuple[str, ...] = ()
        """What the last run could not finish, with the reasons."""
        self._folders = tuple(dict.fromkeys([*folders, own_dir(location.graphroot)]))

    def pending(self) -> bool:
        """Whether a run might find anything: a listing of a few folders."""
        try:
            return self._journal.pending() or any(True for _ in self._temporaries())
        except OSError:
            return True  # run() reports what is wrong

    def run(self, *, cancelled: Callable[[], bool] = lambda: False) -> Recovered:
        """Finish or undo dead transactions. Blocking, as long as removing trees takes; never on the event loop.

        An entry that cannot be finished, even because of a bug of ours, does not stop others: it stays, with the
        reason.

        Raises:
            OSError: storaged's own folder cannot be read.
        """
        through: list[tuple[OpenEntry, Entry]] = []
        left: list[str] = []
        with self._journal.left() as entries:
            for held, entry in entries:
                try:
                    why = self._finish(entry, cancelled)
                except (StoragedError, OSError, RemovalCancelled, ChangeRefused) as error:
                    why = "cancelled" if isinstance(error, RemovalCancelled) else str(error)
                if why is None and not isinstance(entry, Unread):
                    through.append((held, entry))
                else:
                    left.append(f"{held.path}: {why}")
            finished, others = self._end(through)
        left += [*others, *self._remove_temporaries()]
        for why in left:
            _log.warning("not recovered: %s", why)
        self._metrics.add("recovered", finished)
        self.left = tuple(left)
        return Recovered(finished=finished, left=self.left)

    def _end(self, through: Sequence[tuple[OpenEntry, Entry]]) -> tuple[int, list[str]]:
        """End the finished entries, and remove the folders they created: one may have used another's."""
        made = [path for _, entry in through if isinstance(entry, Deletion) for path in entry.made]
        finished = 0
        left: list[str] = []
        try:
            remove_made(self._location, self._files, made)
        except OSError as error:
            return 0, [f"{held.path}: {error}" for held, _ in through]
        for held, _ in through:
            try:
                held.remove()
                finished += 1
            except (OSError, StoragedError) as error:
                left.append(f"{held.path}: {error}")
        return finished, left

    def _finish(self, entry: Entry | Unread, cancelled: Callable[[], bool]) -> str | None:
        """Finish one entry; returns the reason if it stays.

        Raises:
            StoragedError, OSError, RemovalCancelled: it stays.
        """
        if isinstance(entry, Unread):
            return entry.why
        reader = StoreReader(self._location, metrics=self._metrics, files=self._files)
        try:
            unfinished = _Unfinished(self._location, reader, self._writer, self._files, self._metrics, cancelled)
            return unfinished.finish(entry)
        finally:
            reader.close()

    def _remove_temporaries(self) -> list[str]:
        left: list[str] = []
        for path in list(self._temporaries()):
            try:
                self._files.unlink(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                left.append(f"{path}: {error.strerror}")
        return left

    def _temporaries(self) -> Iterator[str]:
        """Temporary tables, and copies of them, that were never published. While the writer lock is held, nobody writes
        one."""
        for folder in self._folders:
            try:
                names = self._files.listdir(folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name in names:
                if OURS.fullmatch(name):
                    yield os.path.join(folder, name)


class _Unfinished:
    """Finishes entries, by changes of the present store."""

    def __init__(
        self,
        location: StoreLocation,
        reader: StoreReader,
        writer: StoreWriter,
        files: Files,
        metrics: Metrics,
        cancelled: Callable[[], bool],
    ) -> None:
        self._location = location
        self._reader = reader
        self._writer = writer
        self._files = files
        self._cancelled = cancelled
        self._unrecorded = Unrecorded(location, reader, files=files, metrics=metrics)

    def finish(self, entry: Entry) -> str | None:
        """Why an entry stays; None if it is finished. Raises: as :meth:`Recovery._finish`."""
        if self._cancelled():
            return "cancelled"
        match entry:
            case Deletion():
                left = self._deletion(entry)
            case Editing():
                left = self._editing(entry)
            case Creation():
                # If the first image of a store was being created, there is no table yet.
                left = self._unrecorded.remove(Orphans(images=entry.images), self._cancelled, lost=False)
                self._unrecorded.forget_items(entry.images)
        return "; ".join(f"{found.path}: {found.detail}" for found in left) or None

    def _deletion(self, entry: Deletion) -> Sequence[Leftover]:
        left = [*self._unrecorded.clear_staged(entry, self._cancelled)]

        def plan(loaded: Loaded) -> Change:
            refuse_doubt(loaded, self._location, self._files, lost=bool(entry.images), layers=bool(entry.layers))
            change = rest_of(entry, loaded.tables)[0]
            return evolve(change, layers=change.layers[:LAYERS_AT_ONCE])

        # An entry of a version with larger batches.
        for _ in range(0, max(1, len(entry.layers)), LAYERS_AT_ONCE):
            left += self._carry_out(plan)
        _, orphans = rest_of(entry, load(self._reader, self._cancelled).tables)
        left += self._unrecorded.remove(orphans, self._cancelled, lost=bool(entry.images))
        return left

    def _editing(self, entry: Editing) -> Sequence[Leftover]:
        try:
            left = self._carry_out(lambda loaded: carry_on(entry, loaded, self._location, self._files))
        except ImageDamaged as error:
            # It can never be completed; as a list it protects everything that it may name, until it is written again.
            _log.error("an edit cannot be completed image=%s detail=%s", entry.image, error)
            left = ()
        forget(entry, self._location, self._files)
        return left

    def _carry_out(self, plan: Callable[[Loaded], Change]) -> Sequence[Leftover]:
        """Decide on the present tables and commit, again if another tool was faster.

        Raises:
            StoragedError, OSError: it cannot be done now.
        """
        for _ in range(ROUNDS):
            loaded = load(self._reader, self._cancelled)
            change = plan(loaded)
            if change.empty:
                return ()
            try:
                deadline = time.monotonic() + PATIENCE
                prepared = self._writer.prepare(change, loaded.stamp, deadline=deadline, cancelled=self._cancelled)
            except PlanOutdated:
                continue
            try:
                committed = self._writer.commit(prepared, deadline=deadline, cancelled=self._cancelled)
            except (PlanOutdated, LayersBusy):
                continue
            return self._writer.finish(committed, cancelled=self._cancelled)
        raise PlanOutdated("other tools keep changing the store")
