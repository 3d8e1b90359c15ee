"""The journal: what a transaction is about to do, on disk before it begins, so that the next start can finish it.

::

    graphroot/storaged/journal-<32 hex>.json      one transaction (``entries``), 0600; removed when it is complete

An OFD lock is held on each file as long as its transaction lives, so an entry that can be locked belongs to a dead
process. An entry is written completely and flushed, with its folder, before anything in it is done. What was done is
flushed before the entry is removed.
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
"""The maximum number of bytes of an entry: 4,000 layers need 300 kB."""


class OpenEntry:
    """The entry of a live transaction. Ends by ``remove`` or, if something is left to do, by ``leave``."""

    def __init__(self, path: str, lock: RecordLock | None, files: Files) -> None:
        self.path = path
        self._lock = lock
        self._files = files

    def remove(self) -> None:
        """End the entry of a complete transaction, whose changes are on disk.

        Raises:
            NoSpace, StoreReadOnly, OSError: the entry may come back after a power loss; its lock is released all
                the same.
        """
        try:
            self._files.unlink(self.path)
            sync_folder(self._files, os.path.dirname(self.path))
        except FileNotFoundError:
            pass
        finally:
            self.leave()

    def leave(self) -> None:
        """Leave the entry to recovery."""
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
        """Write an entry; on return it is on disk and locked.

        Raises:
            NoSpace, StoreReadOnly, OSError: it is not on disk; nothing in it may be done.
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
                # Locked before it gets its name: nobody ever finds it unlocked while we live.
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
        """Whether any entry exists, live or abandoned. One system call."""
        return any(_NAME.fullmatch(name) or _TEMPORARY.fullmatch(name) for name in self._names())

    @contextmanager
    def left(self) -> Iterator[list[tuple[OpenEntry, Entry | Unread]]]:
        """The entries of dead transactions, locked until the block ends. An entry that cannot be read does not affect
        others.

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
        """Remove an entry that never got its name: nothing in it was done."""
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
                continue  # missing, or recovery has it: nothing in it was done
