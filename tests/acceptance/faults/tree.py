"""A tree of files as a value: read from a disk, compared, and laid down again."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, TypeAlias

from attrs import field, frozen

Kind = Literal["file", "folder", "link"]


@frozen(cache_hash=True)
class Entry:
    """What a name leads to. ``data`` is a file's bytes or a link's target."""

    kind: Kind
    mode: int
    data: bytes = b""
    modified: int | None = field(default=None, eq=False)
    """A file's time in nanoseconds, which its layer is checked by; equal entries may differ in it."""


Tree: TypeAlias = Mapping[str, Entry]
"""Entries by path relative to the top; a folder comes before what is in it."""


def read_tree(top: Path) -> dict[str, Entry]:
    tree: dict[str, Entry] = {}
    _read_folder(str(top), "", tree)
    return tree


def _read_folder(folder: str, prefix: str, tree: dict[str, Entry]) -> None:
    with os.scandir(folder) as found:
        names = sorted([each.name for each in found])
    for name in names:
        path = f"{folder}/{name}"
        entry = tree[prefix + name] = read_entry(path)
        if entry.kind == "folder":
            _read_folder(path, f"{prefix}{name}/", tree)


def read_entry(path: str) -> Entry:
    """Raises: OSError: there is none, or it is none of the three kinds."""
    status = os.lstat(path)
    mode = stat.S_IMODE(status.st_mode)
    if stat.S_ISDIR(status.st_mode):
        return Entry("folder", mode)
    if stat.S_ISLNK(status.st_mode):
        return Entry("link", mode, os.fsencode(os.readlink(path)))
    if not stat.S_ISREG(status.st_mode):
        raise OSError(0, "neither file, folder nor link", path)
    with open(path, "rb", buffering=0) as file:
        return Entry("file", mode, file.readall(), status.st_mtime_ns)


def write_tree(tree: Tree, top: Path) -> None:
    """Make the tree the whole of ``top``. What is there already stays, but for locks: a dead process may hold one."""
    top.mkdir(parents=True, exist_ok=True)
    now = read_tree(top)
    kept = {path for path, entry in now.items() if _same(path, entry, tree.get(path))}
    for path in sorted(now.keys() - kept, reverse=True):
        remove = os.rmdir if now[path].kind == "folder" else os.unlink
        remove(os.path.join(top, path))
    folders = []
    for path in sorted(tree.keys() - kept):
        entry, target = tree[path], os.path.join(top, path)
        if entry.kind == "folder":
            os.mkdir(target)
            folders.append((target, entry.mode))
        elif entry.kind == "link":
            os.symlink(entry.data, target)
        else:
            with open(target, "wb", buffering=0) as file:
                file.write(entry.data)
            os.chmod(target, entry.mode)
            if entry.modified is not None:
                os.utime(target, ns=(entry.modified, entry.modified))
    for target, mode in reversed(folders):
        os.chmod(target, mode)


def _same(path: str, now: Entry, wanted: Entry | None) -> bool:
    return now == wanted and now.modified == wanted.modified and not path.endswith(".lock")


def below(tree: Tree, prefix: str) -> dict[str, Entry]:
    """The part of the tree that lies under a folder, by paths relative to it."""
    start = prefix.rstrip("/") + "/"
    return {path[len(start) :]: entry for path, entry in tree.items() if path.startswith(start)}


def fingerprint(tree: Tree) -> int:
    """The same for equal trees, within one process."""
    return hash(tuple((path, tree[path]) for path in sorted(tree)))


def difference(one: Tree, other: Tree) -> list[str]:
    """Lines that tell the trees apart; none where they are equal."""
    lines = [f"- {path}" for path in sorted(one.keys() - other.keys())]
    lines += [f"+ {path}" for path in sorted(other.keys() - one.keys())]
    for path in sorted(one.keys() & other.keys()):
        if one[path] != other[path]:
            lines.append(f"≠ {path}: {_told(one[path])} / {_told(other[path])}")
    return lines


def _told(entry: Entry) -> str:
    return f"{entry.kind} {entry.mode:o} {entry.data[:200]!r}"
