"""Lists what belongs to an overlay layer and is removed with it.

::

    graphroot/overlay/
    ├── <id>/               diff, link, lower, work, merged …: removed
    ├── l/<short name>      symbolic link to ../<id>/diff: removed; the folder l stays even if it is empty,
    │                       or the driver counts as unused
    ├── tempdirs/           lock-<n> and temp-dir-<n>/ of staged deletions and additions (from 1.59)
    └── staging/<x>/        staging.lock, held while a partial pull copies files out of layers (from 1.54)

The short name is in ``<id>/link``: 26 characters. It is used only if the link itself confirms it. Source:
containers/storage ``drivers/overlay/overlay.go`` (removeCommon, deferredRemove).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

from storaged.store.files import Files, FileTooLarge, NotAFile, read_whole
from storaged.store.layout.paths import layer_contents
from storaged.store.layout.records import LayerID

_SHORT = re.compile(rb"[A-Z0-9]{26}")

_NO_LINK = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EINVAL})
"""Errors that mean there is no link to read: it is lost, or something else is there."""


class OverlayContents:
    """The layout of one graphroot's overlay driver. Read-only."""

    def __init__(self, graphroot: str, files: Files) -> None:
        self.home = os.path.join(graphroot, "overlay")
        self.layers = self.home
        self.staging = os.path.join(self.home, "tempdirs")
        self._graphroot = graphroot
        self._files = files

    def short_name(self, layer: LayerID) -> str | None:
        """The short name in the layer's folder; None if there is no valid one.

        Raises:
            OSError: its ``link`` cannot be read.
        """
        path = os.path.join(layer_contents(self._graphroot, "overlay", layer), "link")
        try:
            text, _ = read_whole(self._files, path, 64, follow=False)
        except (FileNotFoundError, NotADirectoryError, NotAFile, FileTooLarge):
            return None
        except OSError as error:
            if error.errno == errno.ELOOP:
                return None
            raise
        return text.decode() if _SHORT.fullmatch(text) else None

    def pieces(self, layer: LayerID, short: str | None) -> tuple[str, ...]:
        """The paths that make up a layer with this short name, in the order of removal; some may be missing.

        Raises:
            OSError: its link cannot be read.
        """
        folder = layer_contents(self._graphroot, "overlay", layer)
        if short is None or not _SHORT.fullmatch(short.encode()):
            return (folder,)
        link = os.path.join(self.home, "l", short)
        try:
            target = self._files.readlink(link)
        except OSError as error:
            if error.errno not in _NO_LINK:
                raise
            return (folder,)  # the link belongs to another layer
        return (link, folder) if target == f"../{layer}/diff" else (folder,)

    def pulls(self) -> Iterator[str]:
        """The lock files of partial pulls.

        Raises:
            OSError: their folder cannot be read.
        """
        above = os.path.join(self.home, "staging")
        try:
            names = self._files.listdir(above)
        except FileNotFoundError:
            return
        for name in sorted(names):
            yield os.path.join(above, name, "staging.lock")
