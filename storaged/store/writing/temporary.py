"""Replacing a file whole: a temporary file beside it, flushed, then one rename.

::

    .tmp-images.json-storaged-<boot id>-<random>    0600, the owner of the folder's other files
         │ write, fdatasync                         no lock held
         ▼ rename                                   the exclusive lock held
    images.json

The prefix is upstream's; the rest tells that the file is ours, so that a start removes only what a dead run of
ours left.

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
from storaged.store.files import FULL, Files
from storaged.store.layout.paths import own_dir
from storaged_client.contract.errors import NoSpace, StoreReadOnly

OURS: Final = re.compile(r"\.tmp-.+-storaged-([0-9a-f]{32})-[0-9a-f]{8}", re.DOTALL)
"""The names of our temporary files; the group is the boot they are of."""

_BOOT_ID: Final = "/proc/sys/kernel/random/boot_id"
_FORBIDDEN: Final = (errno.EROFS, errno.EACCES, errno.EPERM)
_NAME: Final = 100
"""Letters of the target's name that the temporary one has: a file name may have 255 bytes."""


class Temporary(Struct, frozen=True, kw_only=True):
    """A flushed file that waits for its rename. ``size`` in bytes."""

    path: str
    target: str
    size: int

    def publish(self, files: Files) -> None:
        """Put it in the place of its target, whose lock must be held exclusively.

        Raises:
            OSError: nothing happened.
        """
        with told(self.target):
            files.rename(self.path, self.target)

    def remove(self, files: Files) -> None:
        """Forget it; nothing where it was published or is gone."""
        with suppress(OSError):
            files.unlink(self.path)


def temporary_for(files: Files, target: str, data: bytes) -> Temporary:
    """The temporary file that these bytes will be in; nothing is made yet."""
    folder, name = os.path.split(target)
    path = os.path.join(folder, f".tmp-{name[:_NAME]}-storaged-{_boot_id(files)}-{os.urandom(4).hex()}")
    return Temporary(path=path, target=target, size=len(data))


def write_temporary(files: Files, temporary: Temporary, data: bytes) -> None:
    """Write and flush it; no lock need be held. Nothing is left of it where that fails.

    As root the file gets the owner of the target, or of the folder where there is none yet: a file of root's
    would lock the owner of the store out.

    Raises:
        NoSpace: the file system or a quota is full.
        StoreReadOnly: the folder cannot be written to.
        OSError: anything else, a failed flush among it, which is never tried again: the kernel may have
            forgotten the pages by then.
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
        OSError: they may be lost with the power; never tried again.
    """
    with told(folder):
        fd = files.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            files.fsync(fd)
        finally:
            files.close(fd)


def make_folder(files: Files, path: str) -> bool:
    """Make a folder as upstream does; whether it was not there. As root its owner is that of the folder above: one of
    root's would lock the owner of the store out.

    Raises:
        OSError: there is none, or there was one.
    """
    try:
        files.mkdir(path, 0o700)
    except FileExistsError:
        return False
    try:
        fd = files.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            give_away(files, fd, path)
        finally:
            files.close(fd)
    except BaseException:
        with suppress(OSError):
            files.rmdir(path)
        raise
    return True


def make_own_folder(files: Files, graphroot: str) -> None:
    """Make the store's folder of storaged's own, durably, where it is not there.

    Raises:
        OSError: there may be none.
    """
    if make_folder(files, own_dir(graphroot)):
        sync_folder(files, graphroot)


def give_away(files: Files, fd: int, path: str) -> None:
    """As root: give what was just made at the path the owner of the folder that it lies in."""
    if os.geteuid() == 0:
        above = files.stat(os.path.dirname(path))
        if above.st_uid != 0 and may_give(files, above.st_uid, above.st_gid):
            files.fchown(fd, above.st_uid, above.st_gid)


@contextmanager
def told(path: str) -> Iterator[None]:
    """Errors of the disk as what the caller can do about them, with the file they are about.

    Raises:
        NoSpace, StoreReadOnly: in place of the errors of the system that mean it.
        OSError: any other, with ``filename``.
    """
    try:
        yield
    except OSError as error:
        where = error.filename if isinstance(error.filename, str) else path
        if error.errno in FULL:
            text = f"{where}: no room left on its file system; free some there (`storagectl image prune` may)"
            raise NoSpace(text, file=where) from error
        if error.errno in _FORBIDDEN:
            raise StoreReadOnly(f"{where} cannot be written to: {error.strerror}", file=where) from error
        if error.filename is None and error.errno is not None:
            raise OSError(error.errno, error.strerror, where) from error
        raise


def _boot_id(files: Files) -> str:
    """What tells this boot from any other: 32 hexadecimal digits; zeros where the kernel does not say."""
    try:
        fd = files.open(_BOOT_ID, os.O_RDONLY)
        try:
            text = files.read(fd, 64).decode("ascii", "replace").strip().replace("-", "")
        finally:
            files.close(fd)
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
    """Write all of it from where the file stands.

    Raises:
        OSError: part of it may be written.
    """
    done = 0
    while done < len(data):
        count = files.write(fd, data[done:] if done else data)
        if count <= 0:
            raise OSError(errno.EIO, "nothing more could be written")
        done += count
