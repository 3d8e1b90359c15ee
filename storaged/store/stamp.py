"""Stamps: the identity of the store's files at one moment, from a few system calls and without a lock.

A stamp is the 64-byte token in each lock file, (dev, inode) of each lock file by path, and the identity of each table,
including volatile ones and those of additional stores. A missing file is a value, too. A cached generation is current
as long as the stamp equals its own.

The token alone is not enough: writers up to 1.46 write it after the table, later ones before. The table's identity
alone is not enough either: an inode may be reused within one tick of the file system's clock.
"""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Collection, Sequence
from typing import TypeAlias

from msgspec import Struct

from storaged.metrics import Metrics
from storaged.store.files import Files, Identity, identity
from storaged.store.locks.probe import LockHolder, Probe
from storaged.store.locks.token import read_token

LockIdentity: TypeAlias = tuple[int, int, bytes | None] | None
"""(dev, inode, token) of a lock file; (-1, errno, None) if it cannot be read; None if there is no file."""


class Stamp(Struct, frozen=True):
    """If two stamps are equal, nothing was written in between. Stamps are values: those of different watches
    compare."""

    locks: tuple[LockIdentity, ...]
    tables: tuple[Identity | None, ...]


class _Kept:
    """A lock file and the open descriptor of it."""

    __slots__ = ("dev", "fault", "fd", "ino", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = -1
        self.dev = self.ino = -1
        self.fault: OSError | None = None


class StampWatch:
    """Takes stamps of a set of files. Keeps a read-only descriptor of each lock file open between stamps.

    Safe from several threads, one at a time; a thread that must not wait needs its own watch. Nothing is ever created.
    Closing a descriptor is harmless, because this process takes only OFD locks.
    """

    def __init__(self, locks: Sequence[str], tables: Sequence[str], files: Files, metrics: Metrics) -> None:
        self._locks = [_Kept(path) for path in locks]
        self._tables = tuple(tables)
        self._files = files
        self._metrics = metrics
        self._probe = Probe(files)
        self._mutex = threading.Lock()

    def take(self) -> Stamp:
        """Take the stamp of this moment. Opens a file only if a lock file appeared or was replaced."""
        with self._mutex:
            return Stamp(
                tuple([self._token(kept) for kept in self._locks]),
                tuple([self._identity(path) for path in self._tables]),
            )

    def writer(self, *, besides: Collection[str] = ()) -> LockHolder | None:
        """The first process that holds any of the locks, except ``besides``, for writing. Examines the lock files of
        the last stamp."""
        with self._mutex:
            for kept in self._locks:
                if kept.fd < 0 or kept.path in besides:
                    continue
                try:
                    holder = self._probe.writer(kept.fd, kept.path)
                except OSError:
                    continue  # a file system without record locks has no holders
                if holder is not None:
                    return holder
        return None

    def fault(self) -> OSError | None:
        """Why the last stamp could not read an existing lock file that we may open.

        While there is a fault, nothing is proven, because that lock was not probed. A file that we may not open at all
        is not a fault; such a store is read by the identity of its files.
        """
        with self._mutex:
            return next((kept.fault for kept in self._locks if kept.fault is not None), None)

    def unreadable(self) -> tuple[str, ...]:
        """The lock files of the last stamp that are missing or cannot be opened."""
        with self._mutex:
            return tuple(kept.path for kept in self._locks if kept.fd < 0)

    def close(self) -> None:
        with self._mutex:
            for kept in self._locks:
                self._drop(kept)

    def _identity(self, path: str) -> Identity | None:
        try:
            return identity(self._files.stat(path))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            return (-1, error.errno or 0, 0, 0, 0)

    def _token(self, kept: _Kept) -> LockIdentity:
        kept.fault = None
        try:
            status = self._files.stat(kept.path)
            if (status.st_dev, status.st_ino) != (kept.dev, kept.ino):
                self._reopen(kept)
            return (kept.dev, kept.ino, read_token(self._files, kept.fd))
        except (FileNotFoundError, NotADirectoryError):
            self._drop(kept)
            return None
        except PermissionError:
            self._drop(kept)
            return (-1, errno.EACCES, None)
        except OSError as error:
            self._drop(kept)
            kept.fault = OSError(error.errno, error.strerror, kept.path)
            return (-1, error.errno or 0, None)

    def _reopen(self, kept: _Kept) -> None:
        self._drop(kept)
        # O_NONBLOCK: whatever has this name, even a FIFO, must not block the event loop.
        kept.fd = self._files.open(kept.path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
        self._metrics.add("files.opened")
        status = self._files.fstat(kept.fd)
        kept.dev, kept.ino = status.st_dev, status.st_ino

    def _drop(self, kept: _Kept) -> None:
        if kept.fd >= 0:
            self._files.close(kept.fd)
        kept.fd = kept.dev = kept.ino = -1
