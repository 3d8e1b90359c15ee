"""Writes files among files that people edit, without losing their changes.

Each file begins with a line that has the digest of the rest. A file with a wrong digest was changed locally, and one
without the line belongs to somebody else. Both are left alone, unless ``force`` is given; then the old file stays
beside the new one. A link instead of a file (a masked unit) is never touched.

In an image, links of folders are resolved inside the image: nothing outside of it is read or written.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final, Literal

Outcome = Literal["written", "updated", "unchanged", "kept", "replaced", "removed"]

_MARK = re.compile(r"\A# Installed by storaged install-units; sha256 of the rest: ([0-9a-f]{64})\n")
_LINKS: Final = 40


def put(path: Path, text: str, *, force: bool = False, root: Path = Path("/")) -> Outcome:
    """Write a file with its mark below ``root``, unless that would lose somebody's changes. Creates its folders.

    Raises:
        OSError: it cannot be read or written; names the path.
    """
    try:
        with _folder(root, path.parent) as folder:
            return _put(folder, path.name, _marked(text), force=force)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def remove(path: Path, *, force: bool = False, root: Path = Path("/")) -> Outcome:
    """Remove a file that ``put`` wrote; one that was changed since is kept, or with ``force`` renamed to ``.old``.

    Raises:
        OSError: it cannot be read or removed; names the path.
    """
    try:
        with _folder(root, path.parent) as folder:
            try:
                there = os.stat(path.name, dir_fd=folder, follow_symlinks=False)
            except FileNotFoundError:
                return "unchanged"
            if not stat.S_ISREG(there.st_mode):
                return "kept"
            found = _read(folder, path.name)
            if not _is_ours(found):
                if not force:
                    return "kept"
                _keep(folder, path.name, found)
            os.unlink(path.name, dir_fd=folder)
            return "removed"
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def edit(path: Path, change: Callable[[str], str], *, root: Path = Path("/")) -> Outcome:
    """Replace the text of somebody's file; a missing one is empty. Mode and owner stay, and the old text is kept as
    ``.old``. A file with no text left is removed.

    Raises:
        OSError: it cannot be read or written; names the path.
        ValueError: from ``change``, or the file is not UTF-8; nothing was done.
    """
    try:
        with _folder(root, path.parent) as folder:
            return _edit(folder, path.name, change)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _edit(folder: int, name: str, change: Callable[[str], str]) -> Outcome:
    try:
        found = _read(folder, name)
        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        found, status = b"", None
    text = change(found.decode())
    if text.encode() == found:
        return "unchanged"
    if not text:
        os.unlink(name, dir_fd=folder)
        return "removed"
    temporary = f".{name}.{os.getpid()}"
    try:
        _make(folder, temporary, text.encode(), 0o644 if status is None else stat.S_IMODE(status.st_mode))
        if status is not None:
            os.chown(temporary, status.st_uid, status.st_gid, dir_fd=folder)
            _keep(folder, name, found)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    return "written" if status is None else "updated"


def _put(folder: int, name: str, whole: str, *, force: bool) -> Outcome:
    outcome: Outcome = "written"
    try:
        there = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISREG(there.st_mode):
            return "kept"
        found = _read(folder, name)
        if found == whole.encode():
            return "unchanged"
        if _is_ours(found):
            outcome = "updated"
        elif force:
            outcome = "replaced"
            _keep(folder, name, found)
        else:
            return "kept"
    temporary = f".{name}.{os.getpid()}"
    try:
        _make(folder, temporary, whole.encode(), 0o644)
        os.replace(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=folder)
        raise
    return outcome


@contextmanager
def _folder(root: Path, folder: Path) -> Iterator[int]:
    """Open a folder, creating it if needed, as a process with the root directory ``root`` would: one name after the
    other, links resolved inside, ``..`` of the root is the root itself (as in chroot(2))."""
    root.mkdir(mode=0o755, parents=True, exist_ok=True)
    with ExitStack() as stack:
        way = [_opened(str(root), None, stack)]
        waiting = list(folder.relative_to(root).parts[::-1])
        links = 0
        while waiting:
            name = waiting.pop()
            if name == "..":
                way = way[: max(1, len(way) - 1)]
                continue
            target = _link(name, way[-1])
            if target is None:
                with suppress(FileExistsError):
                    os.mkdir(name, 0o755, dir_fd=way[-1])
                way.append(_opened(name, way[-1], stack))
                continue
            links += 1
            if links > _LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
            way = way[:1] if target.startswith("/") else way
            waiting += [part for part in target.split("/")[::-1] if part not in ("", ".")]
        yield way[-1]


def _opened(name: str, folder: int | None, stack: ExitStack) -> int:
    fd = os.open(
        name, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC | (0 if folder is None else os.O_NOFOLLOW), dir_fd=folder
    )
    stack.callback(os.close, fd)
    return fd


def _link(name: str, folder: int) -> str | None:
    """The target of a link; None if it is not a link."""
    try:
        return os.readlink(name, dir_fd=folder)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.EINVAL:
            return None
        raise


def _read(folder: int, name: str) -> bytes:
    fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with open(fd, "rb") as file:
        return file.read()


def _make(folder: int, name: str, data: bytes, mode: int | None = None) -> None:
    """Create a file that does not exist.

    Raises:
        FileExistsError: it exists.
    """
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666, dir_fd=folder)
    with open(fd, "wb") as file:
        file.write(data)
        if mode is not None:
            os.fchmod(fd, mode)


def _keep(folder: int, name: str, data: bytes) -> None:
    """Keep a copy beside it, under the first free name of ``.old``, ``.old.1`` …: earlier copies stay."""
    for number in count():
        try:
            _make(folder, f"{name}.old{f'.{number}' if number else ''}", data)
        except FileExistsError:
            continue
        return


def _marked(text: str) -> str:
    return f"# Installed by storaged install-units; sha256 of the rest: {_digest(text)}\n{text}"


def _is_ours(data: bytes) -> bool:
    """Whether a file is as an installation left it."""
    text = data.decode("utf-8", "replace")
    mark = _MARK.match(text)
    return mark is not None and mark[1] == _digest(text[mark.end() :])


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
