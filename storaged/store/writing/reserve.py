"""The reserve: disk space kept for removals on a full disk.

::

    graphroot/storaged/
    ├── reserve         blocks for twice the JSON of the writable store, plus 1 MiB
    └── reserve.d/      64 empty files, an inode each: 00 … 63

A removal first writes new tables beside the old ones, so on a full file system nothing could ever be removed. For a
removal that finds no space, the reserve is released to the file system, and taken again afterwards. Any process may use
the space in between. Then the removal fails as it would have without the reserve, and the next one tries again.
"""

from __future__ import annotations

import errno
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from storaged.store.files import FULL, Files, opened
from storaged.store.inventory import table_files
from storaged.store.layout.paths import own_dir
from storaged.store.tables import StoreLocation

MARGIN = 1 << 20
"""Bytes beyond twice the JSON: for the files of a deletion, and for the blocks of growing folders."""

INODES = 64
"""A removal creates about a dozen files and folders at once."""

_STEP = 256 << 10
"""Bytes allocated at a time, so that a nearly full disk still gives what it has."""

_CANNOT_ALLOCATE = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})
_BLOCK = 512
"""The unit of ``st_blocks``, whatever the file system's own."""

_log = logging.getLogger(__name__)


class Reserve:
    """The reserve of one store. Safe from several threads.

    It never makes a removal fail: problems are logged, and the next use tries again.
    """

    def __init__(self, location: StoreLocation, *, files: Files | None = None) -> None:
        self._files = files or Files()
        self._folder = own_dir(location.graphroot)
        self._blocks = os.path.join(self._folder, "reserve")
        self._inodes = os.path.join(self._folder, "reserve.d")
        self._tables = tuple(table.path for table in table_files(location) if table.store == 0)
        self._mutex = threading.Lock()
        self._users = 0
        self.trouble: str | None = None
        """Why the reserve was incomplete when it was last built; None if it was complete, or not needed yet."""

    def build(self) -> bool:
        """Allocate what is missing, and release what is far too much; returns whether the reserve is complete.

        Blocking; a few system calls if it is complete. While it is released, nothing is allocated.
        """
        with self._mutex:
            return self._users == 0 and self._take()

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the space until the block ends; then allocate as much of it as possible."""
        with self._mutex:
            self._users += 1
            if self._users == 1:
                self._give()
        try:
            yield
        finally:
            with self._mutex:
                self._users -= 1
                if self._users == 0:
                    self._take()

    def wanted(self) -> int:
        """Bytes of a complete reserve for the present size of the tables."""
        total = 0
        for path in self._tables:
            try:
                total += self._files.stat(path).st_size
            except OSError:
                continue  # no such table, or one that no removal could write either
        return 2 * total + MARGIN

    # -------------------------------------------------------------- taking

    def _take(self) -> bool:
        try:
            self._make_folder(self._folder)
            missing = self._take_inodes() + self._take_blocks(self.wanted())
        except OSError as error:
            _log.warning("reserve for a full disk cannot be built path=%s error=%s", self._folder, error)
            self.trouble = f"no space can be reserved: {error.strerror or error}"
            return False
        self.trouble = None
        if missing:
            self.trouble = f"the reserved space is incomplete: {missing} bytes or inodes are missing"
            _log.warning("reserve for a full disk is incomplete path=%s missing=%d", self._folder, missing)
        return not missing

    def _take_inodes(self) -> int:
        """Returns how many inodes are missing."""
        names = {f"{number:02}" for number in range(INODES)}
        try:
            self._make_folder(self._inodes)
            missing = sorted(names.difference(self._files.listdir(self._inodes)))
            while missing:
                path = os.path.join(self._inodes, missing[-1])
                self._files.close(self._files.open(path, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW))
                missing.pop()
        except OSError as error:
            if error.errno not in FULL:
                raise
            return max(1, len(names.difference(self._present())))
        return 0

    def _present(self) -> list[str]:
        try:
            return self._files.listdir(self._inodes)
        except FileNotFoundError:
            return []

    def _take_blocks(self, wanted: int) -> int:
        """Returns how many bytes are missing."""
        try:
            fd = self._files.open(self._blocks, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW)
        except OSError as error:
            if error.errno not in FULL:
                raise
            return wanted
        try:
            status = self._files.fstat(fd)
            if status.st_size > 2 * wanted:
                self._files.truncate(fd, wanted)
            elif status.st_size < wanted or status.st_blocks * _BLOCK < wanted:
                # A file without its blocks is a copy of the reserve: allocate all of it again.
                begin = status.st_size if status.st_blocks * _BLOCK >= status.st_size else 0
                return wanted - self._extend(fd, begin - begin % _STEP, wanted)
        finally:
            self._files.close(fd)
        return 0

    def _extend(self, fd: int, begin: int, wanted: int) -> int:
        """Give the file blocks from ``begin`` on; returns how far it got."""
        try:
            while begin < wanted:
                length = min(_STEP, wanted - begin)
                self._allocate(fd, begin, length)
                begin += length
            self._files.fsync(fd)
        except OSError as error:
            if error.errno not in FULL:
                raise
        return begin

    def _allocate(self, fd: int, begin: int, length: int) -> None:
        try:
            self._files.allocate(fd, begin, length)
        except OSError as error:
            if error.errno not in _CANNOT_ALLOCATE:
                raise
            # Noise, because a compressing file system allocates no blocks for zeros.
            data = os.urandom(length)
            while data:
                written = self._files.pwrite(fd, data, begin)
                data, begin = data[written:], begin + written

    def _make_folder(self, path: str) -> None:
        try:
            self._files.mkdir(path, 0o700)
        except FileExistsError:
            return

    # -------------------------------------------------------------- giving

    def _give(self) -> None:
        try:
            for name in self._present():
                self._files.unlink(os.path.join(self._inodes, name))
        except OSError as error:
            _log.warning("inodes of the reserve cannot be released path=%s error=%s", self._inodes, error)
        try:
            with opened(self._files, self._blocks, os.O_RDWR | os.O_NOFOLLOW) as fd:
                self._files.truncate(fd, 0)
                # Freed blocks and inodes become available only when the file system's journal has recorded it.
                self._files.fsync(fd)
        except OSError as error:
            _log.warning("blocks of the reserve cannot be released path=%s error=%s", self._blocks, error)
