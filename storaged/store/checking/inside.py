"""Opens files below a directory as a process in a container would: symbolic links never lead out of it.

A layer's files may have been unpacked through a link in the same layer (``lib`` to ``/usr/lib``), so links are
followed. An absolute link starts at the layer's own root, and ``..`` stops there.
"""

from __future__ import annotations

import errno
import os
import stat as mode_bits
from collections import deque
from collections.abc import Callable
from typing import Final, TypeVar

from storaged.store.files import Files, open_regular

_MOST_LINKS: Final = 40
T = TypeVar("T")


class Inside:
    """A directory, and access to what is below it. Must be closed."""

    def __init__(self, files: Files, root: str) -> None:
        self._files = files
        self._root = files.open(root, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW)

    def close(self) -> None:
        self._files.close(self._root)

    def has(self, name: str) -> bool:
        """Whether something of any kind exists there, even if we may not read it.

        Raises:
            OSError: as stat(2).
        """
        try:
            self._walk(name, lambda part, here: self._files.stat(part, dir_fd=here, follow_symlinks=False), last=True)
        except PermissionError:
            return True
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            if error.errno == errno.ELOOP:
                return False
            raise
        return True

    def open(self, name: str) -> int:
        """Open a regular file for reading. ``name`` is always relative, even if it begins with ``/``.

        Raises:
            NotAFile: it is something else.
            OSError: as open(2), including ELOOP.
        """
        return self._walk(name, lambda part, here: open_regular(self._files, part, dir_fd=here, follow=False))

    def _walk(self, name: str, end: Callable[[str, int], T], *, last: bool = False) -> T:
        """Go to a name and call ``end`` with its last part and its folder; ``last``: even if it is a link."""
        way: list[int] = []
        rest = deque(_parts(name))
        links = 0
        try:
            while rest:
                part = rest.popleft()
                here = way[-1] if way else self._root
                if part == "..":
                    if way:
                        self._files.close(way.pop())
                    continue
                if last and not rest:
                    return end(part, here)
                status = self._files.stat(part, dir_fd=here, follow_symlinks=False)
                if mode_bits.S_ISLNK(status.st_mode):
                    links += 1
                    if links > _MOST_LINKS:
                        raise OSError(40, os.strerror(40), name)
                    target = self._files.readlink(part, dir_fd=here)
                    if target.startswith("/"):
                        while way:
                            self._files.close(way.pop())
                    rest.extendleft(reversed(_parts(target)))
                elif rest:
                    way.append(self._files.open(part, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here))
                else:
                    return end(part, here)
            raise IsADirectoryError(21, os.strerror(21), name)
        finally:
            for fd in way:
                self._files.close(fd)


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".")]
