"""In-use checks before layers are removed: no mounts, no pulls that copy from them, no imports.

A mount and its count change under layers.lock, so what ``confirm`` finds under that lock stays true until it is
released. A pull holds no lock of the tables while it copies, only its own ``overlay/staging/<x>/staging.lock``;
upstream lets deletions disturb it, and the pull fails. An import of composefs-rs holds a flock(2) on layers.lock
(``locks.layer_readers``), for as long as it likes. A process that holds a lock of the store never waits for either.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Sequence
from functools import partial

from storaged.store.drivers.contents import LayerContents
from storaged.store.drivers.mount_points import below, count_identity, counted, counted_file, mount_points
from storaged.store.files import Files, Identity
from storaged.store.layout.paths import containers_dir, layers_lock
from storaged.store.layout.records import ContainerID, LayerID
from storaged.store.locks.layer_readers import holder_of_flock, reader_at_work, shut_out
from storaged.store.locks.order import holding
from storaged.store.locks.probe import LockHolder, Probe, busy, identify
from storaged.store.locks.record_lock import RecordLock
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import ImageInUse, StoreBusy

_PAUSE = 0.02
"""Seconds between two checks for a pull or an import."""


_log = logging.getLogger(__name__)


class LayersBusy(StoreBusy):
    """A pull or an import uses layers: release every lock, wait for its end (``await_idle``), and decide again."""


class MountsAndPulls:
    """The obstacles to a deletion. ``contents`` is None if no layer is removed."""

    def __init__(
        self,
        location: StoreLocation,
        layers: Sequence[LayerID],
        containers: Sequence[ContainerID],
        contents: LayerContents | None,
        files: Files,
    ) -> None:
        self._location = location
        self._layers = frozenset(layers)
        self._containers = frozenset(containers)
        self._contents = contents
        self._files = files
        self._probe = Probe(files)
        self._seen: Identity | None = None

    def wait(self, deadline: float, cancelled: Callable[[], bool]) -> None:
        """Refuse mounts, and wait for pulls and imports. No lock of the store is needed; if one is held, there is no
        wait.

        Raises:
            ImageInUse: something is mounted.
            LayersBusy: one is at work at ``deadline``, or at once if a lock is held or ``cancelled`` returns true.
            StoreCorrupt, OSError: it cannot be determined.
        """
        if self._layers:
            await_idle(self._location, self._contents, self._files, deadline, cancelled)
        self._refuse_counted()
        self._refuse_mounted()

    def confirm(self, lock: RecordLock | None) -> None:
        """The same without a wait, and cheaply. If layers are removed, ``lock`` is layers.lock, held for writing;
        imports are excluded until it is released.

        Raises:
            ImageInUse, LayersBusy, StoreCorrupt, OSError: as ``wait``.
        """
        if lock is not None and not shut_out(lock.descriptor):
            raise _imported(holder_of_flock(lock.lock_file, self._files))
        if self._layers and count_identity(self._location, self._files) != self._seen:
            self._refuse_counted()
        self._refuse_mounted()
        if (pull := _pull(self._contents, self._probe, self._files)) is not None:
            raise _pulled(pull, self._files)

    def _refuse_counted(self) -> None:
        if not self._layers:
            return
        mounted, self._seen = counted(self._location, self._files)
        found = {layer: path for layer, path in mounted.items() if layer in self._layers}
        if found:
            raise _in_use(found, f"according to {counted_file(self._location)}")

    def _refuse_mounted(self) -> None:
        points = mount_points(self._files)
        found: dict[str, str] = {}
        if self._contents is not None:
            found |= self._mounted(points, self._contents.layers, self._layers)
        for root in (self._location.graphroot, self._location.runroot):
            found |= self._mounted(points, containers_dir(root, self._location.driver), self._containers)
        if found:
            raise _in_use(found, "see findmnt")

    def _mounted(self, points: Sequence[str], folder: str, ids: frozenset[str]) -> dict[str, str]:
        if not ids:
            return {}
        return {name: point for name, point in below(points, os.path.realpath(folder)) if name in ids}


def await_idle(
    location: StoreLocation,
    contents: LayerContents | None,
    files: Files,
    deadline: float,
    cancelled: Callable[[], bool],
) -> None:
    """Wait until no pull into the store and no import out of it runs.

    Raises:
        LayersBusy: one runs at ``deadline``, or at once if this thread holds a lock of the store (a pull needs
            these locks to finish, and an import takes its time), or ``cancelled`` returns true.
        OSError: it cannot be determined.
    """
    probe, lock = Probe(files), layers_lock(location.graphroot, location.driver)
    told = False
    while True:
        # Not both at once: under the locks of the store, the descriptor that holds them shows the import.
        if (pull := _pull(contents, probe, files)) is not None:
            error = partial(_pulled, pull, files)
        elif not holding() and (reader := reader_at_work(lock, files)) is not None:
            error = partial(_imported, reader)
        else:
            return
        if cancelled() or holding() or time.monotonic() >= deadline:
            raise error()
        if not told:
            _log.info("a removal waits: %s", error())
            told = True
        time.sleep(_PAUSE)


def _pull(contents: LayerContents | None, probe: Probe, files: Files) -> LockHolder | None:
    """The holder of a pull's lock."""
    for path in contents.pulls() if contents is not None else ():
        if (holder := probe.holder_at(path)) is not None:
            return holder
    return None


def _pulled(pull: LockHolder, files: Files) -> LayersBusy:
    error = busy(identify(pull, files))
    return LayersBusy(f"a pull copies files out of layers: {error.message}", error.data)


def _imported(reader: LockHolder) -> LayersBusy:
    error = busy(reader)
    return LayersBusy(f"an import (composefs, bootc) reads layers: {error.message}", error.data)


def _in_use(found: dict[LayerID, str] | dict[str, str], why: str) -> ImageInUse:
    shown = ", ".join(f"{name[:12]} at {path or 'an unknown place'}" for name, path in list(found.items())[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return ImageInUse(
        f"mounted: {shown}{more} ({why}); unmount with podman image unmount, podman unmount or buildah umount",
        mounted=dict(found),
    )
