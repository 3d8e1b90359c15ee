"""Read-only access to a store's files for all checks. Takes no lock."""

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
"""``records``: only the tables; ``files``: also stat and small files; ``contents``: every byte."""

SMALL: Final = 1 << 16
"""The maximum size of ``lower`` in bytes: 500 layers need 15 kB; ``lower-layers`` for as many 33 kB."""

TEMPORARY_SECONDS: Final = 3600.0
"""A temporary file older than this was left behind: normally it lives for milliseconds."""

GRACE_SECONDS: Final = 60.0
"""Files that no lock of the store protects may still be in use if they are younger than this."""

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
        """The kind of file at the path, or None. Does not follow a link."""
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
        """Seconds since the file's modification time; None if it is gone."""
        try:
            return self.now - self.files.stat(path, follow_symlinks=False).st_mtime
        except FileNotFoundError:
            return None

    def names(self, path: str) -> list[str]:
        """The sorted entries of a directory; empty if it is missing."""
        try:
            return sorted(self.files.listdir(path))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def text(self, path: str) -> str | None:
        """The text of a small file; None if it is missing. Bytes that are not UTF-8 become surrogates.

        Raises:
            OSError: it is larger, not a regular file, or cannot be read.
        """
        try:
            data, _ = read_whole(self.files, path, SMALL, follow=False)
        except FileNotFoundError:
            return None
        return data.decode("utf-8", "surrogateescape")

    def target(self, path: str) -> str | None:
        """The target of a symbolic link; None if the path is missing or not a link."""
        try:
            return self.files.readlink(path)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINVAL, errno.ENOTDIR):
                return None
            raise

    def layer_folder(self, row: LayerRow) -> str:
        """The folder of a layer's contents, whether it exists or not: split stores have two places."""
        driver = self.location.driver
        folders = [layer_contents(root, driver, row.record.id) for root in layer_roots(self.location, row.store)]
        return next((folder for folder in folders if self.kind_of(folder) is not None), folders[0])

    def link(self, row: LayerRow) -> str | None:
        """The short name of an overlay layer from its ``link`` file; None if that is lost. Cached in this object."""
        id = row.record.id
        if id not in self._links:
            text = self.text(os.path.join(self.layer_folder(row), "link"))
            self._links[id] = text if text is not None and _LINK.fullmatch(text) else None
        return self._links[id]
