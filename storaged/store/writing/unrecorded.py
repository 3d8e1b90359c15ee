"""Removes files of a dead transaction that have no record any more: staging folders, and files that were never staged.

Whether a file has a record is certain only while nobody can make one. So the tables are read without locks, and under
the locks the stamp proves that they are unchanged. Then the files are moved to quarantine, as in any deletion.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from contextlib import suppress

from storaged.metrics import Metrics
from storaged.store.drivers.contents import contents_of
from storaged.store.drivers.removal import Leftover, OwnRemover, Remover
from storaged.store.drivers.userns import UserNamespace, is_needed
from storaged.store.files import Files
from storaged.store.inventory import table_files, writable_lock_files
from storaged.store.layout.paths import container_dir, image_dir, layer_data, tar_split
from storaged.store.layout.records import ImageID, LayerID
from storaged.store.locks.order import hold
from storaged.store.locks.probe import busy
from storaged.store.reader import Loaded, StoreReader, WriterActive
from storaged.store.tables import StoreLocation
from storaged.store.writing.deletion import LayerDeletion
from storaged.store.writing.entries import Deletion
from storaged.store.writing.in_use import LayersBusy
from storaged.store.writing.prepared import PlanOutdated
from storaged.store.writing.quarantine import staging_parents
from storaged.store.writing.staging import clear_dead, exists, remove_empty
from storaged.store.writing.temporary import OURS
from storaged.store.writing.unfinished import Orphans
from storaged_client.contract.errors import StoragedError, StoreCorrupt

ROUNDS = 5
"""The number of races with other tools that one step may lose."""

PATIENCE = 30.0
"""Seconds that one step waits for locks and for pulls."""

_PAUSE = 0.02
_PAIR = ("temp-dir", "lock")


def refuse_doubt(
    loaded: Loaded, location: StoreLocation, files: Files, *, lost: bool = True, layers: bool = False
) -> None:
    """Check that the tables show which records exist; with ``lost`` and ``layers``, that there is a table of images,
    and one of layers, at all.

    Raises:
        StoreCorrupt: they do not. Nothing may be removed because a record seems missing.
    """
    for flaw in loaded.tables.flaws:
        if flaw.store == 0:
            raise StoreCorrupt(f"{flaw.file}: {flaw.detail}", file=flaw.file, detail=flaw.detail)
    needed = {"images": lost, "layers": layers, "containers": False}
    for table in table_files(location):
        if table.store != 0 or table.volatile:
            continue
        path, here = table.path, exists(files, table.path)
        if (needed[table.kind] and not here) or (here and files.stat(path).st_size == 0):
            detail = "it is missing or empty, so it does not show what was removed"
            raise StoreCorrupt(f"{path}: {detail}", file=path, detail=detail)


def load(reader: StoreReader, cancelled: Callable[[], bool]) -> Loaded:
    """Load the tables when no writer is at work.

    Raises:
        StoreBusy, StoreCorrupt: as ``StoreReader.load``; StoreBusy also if a writer is always at work.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return reader.load(cancelled=cancelled)
        except WriterActive as error:
            if cancelled() or time.monotonic() > deadline:
                raise busy(error.holder) from None
            time.sleep(_PAUSE)


def remove_made(location: StoreLocation, files: Files, made: Collection[str]) -> None:
    """Remove the folders that deletions created for their staging folders (paths below the graphroot), and our own one,
    if nobody uses them.

    Raises:
        OSError: one is empty and cannot be removed.
    """
    try:
        parents = staging_parents(location, contents_of(location, files))
    except StoragedError:
        parents = staging_parents(location, None)
    for kind, parent in parents.items():
        if kind == "own" or os.path.relpath(parent, location.graphroot) in made:
            remove_empty(files, parent)


class Unrecorded:
    """Removes such files of one store. The writer lock must be held."""

    def __init__(self, location: StoreLocation, reader: StoreReader, *, files: Files, metrics: Metrics) -> None:
        self._location = location
        self._reader = reader
        self._files = files
        self._metrics = metrics

    def clear_staged(self, entry: Deletion, cancelled: Callable[[], bool]) -> tuple[Leftover, ...]:
        """Remove what the deletion had moved to quarantine. No lock of the store is needed.

        Raises:
            RemovalCancelled: ``cancelled`` returned true.
            StoragedError, OSError: it cannot be removed.
        """
        left: list[Leftover] = []
        for kind, parent in self._parents().items():
            if not any(exists(self._files, os.path.join(parent, f"{each}-{entry.staging}")) for each in _PAIR):
                continue
            own = kind != "contents" or not is_needed()
            remover: Remover = OwnRemover(self._files) if own else UserNamespace.start(self._files)
            try:
                found = clear_dead(parent, entry.staging, files=self._files, remover=remover, cancelled=cancelled)
            finally:
                remover.close()
            left += [] if found is None else [found]
        return tuple(left)

    def remove(self, orphans: Orphans, cancelled: Callable[[], bool], *, lost: bool = True) -> tuple[Leftover, ...]:
        """Remove the files of those ``orphans`` that have no record. ``lost`` as in :func:`refuse_doubt`.

        Raises:
            RemovalCancelled: ``cancelled`` returned true.
            StoragedError, OSError: it cannot be done now.
        """
        for _ in range(ROUNDS):
            loaded = load(self._reader, cancelled)
            deletion = self._deletion(loaded, orphans)
            if deletion is None:
                return ()
            refuse_doubt(loaded, self._location, self._files, lost=lost, layers=bool(orphans.layers))
            deadline = time.monotonic() + PATIENCE
            deletion.prepare(deadline=deadline, cancelled=cancelled)
            try:
                staged = self._stage(deletion, loaded, deadline, cancelled)
            except LayersBusy:
                staged = False  # it began since: the next round waits for its end, without our locks
            except BaseException:
                deletion.abandon()
                raise
            if staged:
                return deletion.finish(lambda done, total: None, cancelled)
            deletion.abandon()
        raise PlanOutdated("other tools keep changing the store")

    def forget_items(self, images: Collection[ImageID]) -> None:
        """Remove big data that never got to its place, if another image has the folder by now.

        Raises:
            OSError: it cannot be removed.
        """
        for image in images:
            folder = image_dir(self._location.graphroot, self._location.driver, image)
            try:
                names = self._files.listdir(folder)
            except (FileNotFoundError, NotADirectoryError):
                continue
            for name in filter(OURS.fullmatch, names):
                with suppress(FileNotFoundError):
                    self._files.unlink(os.path.join(folder, name))

    def _stage(self, deletion: LayerDeletion, loaded: Loaded, deadline: float, cancelled: Callable[[], bool]) -> bool:
        """Move the files to quarantine; False if there may be a record of them by now."""
        locks = writable_lock_files(self._location)
        with hold(
            locks, "exclusive", deadline=deadline, files=self._files, metrics=self._metrics, cancelled=cancelled
        ) as held:
            if self._reader.stamp() != loaded.stamp or not all(lock.still_named() for lock in held):
                return False
            deletion.confirm(held)
            deletion.stage()
            return True

    def _deletion(self, loaded: Loaded, orphans: Orphans) -> LayerDeletion | None:
        """The deletion of those that have files but no record; None if there are none."""
        tables, graphroot, runroot = loaded.tables, self._location.graphroot, self._location.runroot
        driver = self._location.driver
        recorded: set[str] = {row.record.id for row in tables.layers if row.store == 0}
        recorded |= {row.record.id for row in tables.images if row.store == 0}
        recorded |= {row.record.id for row in tables.containers}
        layers = [each for each in orphans.layers if each not in recorded and self._any(*self._paths(each, orphans))]
        images = [each for each in orphans.images if each not in recorded]
        images = [each for each in images if self._any(image_dir(graphroot, driver, each))]
        containers = [each for each in orphans.containers if each not in recorded]
        containers = [
            each
            for each in containers
            if self._any(*(container_dir(root, driver, each) for root in (graphroot, runroot)))
        ]
        if not (layers or images or containers):
            return None
        return LayerDeletion(
            self._location,
            layers,
            images=images,
            containers=containers,
            links={layer: orphans.links[layer] for layer in layers if layer in orphans.links},
            files=self._files,
            metrics=self._metrics,
        )

    def _paths(self, layer: LayerID, orphans: Orphans) -> tuple[str, ...]:
        graphroot, driver = self._location.graphroot, self._location.driver
        contents = contents_of(self._location, self._files)
        short = contents.short_name(layer) or orphans.links.get(layer)
        return (
            *contents.pieces(layer, short),
            tar_split(graphroot, driver, layer),
            layer_data(graphroot, driver, layer),
        )

    def _any(self, *paths: str) -> bool:
        return any(exists(self._files, path) for path in paths)

    def _parents(self) -> dict[str, str]:
        return staging_parents(self._location, contents_of(self._location, self._files))
