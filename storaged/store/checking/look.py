"""One look at the files of a store: the means that every check of files is given. Reads only, takes no lock."""

from __future__ import annotations

import errno
import os
import re
import stat as mode_bits
from typing import Final, Literal

from attrs import field, frozen

from storaged.store.checking.state import State, layer_roots
from storaged.store.files import Files, read_whole
from storaged.store.layout.paths import layer_contents
from storaged.store.layout.records import LayerID
from storaged.store.tables import LayerRow, StoreLocation

Scope = Literal["records", "files", "contents"]
"""``records``: the tables alone; ``files``: what stat and small files tell; ``contents``: every byte."""

SMALL: Final = 1 << 16
"""Bytes of a ``lower`` at most: 500 layers need 15 kB; ``lower-layers`` of as many 33 kB."""

TEMPORARY_SECONDS: Final = 3600.0
"""A temporary file older than this was left: it lives for milliseconds."""

GRACE_SECONDS: Final = 60.0
"""What is guarded by no lock of the store may be at work if it is younger than this."""

ID: Final = re.compile(r"[0-9a-f]{64}")
_LINK: Final = re.compile(r"[0-9A-Z]{1,64}")


@frozen(kw_only=True, eq=False)
class Look:
    """The tables of one moment and the files beside them. ``now`` is in seconds since 1970."""

    location: StoreLocation
    files: Files
    state: State
    scope: Scope
    now: float
    _links: dict[LayerID, str | None] = field(factory=dict)

    def kind_of(self, path: str) -> Literal["file", "directory", "link", "other"] | None:
        """What lies at the path; None where there is nothing. Follows no link."""
        try:
            mode = self.files.stat(path, follow_symlinks=False).st_mode
        except (FileNotFoundError, NotADirectoryError):
            return None
        if mode_bits.S_ISREG(mode):
            return "file"
        if mode_bits.S_ISDIR(mode):
            return "directory"
        return "link" if mode_bits.S_ISLNK(mode) else "other"

    def age(self, path: str) -> float | None:
        """Seconds since the file was changed by its own time; None where it is gone."""
        try:
            return self.now - self.files.stat(path, follow_symlinks=False).st_mtime
        except FileNotFoundError:
            return None

    def names(self, path: str) -> list[str]:
        """What a directory holds, sorted; nothing where there is none."""
        try:
            return sorted(self.files.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def text(self, path: str) -> str | None:
        """A small file; None where there is none. What is no text comes with surrogates.

        Raises:
            OSError: it is larger, no regular file, or cannot be read.
        """
        try:
            data, _ = read_whole(self.files, path, SMALL, follow=False)
        except FileNotFoundError:
            return None
        return data.decode("utf-8", "surrogateescape")

    def target(self, path: str) -> str | None:
        """Where a symbolic link points to; None where there is nothing, or something else."""
        try:
            return self.files.readlink(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL, errno.ENOTDIR):
                return None
            raise

    def layer_folder(self, row: LayerRow) -> str:
        """Where a layer's contents lie, or would: split stores have two places."""
        driver = self.location.driver
        folders = [layer_contents(root, driver, row.record.id) for root in layer_roots(self.location, row.store)]
        return next((folder for folder in folders if self.kind_of(folder) is not None), folders[0])

    def link(self, row: LayerRow) -> str | None:
        """The short name of an overlay layer by its ``link`` file; None where that is lost. Remembered for one look."""
        id = row.record.id
        if id not in self._links:
            text = self.text(os.path.join(self.layer_folder(row), "link"))
            self._links[id] = text if text is not None and _LINK.fullmatch(text) else None
        return self._links[id]
