"""Replaces a whole file: a temporary file beside it, flushed, then one rename.

::

    .tmp-images.json-storaged-<boot id>-<random>    0600, the owner of the folder's other files
         │ write, fdatasync                         no lock held
         ▼ rename                                   the exclusive lock held
    images.json

The prefix is upstream's. The rest marks the file as ours, so that a start removes only what a dead run of ours left.

Source: containers/storage ``pkg/ioutils/fswriters.go`` (AtomicFileWriter).
"""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from msgspec import Struct

from storaged.store.drivers.userns import may_give
from storaged.store.files import FULL, Files, opened, read_proc
from storaged.store.layout.paths import own_dir
from storaged_client.contract.errors import NoSpace, StoreReadOnly

OURS: Final = re.compile(r"\.tmp-.+-storaged-([0-9a-f]{32})-[0-9a-f]{8}", re.DOTALL)
"""The names of our temporary files; the group is the boot id."""

_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_FORBIDDEN: Final = (errno.EROFS, errno.EACCES, errno.EPERM)
_NAME: Final = 100
"""The maximum number of characters of the target's name in the temporary one: a file name may have 255 bytes."""


class Temporary(Struct, frozen=True, kw_only=True):
    """A flushed file that waits for its rename. ``size`` in bytes."""

    path: str
    target: str
    size: int

    def publish(self, files: Files) -> None:
        """Rename it to its target, whose lock must be held exclusively.

        Raises:
            OSError: nothing happened.
        """
        with told(self.target):
            files.rename(self.path, self.target)

    def remove(self, files: Files) -> None:
        """Remove it; does nothing if it was published or is gone."""
        with suppress(OSError):
            files.unlink(self.path)


def temporary_for(files: Files, target: str, data: bytes) -> Temporary:
    """The temporary file for these bytes; nothing is created yet."""
    folder, name = os.path.split(target)
    path = os.path.join(folder, f".tmp-{name[:_NAME]}-storaged-{_boot_id(files)}-{os.urandom(4).hex()}")
    return Temporary(path=path, target=target, size=len(data))


def write_temporary(files: Files, temporary: Temporary, data: bytes) -> None:
    """Write and flush it; no lock is needed. A failure leaves nothing behind.

    As root, the file gets the owner of the target, or of the folder if there is no target yet: a file of root's would
    lock the owner of the store out.

    Raises:
        NoSpace: the file system or a quota is full.
        StoreReadOnly: the folder cannot be written.
        OSError: any other error. A failed flush is never tried again: the kernel may have dropped the pages
            by then.
    """
    path, target = temporary.path, temporary.target
    with told(target):
        uid, gid = _owner(files, target)
        fd = files.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            try:
                files.fchmod(fd, 0o600)
                status = files.fstat(fd)
                if (status.st_uid, status.st_gid) != (uid, gid) and may_give(files, uid, gid):
                    files.fchown(fd, uid, gid)
                write_all(files, fd, data)
                files.fdatasync(fd)
            finally:
                files.close(fd)
        except BaseException:
            with suppress(OSError):
                files.unlink(path)
            raise


def sync_folder(files: Files, folder: str) -> None:
    """Make the renames within a folder durable.

    Raises:
        OSError: a power loss may undo them; never tried again.
    """
    with told(folder), opened(files, folder, os.O_RDONLY | os.O_DIRECTORY) as fd:
        files.fsync(fd)


def make_folder(files: Files, path: str) -> bool:
    """Create a folder like upstream; returns whether it was missing. As root, its owner is that of the folder above:
    one of root's would lock the owner of the store out.

    Raises:
        OSError: it does not exist, or existed already.
    """
    try:
        files.mkdir(path, 0o700)
    except FileExistsError:
        return False
    try:
        with opened(files, path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW) as fd:
            give_away(files, fd, path)
    except BaseException:
        with suppress(OSError):
            files.rmdir(path)
        raise
    return True


def make_own_folder(files: Files, graphroot: str) -> None:
    """Create storaged's own folder in the store, durably, if it is missing.

    Raises:
        OSError: it may not exist.
    """
    if make_folder(files, own_dir(graphroot)):
        sync_folder(files, graphroot)


def give_away(files: Files, fd: int, path: str) -> None:
    """As root: give a new file the owner of its folder."""
    if os.geteuid() == 0:
        above = files.stat(os.path.dirname(path))
        if above.st_uid != 0 and may_give(files, above.st_uid, above.st_gid):
            files.fchown(fd, above.st_uid, above.st_gid)


@contextmanager
def told(path: str) -> Iterator[None]:
    """Turn disk errors into the contract's errors, with the file they are about.

    Raises:
        NoSpace, StoreReadOnly: instead of the system's errors with that meaning.
        OSError: any other, with ``filename``.
    """
    try:
        yield
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else path
        if error.errno in FULL:
            text = f"{where}: no space left on its file system; free some there (`storagectl image prune` may)"
            raise NoSpace(text, file=where) from error
        if error.errno in _FORBIDDEN:
            raise StoreReadOnly(f"{where} cannot be written to: {error.strerror}", file=where) from error
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, where) from error
        raise


def _boot_id(files: Files) -> str:
    """An identifier of this boot: 32 hexadecimal digits; zeros if the kernel does not provide it."""
    try:
        text = read_proc(files, _BOOT_ID).decode("ascii", "replace").strip().replace("-", "")
    except OSError:
        text = ""
    return text if len(text) == 32 and text.isalnum() else "0" * 32


def _owner(files: Files, target: str) -> tuple[int, int]:
    try:
        status = files.stat(target, follow_symlinks=False)
    except FileNotFoundError:
        status = files.stat(os.path.dirname(target))
    return status.st_uid, status.st_gid


def write_all(files: Files, fd: int, data: bytes) -> None:
    """Write all bytes at the present position of the file.

    Raises:
        OSError: part of it may be written.
    """
    done = 0
    while done < len(data):
        count = files.write(fd, data[done:] if done else data)
        if count <= 0:
            raise OSError(errno.EIO, "no more could be written")
        done += count
