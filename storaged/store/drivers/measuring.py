"""Measures layers and volumes whose size no record holds, as podman's drivers do.

::

    overlay    the files of <layer>/diff                      (``drivers/overlay`` DiffSize)
    vfs        the files that the parent layer does not have  (``drivers/fsdiff.go`` NaiveDiffDriver.DiffSize)
    volume     the files of <volume>/_data                    (podman ``pkg/domain/infra/abi/system.go`` SystemDf)
    container  the files of its two folders, in graphroot and runroot                (``store.go`` ContainerSize)

Unlike upstream, no layer is mounted, and extended attributes are not compared. Mounts in a container's folders count
nothing.
"""

from __future__ import annotations

import os
import stat

from storaged.store.drivers.counting import Missing, Steps, Uncountable, count
from storaged.store.files import Files
from storaged.store.inventory import writable_image_roots
from storaged.store.layout.paths import container_files, layer_contents, volume_data, volumes_dir
from storaged.store.layout.records import ContainerID, LayerID
from storaged.store.tables import LayerRow, StoreLocation


class Measurer:
    """Measures the contents of one store. Takes no lock; stateless, safe from any thread."""

    def __init__(self, location: StoreLocation, files: Files | None = None) -> None:
        self._location = location
        self._files = files or Files()

    def layer(self, row: LayerRow) -> Steps:
        """Bytes of a layer's own files, in steps.

        Raises:
            Missing: its folder does not exist.
            Uncountable: they cannot be counted.
        """
        layer, parent = row.record.id, row.record.parent or None
        driver = self._location.driver
        if driver not in ("overlay", "vfs"):
            raise Uncountable(f"layers of the driver {driver} are not measured")
        folder = self._folder(layer, row.store)
        if driver == "overlay":
            return (yield from count(self._files, os.path.join(folder, "diff")))
        try:
            lower = self._folder(parent, row.store) if parent is not None else None
        except Missing as error:
            raise Uncountable(str(error)) from None
        return (yield from count(self._files, folder, lower))

    def container(self, container: ContainerID) -> Steps:
        """Bytes of the files that tools keep for a container, in steps; a missing folder has none.

        Raises:
            Uncountable: they cannot be counted.
        """
        _require_name(container, "container")
        total = 0
        for root in (self._location.graphroot, self._location.runroot):
            try:
                total += yield from count(self._files, container_files(root, self._location.driver, container))
            except Missing:
                continue
        return total

    def volumes(self) -> tuple[str, ...] | None:
        """Names of the local volumes; None if their folder does not exist or may not be read. Blocking."""
        folder = volumes_dir(self._location.graphroot)
        try:
            names = sorted(self._files.listdir(folder))
        except OSError:
            return None
        return tuple(name for name in names if self._is_folder(volume_data(self._location.graphroot, name)))

    def volume(self, name: str) -> Steps:
        """Bytes of a volume's files, in steps. Mounts inside are not measured.

        Raises:
            Missing, Uncountable: as ``layer``.
        """
        folder = volume_data(self._location.graphroot, name)
        try:
            mounted = self._device(folder) != self._device(os.path.dirname(folder))
        except OSError as error:
            raise Missing(f"{folder}: {os.strerror(error.errno or 0)}") from None
        if mounted:
            raise Uncountable("another file system is mounted there")
        return (yield from count(self._files, folder))

    def _folder(self, layer: LayerID, store: int) -> str:
        """The layer's folder, in the first root that has it."""
        _require_name(layer, "layer")
        if store > 0:
            # The parent of a read-only layer may be in any additional store.
            roots: tuple[str, ...] = (self._location.additional[store - 1], *self._location.additional)
        else:
            roots = (*writable_image_roots(self._location), *self._location.additional)
        folders = [layer_contents(root, self._location.driver, layer) for root in roots]
        found = next((folder for folder in folders if self._is_folder(folder)), None)
        if found is None:
            raise Missing(f"{folders[0]}: the folder is missing")
        return found

    def _is_folder(self, path: str) -> bool:
        try:
            return stat.S_ISDIR(self._files.stat(path, follow_symlinks=False).st_mode)
        except OSError:
            return False

    def _device(self, path: str) -> int:
        return self._files.stat(path, follow_symlinks=False).st_dev


def _require_name(id_: str, kind: str) -> None:
    if "/" in id_ or "\0" in id_ or id_ in ("", ".", ".."):
        raise Uncountable(f"the id of a {kind} is not a folder name")
