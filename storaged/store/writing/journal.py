"""What a transaction is about to do, on disk before it begins, so that the next start can finish it.

::

    graphroot/storaged/journal-<32 hex>.json      one transaction (``entries``), 0600; removed when it is through

Each file is held by an OFD lock for as long as its transaction lives, so an entry that can be locked belongs to a
process that died. An entry is written whole and flushed, its folder too, before anything it speaks of is done; and what
was done is flushed before the entry goes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from filelock import Timeout

from storaged.store.files import Files, read_whole
from storaged.store.layout.paths import own_dir
from storaged.store.locks.record_lock import RecordLock
from storaged.store.tables import StoreLocation
from storaged.store.writing.entries import Entry, Unread, decode, encode, not_understood
from storaged.store.writing.temporary import make_own_folder, sync_folder, told, write_all

_NAME = re.compile(r"journal-[0-9a-f]{32}\.json")
_TEMPORARY = re.compile(r"\.tmp-journal-[0-9a-f]{32}\.json")
_LIMIT = 16 << 20
"""Bytes of one entry: 4,000 layers need 300 kB."""


class OpenEntry:
    """An entry whose transaction lives. Ends by ``remove`` or, where something is left to do, by ``leave``."""

    def __init__(self, path: str, lock: RecordLock | None, files: Files) -> None:
        self.path = path
        self._lock = lock
        self._files = files

    def remove(self) -> None:
        """The transaction is through, and what it did is on disk.

        Raises:
            NoSpace, StoreReadOnly, OSError: the entry may come back after a power loss; its lock is given back all the
                same.
        """
        try:
            self._files.unlink(self.path)
            sync_folder(self._files, os.path.dirname(self.path))
        except FileNotFoundError:
            pass
        finally:
            self.leave()

    def leave(self) -> None:
        """The entry stays for recovery."""
        if self._lock is not None:
            self._lock.release()


class Journal:
    """The entries of one store. Stateless; safe from any thread."""

    def __init__(self, location: StoreLocation, *, files: Files) -> None:
        self._graphroot = location.graphroot
        self._folder = own_dir(location.graphroot)
        self._driver = location.driver
        self._files = files

    def begin(self, entry: Entry) -> OpenEntry:
        """Write an entry: on disk when this returns, and held.

        Raises:
            NoSpace, StoreReadOnly, OSError: it is not on disk; nothing it speaks of may be done.
        """
        with told(self._folder):
            return self._begin(entry)

    def _begin(self, entry: Entry) -> OpenEntry:
        name = f"journal-{os.urandom(16).hex()}.json"
        path = os.path.join(self._folder, name)
        temporary = os.path.join(self._folder, f".tmp-{name}")
        make_own_folder(self._files, self._graphroot)
        fd = self._files.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        lock = RecordLock(temporary, mode_held="exclusive", files=self._files)
        try:
            try:
                # Locked before it has its name: nobody ever finds it free while we live.
                lock.acquire(blocking=False)
                write_all(self._files, fd, encode(entry, self._driver))
                self._files.fsync(fd)
            finally:
                self._files.close(fd)
            self._files.rename(temporary, path)
            sync_folder(self._files, self._folder)
        except BaseException:
            lock.release()
            self._forget(temporary, path)
            raise
        return OpenEntry(path, lock, self._files)

    def pending(self) -> bool:
        """Whether any entry is there, living or left. One system call."""
        return any(_NAME.fullmatch(name) or _TEMPORARY.fullmatch(name) for name in self._names())

    @contextmanager
    def left(self) -> Iterator[list[tuple[OpenEntry, Entry | Unread]]]:
        """The entries of transactions that died, held until the block ends. One that cannot be had stops no other.

        Raises:
            OSError: the folder cannot be read.
        """
        found: list[tuple[OpenEntry, Entry | Unread]] = []
        try:
            for name in self._names():
                path = os.path.join(self._folder, name)
                try:
                    if _TEMPORARY.fullmatch(name):
                        self._remove_dead(path)
                    elif _NAME.fullmatch(name) and (lock := self._lock(path)) is not None:
                        held = OpenEntry(path, lock, self._files)
                        found.append((held, Unread(why="it was not read")))
                        found[-1] = (held, self._read(path))
                except OSError as error:
                    found.append((OpenEntry(path, None, self._files), Unread(why=error.strerror or str(error))))
            yield found
        finally:
            for held, _ in found:
                held.leave()

    def _names(self) -> list[str]:
        try:
            return sorted(self._files.listdir(self._folder))
        except FileNotFoundError:
            return []

    def _lock(self, path: str) -> RecordLock | None:
        lock = RecordLock(path, mode_held="exclusive", files=self._files)
        try:
            lock.acquire(blocking=False)
        except (Timeout, FileNotFoundError):
            return None
        return lock

    def _read(self, path: str) -> Entry | Unread:
        try:
            data = read_whole(self._files, path, _LIMIT, follow=False)[0]
        except OSError as error:
            return not_understood(error)
        return decode(data, self._driver)

    def _remove_dead(self, temporary: str) -> None:
        """An entry that never got its name: nothing of it was done."""
        lock = self._lock(temporary)
        if lock is not None:
            try:
                self._files.unlink(temporary)
            finally:
                lock.release()

    def _forget(self, *paths: str) -> None:
        for path in paths:
            try:
                self._files.unlink(path)
            except OSError:
                continue  # not there, or recovery's: it speaks of nothing that was done
