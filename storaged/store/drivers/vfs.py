"""Lists what belongs to a vfs layer and is removed with it.

::

    graphroot/vfs/
    ├── dir/<id>/           the whole file system of the layer: removed
    └── tempdirs/           lock-<n> and temp-dir-<n>/ of staged deletions (from 1.59)

Source: containers/storage ``drivers/vfs/driver.go`` (Remove, DeferredRemove).
"""

from __future__ import annotations

import os

from storaged.store.layout.paths import layer_contents
from storaged.store.layout.records import LayerID


class VfsContents:
    """The layout of one graphroot's vfs driver."""

    def __init__(self, graphroot: str) -> None:
        self.home = os.path.join(graphroot, "vfs")
        self.layers = os.path.join(self.home, "dir")
        self.staging = os.path.join(self.home, "tempdirs")
        self._graphroot = graphroot

    def short_name(self, layer: LayerID) -> None:
        """Layers of this driver have no short name."""

    def pieces(self, layer: LayerID, short: str | None) -> tuple[str, ...]:
        """The paths that make up a layer; some may be missing."""
        return (layer_contents(self._graphroot, "vfs", layer),)

    def pulls(self) -> tuple[str, ...]:
        """No pull copies files out of layers of this driver."""
        return ()
