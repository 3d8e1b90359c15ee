"""The daemon's only access to the store's disk.

All code above takes a :class:`Files` as a parameter, so that tests can make any call fail, lose it or count it. The
methods are the system calls and nothing else; they raise the kernel's ``OSError``.
"""

from __future__ import annotations

import errno
import os
import stat as mode_bits
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Final, TypeAlias

from storaged.store.same_mount import open_same_mount

Identity: TypeAlias = tuple[int, int, int, int, int]
"""(dev, inode, size, mtime_ns, ctime_ns) of a file. A rename changes it, and so does a write in place."""

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Errors of a full file system or an exhausted quota."""

EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS, errno.EAGAIN, errno.EINTR})
"""Errors from a lack of resources: they say nothing about the file."""

DISK_FAILED: Final = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EREMOTEIO})
"""Errors of a disk or file server that did not answer in time or completely; a later attempt may succeed."""

_LEAST = 4096


class Files:
    """The system calls on files. Stateless; safe from any thread."""

    def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        """Open with close-on-exec: a descriptor inherited by a child would keep a record lock alive."""
        return os.open(path, flags | os.O_CLOEXEC, mode, dir_fd=dir_fd)

    def enter(self, name: str, dir_fd: int) -> int:
        """Open a folder inside an open folder, or the one above (``..``); never a link, never across a mount point.

        Raises:
            OSError: as open(2); EXDEV if something is mounted there, including a bind mount.
        """
        return open_same_mount(name, dir_fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def stat(self, path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        return os.stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def read(self, fd: int, count: int) -> bytes:
        return os.read(fd, count)

    def pread(self, fd: int, count: int, offset: int) -> bytes:
        return os.pread(fd, count, offset)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def write(self, fd: int, data: bytes) -> int:
        return os.write(fd, data)

    def truncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def allocate(self, fd: int, offset: int, length: int) -> None:
        """Allocate a file's blocks, so that later writes into them need none."""
        os.posix_fallocate(fd, offset, length)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def fchmod(self, fd: int, mode: int) -> None:
        os.fchmod(fd, mode)

    def fchown(self, fd: int, uid: int, gid: int) -> None:
        os.fchown(fd, uid, gid)

    def rename(self, source: str, target: str) -> None:
        os.rename(source, target)

    def unlink(self, path: str, *, dir_fd: int | None = None) -> None:
        os.unlink(path, dir_fd=dir_fd)

    def rmdir(self, path: str, *, dir_fd: int | None = None) -> None:
        os.rmdir(path, dir_fd=dir_fd)

    def mkdir(self, path: str, mode: int = 0o700) -> None:
        os.mkdir(path, mode)

    def access(self, path: str, mode: int) -> bool:
        return os.access(path, mode)

    def readlink(self, path: str, *, dir_fd: int | None = None) -> str:
        return os.readlink(path, dir_fd=dir_fd)

    def listdir(self, path: str) -> list[str]:
        return os.listdir(path)

    def scan(self, fd: int) -> AbstractContextManager[Iterator[os.DirEntry[str]]]:
        """The entries of an open folder, as they come; after ``fd`` is closed, only their names can be used."""
        return os.scandir(fd)


def identity(status: os.stat_result) -> Identity:
    """The five values that identify a file."""
    return (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def is_regular(status: os.stat_result) -> bool:
    return mode_bits.S_ISREG(status.st_mode)


class NotAFile(OSError):
    """The path is a FIFO, a directory or a device, which cannot be read as a whole."""


class FileTooLarge(OSError):
    """The file is longer than the caller can use."""


@contextmanager
def opened(files: Files, path: str, flags: int, mode: int = 0o600) -> Iterator[int]:
    """Open a file for as long as the block lasts.

    Raises:
        OSError: as open(2).
    """
    fd = files.open(path, flags, mode)
    try:
        yield fd
    finally:
        files.close(fd)


def read_proc(files: Files, path: str) -> bytes:
    """Read a whole file that does not tell its size, like those of /proc.

    Raises:
        OSError: as open(2) and read(2).
    """
    parts: list[bytes] = []
    with opened(files, path, os.O_RDONLY) as fd:
        while part := files.read(fd, 1 << 16):
            parts.append(part)
    return b"".join(parts)


def open_regular(files: Files, path: str, *, dir_fd: int | None = None, follow: bool = True) -> int:
    """Open a regular file for reading; never blocks on a FIFO and, without ``follow``, follows no link.

    Raises:
        NotAFile: it is something else.
        OSError: as open(2).
    """
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | (0 if follow else os.O_NOFOLLOW)
    fd = files.open(path, flags, dir_fd=dir_fd)
    try:
        if not is_regular(files.fstat(fd)):
            raise NotAFile(0, "not a regular file", path)
    except BaseException:
        files.close(fd)
        raise
    return fd


def read_whole(
    files: Files, path: str, limit: int, *, dir_fd: int | None = None, follow: bool = True
) -> tuple[bytes, Identity]:
    """Read a complete file through one descriptor. The identity is taken before the first byte.

    A file that is replaced meanwhile is read as it was. A write in place is not noticed here; compare the identity
    afterwards.

    Raises:
        NotAFile, FileTooLarge: it cannot be read completely; ``limit`` is in bytes.
        OSError: as open(2) and read(2).
    """
    fd = open_regular(files, path, dir_fd=dir_fd, follow=follow)
    try:
        status = files.fstat(fd)
        if status.st_size > limit:
            raise FileTooLarge(0, f"{status.st_size} bytes, more than {limit}", path)
        parts: list[bytes] = []
        total = 0
        # One more read than the size requires: reading ends at the first empty result, even if the file grew meanwhile.
        while part := files.read(fd, max(_LEAST, status.st_size - total + 1)):
            parts.append(part)
            total += len(part)
            if total > limit:
                raise FileTooLarge(0, f"more than {limit} bytes", path)
        return (parts[0] if len(parts) == 1 else b"".join(parts)), identity(status)
    finally:
        files.close(fd)
