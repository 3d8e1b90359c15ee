"""Deletes the files of layers, images and containers.

::

    prepare    no lock      refuse what is mounted; wait for pulls and imports; journal entry, flushed
    confirm    exclusive    nothing was mounted, no pull or import began since; before the first table is replaced
    stage      exclusive    move the files to quarantine, by renames (``quarantine``)
    finish     no lock      remove trees, lock files and our empty parents; flush; remove the journal entry

Tools before 1.59 do not know the parents of staging folders (``tempdirs``, ``tmp``). They are removed only if this
deletion created them: a tool that knows them may be about to create its own lock file there. Source: containers/storage
``layers.go`` (deferredDelete).
"""

from __future__ import annotations

import logging
import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from storaged.errors import LockOrderViolation
from storaged.metrics import Metrics
from storaged.store.drivers.contents import contents_of
from storaged.store.drivers.removal import Leftover, OwnRemover, RemovalCancelled, Remover
from storaged.store.drivers.userns import UserNamespace, is_needed
from storaged.store.files import FULL, Files
from storaged.store.layout.paths import layers_lock
from storaged.store.layout.records import ContainerID, ImageID, LayerID
from storaged.store.locks.record_lock import RecordLock
from storaged.store.tables import StoreLocation
from storaged.store.writing.entries import Deletion
from storaged.store.writing.in_use import MountsAndPulls
from storaged.store.writing.journal import Journal, OpenEntry
from storaged.store.writing.quarantine import Quarantine
from storaged.store.writing.staging import remove_empty
from storaged.store.writing.temporary import sync_folder
from storaged_client.contract.errors import NoSpace, StoragedError

_log = logging.getLogger(__name__)


class LayerDeletion:
    """One deletion: ``prepare``, then ``confirm``, ``stage`` and ``finish``, or ``abandon`` at any point before
    ``finish``. By one thread at a time. A missing file counts as removed.

    ``links`` are short names of layers whose folders may no longer contain them; ``times`` the ``created`` of their
    records.
    """

    def __init__(
        self,
        location: StoreLocation,
        layers: Sequence[LayerID],
        *,
        images: Sequence[ImageID] = (),
        containers: Sequence[ContainerID] = (),
        links: Mapping[LayerID, str] = MappingProxyType({}),
        times: Mapping[LayerID, str] = MappingProxyType({}),
        files: Files,
        metrics: Metrics,
    ) -> None:
        self._location = location
        self._layers = tuple(layers)
        self._images = tuple(images)
        self._containers = tuple(containers)
        self._links = dict(links)
        self._times = dict(times)
        self._files = files
        self._metrics = metrics
        self._remover: Remover = OwnRemover(files)
        self._idle: MountsAndPulls | None = None
        self._aside: Quarantine | None = None
        self._entry: OpenEntry | None = None
        self._begun = False

    def prepare(self, *, deadline: float = 0.0, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Make sure that everything can be removed. No lock of the store is needed.

        ``deadline`` is on the clock of ``time.monotonic`` and limits the wait for pulls that copy out of layers and for
        imports that read them.

        Raises:
            ImageInUse: a layer, or something of a container, is mounted.
            LayersBusy: a pull or an import was at work until the deadline, or ``cancelled`` returned true.
            StoreUnsupported: the driver is not supported, or this user has no subordinate ids.
            StoreCorrupt: the list of mounts cannot be read.
            NoSpace, StoreReadOnly, OSError: the journal cannot be written.
        """
        contents = contents_of(self._location, self._files) if self._layers else None
        self._idle = MountsAndPulls(self._location, self._layers, self._containers, contents, self._files)
        self._idle.wait(deadline, cancelled)
        if contents is not None and is_needed():
            self._remover = UserNamespace.start(self._files)
        try:
            if contents is not None:
                self._links |= {layer: short for layer in self._layers if (short := contents.short_name(layer))}
            number = str(secrets.randbits(63))
            self._aside = Quarantine(
                self._location,
                self._layers,
                self._images,
                self._containers,
                contents,
                self._links,
                number,
                files=self._files,
                remover=self._remover,
            )
            self._entry = Journal(self._location, files=self._files).begin(
                Deletion(
                    images=self._images,
                    layers=self._layers,
                    containers=self._containers,
                    links=self._links,
                    times=self._times,
                    staging=number,
                    made=tuple([os.path.relpath(path, self._location.graphroot) for path in self._aside.made]),
                )
            )
        except BaseException:
            self._remover.close()
            raise

    def confirm(self, locks: Sequence[RecordLock]) -> None:
        """Check again under the exclusive ``locks``; no table may have been replaced yet.

        Until the locks are released, nobody can import layers.

        Raises:
            ImageInUse: something was mounted since.
            LayersBusy: a pull or an import began since.
            StoreCorrupt, OSError: it cannot be determined.
            LockOrderViolation: layers are to be removed, and their lock is not among ``locks``.
        """
        if self._idle is None:
            return
        path = layers_lock(self._location.graphroot, self._location.driver)
        lock = next((held for held in locks if held.lock_file == path), None) if self._layers else None
        if self._layers and lock is None:
            raise LockOrderViolation(f"layers were to be removed without {path}")
        self._idle.confirm(lock)

    def stage(self) -> None:
        """Move everything to quarantine. The exclusive locks of layers, images and containers must be held.

        May be called again after a failure: it continues with the files that are still in place.

        Raises:
            NoSpace: there is no space for the staging folders.
            OSError: not everything was moved. The next tool that opens the store removes layers flagged incomplete,
                recovery the rest.
        """
        if self._aside is None:
            return
        self._begun = True
        try:
            self._aside.move()
        except OSError as error:
            if error.errno in FULL:
                raise NoSpace(f"{error.filename}: no space to move files to quarantine", file=error.filename) from error
            raise

    def finish(self, progress: Callable[[int, int], None], cancelled: Callable[[], bool]) -> tuple[Leftover, ...]:
        """Remove the files in quarantine. No lock of the store may be held. ``progress`` gets (done, total) in trees.

        Returns what could not be removed and why; nobody can use it any more, and recovery tries again.
        """
        if self._aside is None:
            return ()
        began = time.monotonic()
        done, total = 0, self._aside.trees

        def step() -> None:
            nonlocal done
            done += 1
            progress(done, total)

        try:
            left = self._aside.remove(cancelled, step)
        except RemovalCancelled as error:
            left = [Leftover(path=str(error), detail=_cancelled(total - done))]
        except BaseException:
            if self._entry is not None:
                self._entry.leave()
            raise
        finally:
            self._remover.close()
            self._aside.leave()
        for found in left:
            _log.warning("not removed path=%s detail=%s", found.path, found.detail)
        self._end(self._aside, left)
        self._metrics.add("layers.removed", len(self._layers))
        self._metrics.spend("deletion.finish", time.monotonic() - began)
        return tuple(left)

    def abandon(self, *, recorded: bool = False) -> None:
        """Give up the deletion. Files moved to quarantine before a failure are left to recovery.

        With ``recorded``, everything is left to recovery: a table was replaced before the failure.
        """
        self._remover.close()
        if self._aside is not None:
            self._aside.leave()
        if self._entry is None:
            return
        if self._begun or recorded:
            self._entry.leave()
            return
        try:
            self._entry.remove()
        except (OSError, StoragedError) as error:
            # The entry refers to records that all still exist, and recovery will see that.
            _log.warning("journal entry not removed path=%s error=%s", self._entry.path, error)

    def _end(self, aside: Quarantine, left: Sequence[Leftover]) -> None:
        """Flush and end the journal entry; if something is left, that is for recovery."""
        entry = self._entry
        if entry is None:
            return
        if left:
            entry.leave()
            return
        try:
            for parent in aside.made:
                remove_empty(self._files, parent)
            for folder in aside.touched():
                sync_folder(self._files, folder)
            entry.remove()
        except (OSError, StoragedError) as error:
            _log.warning("removal not finished, journal entry stays path=%s error=%s", entry.path, error)
        finally:
            entry.leave()


def _cancelled(trees: int) -> str:
    return (
        f"cancelled with {trees} still to be removed: the next start of storaged removes them, "
        "or the next command of podman 5.6 or later"
    )
