"""Whether layers may go: nothing of them is mounted, and no pull copies files out of them.

A mount and its count change under layers.lock, so what ``confirm`` finds under that lock holds until it is given back.
A pull holds no lock of the tables while it copies, only its own ``overlay/staging/<x>/staging.lock``; upstream lets
deletions run into it, and the pull fails.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

from storaged.errors import ImageInUse, StoreBusy
from storaged.store.drivers.contents import LayerContents
from storaged.store.drivers.mount_points import below, count_identity, counted, counted_file, mount_points
from storaged.store.files import Files, Identity
from storaged.store.layout.paths import containers_dir
from storaged.store.layout.records import ContainerID, LayerID
from storaged.store.locks.order import holding
from storaged.store.locks.probe import LockHolder, Probe, busy, identify
from storaged.store.tables import StoreLocation

_PAUSE = 0.02
"""Seconds between two looks at a pull."""


class MountsAndPulls:
    """What must not be there for a deletion. ``contents`` is None where no layer goes."""

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
        """Refuse mounts, wait for pulls. No lock of the store need be held; where one is, nothing is waited for.

        Raises:
            ImageInUse: something is mounted.
            StoreBusy: a pull is at work at ``deadline``, or at once where a lock is held or ``cancelled`` says so.
            StoreCorrupt, OSError: it cannot be told.
        """
        while (pull := self._pull()) is not None:
            # A pull needs the store's locks to end: who holds them would wait for himself.
            if cancelled() or holding() or time.monotonic() >= deadline:
                raise self._busy(pull)
            time.sleep(_PAUSE)
        self._refuse_counted()
        self._refuse_mounted()

    def confirm(self) -> None:
        """The same without a wait, cheaply. layers.lock must be held for writing.

        Raises:
            ImageInUse, StoreBusy, StoreCorrupt, OSError: as ``wait``.
        """
        if self._layers and count_identity(self._location, self._files) != self._seen:
            self._refuse_counted()
        self._refuse_mounted()
        if (pull := self._pull()) is not None:
            raise self._busy(pull)

    def _refuse_counted(self) -> None:
        if not self._layers:
            return
        mounted, self._seen = counted(self._location, self._files)
        found = {layer: path for layer, path in mounted.items() if layer in self._layers}
        if found:
            raise _in_use(found, f"so says {counted_file(self._location)}")

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

    def _pull(self) -> LockHolder | None:
        """Who holds the lock of a pull."""
        for path in self._contents.pulls() if self._contents is not None else ():
            try:
                fd = self._files.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
            except (FileNotFoundError, NotADirectoryError):
                continue
            try:
                holder = self._probe.holder(fd, path)
            finally:
                self._files.close(fd)
            if holder is not None:
                return holder
        return None

    def _busy(self, pull: LockHolder) -> StoreBusy:
        error = busy(identify(pull, self._files))
        return StoreBusy(f"a pull copies files out of layers: {error.text}", **error.evidence)


def _in_use(found: dict[LayerID, str] | dict[str, str], why: str) -> ImageInUse:
    shown = ", ".join(f"{name[:12]} at {path or 'an unknown place'}" for name, path in list(found.items())[:5])
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return ImageInUse(
        f"mounted: {shown}{more} ({why}); unmount with podman image unmount, podman unmount or buildah umount",
        mounted=dict(found),
    )
