"""Lists the files of a removal, and moves them to staging folders.

::

    overlay/l/<short>  overlay/<id>        → overlay/tempdirs/temp-dir-<n>/        contents
    vfs/dir/<id>                           → vfs/tempdirs/temp-dir-<n>/            contents
    drv-layers/<id>.tar-split.gz  <id>/    → drv-layers/tmp/temp-dir-<n>/          layers
    drv-images/<id>/  drv-containers/<id>/ → storaged/removed/temp-dir-<n>/        own
    runroot: drv-containers/<id>/            removed in place: a container's id is never used again

An image's folder must be moved, too: the same image may be pulled again as soon as the locks are released. It goes to
storaged's own folder, because in the others tools take unknown entries for damage.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from storaged.store.drivers.contents import LayerContents
from storaged.store.drivers.removal import Leftover, OwnRemover, Remover
from storaged.store.files import Files
from storaged.store.layout.paths import container_dir, image_dir, layer_data, layers_dir, own_dir, tar_split
from storaged.store.layout.records import ContainerID, ImageID, LayerID
from storaged.store.tables import StoreLocation
from storaged.store.writing.staging import StagingFolder, exists, mounted_below


def staging_parents(location: StoreLocation, contents: LayerContents | None) -> dict[str, str]:
    """The parents of staging folders, by what is moved there; ``contents`` is None if no layer is removed."""
    parents = {"own": os.path.join(own_dir(location.graphroot), "removed")}
    if contents is not None:
        parents["contents"] = contents.staging
        parents["layers"] = os.path.join(layers_dir(location.graphroot, location.driver), "tmp")
    return parents


class Quarantine:
    """The files of one deletion. ``contents`` is None if no layer is removed; ``remover`` moves the driver's files.

    ``links`` has the short names of layers. ``made`` lists the parents of staging folders that do not exist yet.

    Raises:
        OSError: a folder cannot be examined.
    """

    def __init__(
        self,
        location: StoreLocation,
        layers: Sequence[LayerID],
        images: Sequence[ImageID],
        containers: Sequence[ContainerID],
        contents: LayerContents | None,
        links: Mapping[LayerID, str],
        number: str,
        *,
        files: Files,
        remover: Remover,
    ) -> None:
        self._files = files
        self._own = OwnRemover(files)
        root, run, driver = location.graphroot, location.runroot, location.driver
        moves: dict[str, list[str]] = {"contents": [], "layers": [], "own": []}
        for layer in layers:
            moves["contents"] += contents.pieces(layer, links.get(layer)) if contents is not None else ()
            moves["layers"].append(tar_split(root, driver, layer))
            # Few layers have any, and none gets some while its record stays the same, so check outside of the locks.
            moves["layers"] += [path for path in (layer_data(root, driver, layer),) if exists(files, path)]
        moves["own"] += [image_dir(root, driver, image) for image in images]
        moves["own"] += [container_dir(root, driver, container) for container in containers]
        self._in_place = [container_dir(run, driver, container) for container in containers]
        if contents is not None and not exists(files, contents.home):
            moves["contents"] = []
        self._moves: list[tuple[StagingFolder, list[str]]] = []
        for kind, parent in staging_parents(location, contents).items():
            if moves[kind]:
                mover = remover if kind == "contents" else self._own
                self._moves.append((StagingFolder(parent, number, files=files, remover=mover), moves[kind]))
        self.made = tuple([folder.parent for folder, _ in self._moves if not exists(files, folder.parent)])

    def move(self) -> None:
        """Move everything to the staging folders; may be called again after a failure. The exclusive locks are held.

        Raises:
            OSError: not everything was moved.
        """
        for folder, _ in self._moves:
            folder.open()
        for folder, paths in self._moves:
            for path in paths:
                folder.take(path)

    @property
    def trees(self) -> int:
        """The number of trees that ``remove`` has to remove."""
        return sum(folder.taken for folder, _ in self._moves) + len(self._in_place)

    def remove(self, cancelled: Callable[[], bool], done: Callable[[], None]) -> list[Leftover]:
        """Remove what was moved, and the staging folders. No lock is needed. ``done`` is called after each tree.

        Returns what could not be removed.

        Raises:
            RemovalCancelled: ``cancelled`` returned true.
        """
        left: list[Leftover] = []
        for folder, _ in self._moves:
            found = mounted_below(self._files, folder.path)
            if found is None:
                found = folder.clear(cancelled, done)
            left += [] if found is None else [found]
        for path in self._in_place:
            found = mounted_below(self._files, path) or self._own.remove(path, cancelled)
            left += [] if found is None else [found]
            done()
        return left

    def leave(self) -> None:
        """Release the locks of the staging folders."""
        for folder, _ in self._moves:
            folder.leave()

    def touched(self) -> list[str]:
        """The folders that entries were moved out of and into, and the parents of the latter."""
        parents = {folder.parent for folder, _ in self._moves}
        moved = {path for _, paths in self._moves for path in paths}
        folders = {*parents, *[os.path.dirname(path) for path in (*moved, *parents)]}
        return sorted(folder for folder in folders if exists(self._files, folder))
