"""Maps subordinate uids to the user they were given to.

A user of rootless podman acts as any of 65,536 uids and would otherwise have as many budgets.

Source: subuid(5). Ranges that a directory service provides (``subid:`` of nsswitch.conf) are not seen.
"""

from __future__ import annotations

import os
import pwd
from bisect import bisect_right
from typing import Final

SUBUID: Final = "/etc/subuid"
_LONGEST: Final = 4 << 20
"""The maximum number of bytes read from the file."""

Range = tuple[int, int, int]
"""First uid, the one after the last, owner."""


class Accounts:
    """The ranges of the file as it was last read."""

    def __init__(self, path: str = SUBUID) -> None:
        self._path = path
        self._stamp: object = None
        self._ranges: list[Range] = []

    def owner(self, uid: int) -> int:
        """The user whose subordinate id this is, or the uid itself. Root's ids are its own: no user can take them."""
        at = bisect_right(self._ranges, (uid, 1 << 33, 0)) - 1
        if at < 0 or uid == 0:
            return uid
        first, end, owner = self._ranges[at]
        return owner if first <= uid < end else uid

    def refresh(self) -> None:
        """Read the file if it changed; an unreadable file has no ranges. Blocks."""
        stamp = _stamp(self._path)
        if stamp == self._stamp:
            return
        try:
            with open(self._path, encoding="utf-8", errors="replace") as file:
                text = file.read(_LONGEST)
        except OSError:
            text = ""
        self._ranges = _parsed(text)
        self._stamp = stamp


def _stamp(path: str) -> object:
    try:
        seen = os.stat(path)
    except OSError:
        return ()
    return (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns)


def _parsed(text: str) -> list[Range]:
    """Sorted ranges without overlap: of overlapping ranges, the first one keeps the common part."""
    uids: dict[str, int | None] = {}
    found: list[Range] = []
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) != 3 or not (parts[1].isascii() and parts[1].isdigit() and parts[2].isascii()):
            continue
        name, first = parts[0], int(parts[1])
        if not parts[2].isdigit() or (count := int(parts[2])) == 0:
            continue
        if name not in uids:
            uids[name] = _uid(name)
        if (uid := uids[name]) is not None:
            found.append((first, first + count, uid))
    ranges: list[Range] = []
    for first, end, uid in sorted(found):
        if ranges and first < ranges[-1][1]:
            first = ranges[-1][1]
        if first < end:
            ranges.append((first, end, uid))
    return ranges


def _uid(name: str) -> int | None:
    if name.isascii() and name.isdigit():
        return int(name)
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        return None
