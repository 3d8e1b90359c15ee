"""Asks the kernel who holds a lock, without taking it.

``F_OFD_GETLK`` works on a read-only descriptor and sees both POSIX and OFD locks. It returns the pid of a POSIX holder.
An OFD lock belongs to no process; if needed, its holder is found by the ``lock:`` line in ``/proc/PID/fdinfo`` of the
descriptor that carries it.
"""

from __future__ import annotations

import fcntl
import os
import re
from typing import Literal

from msgspec import Struct, structs

from storaged.store.files import Files, read_proc
from storaged.store.locks.record_lock import FLOCK
from storaged_client.contract.errors import StoreBusy

_OFD_LINE = re.compile(
    rb"^lock:\s+\S+ OFDLCK\s+\S+\s+(READ|WRITE)\s+-?\d+ ([0-9a-f]+):([0-9a-f]+):(\d+) ", re.MULTILINE
)


class LockHolder(Struct, frozen=True, kw_only=True):
    """The holder of ``lock`` (a path); ``pid`` and ``command`` are None if the kernel does not tell."""

    lock: str
    pid: int | None = None
    command: str | None = None
    mode: Literal["read", "write"] | None = None


def busy(holder: LockHolder) -> StoreBusy:
    """The error that names this holder."""
    who = f"pid {holder.pid} ({holder.command})" if holder.pid is not None else "another process"
    how = " for writing" if holder.mode == "write" else ""
    return StoreBusy(
        f"{holder.lock} is held{how} by {who}; wait for it to end, or allow a longer timeout",
        lock=holder.lock,
        holder={"pid": holder.pid, "command": holder.command, "mode": holder.mode},
    )


class Probe:
    """Asks for the holders of lock files. Caches the name of the last holder."""

    def __init__(self, files: Files) -> None:
        self._files = files
        self._last: LockHolder | None = None

    def writer(self, fd: int, path: str) -> LockHolder | None:
        """The process that holds this descriptor's file for writing, or None. Ignores readers."""
        return self._ask(fd, path, fcntl.F_RDLCK)

    def holder(self, fd: int, path: str) -> LockHolder | None:
        """A process that holds this descriptor's file in any way; one of them if there are several readers."""
        return self._ask(fd, path, fcntl.F_WRLCK)

    def holder_at(self, path: str) -> LockHolder | None:
        """A process that holds the lock file with this name in any way; None if there is no such file.

        Raises:
            OSError: it cannot be opened.
        """
        try:
            # O_NONBLOCK: a FIFO with this name must not block the caller.
            fd = self._files.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            return self.holder(fd, path)
        finally:
            self._files.close(fd)

    def _ask(self, fd: int, path: str, wanted: int) -> LockHolder | None:
        answer = fcntl.fcntl(fd, fcntl.F_OFD_GETLK, FLOCK.pack(wanted, os.SEEK_SET, 0, 0, 0))
        kind, _, _, _, number = FLOCK.unpack(answer)
        if kind == fcntl.F_UNLCK:
            if self._last is not None and self._last.lock == path:
                self._last = None  # by the next hold, its pid may belong to another program
            return None
        # 0 is a process of another pid namespace, -1 the holder of an OFD lock.
        pid = number if number > 0 else None
        mode: Literal["read", "write"] = "write" if kind == fcntl.F_WRLCK else "read"
        last = self._last
        if last is not None and (last.lock, last.pid, last.mode) == (path, pid, mode):
            return last
        command = command_of(pid, self._files) if pid is not None else None
        self._last = LockHolder(lock=path, pid=pid, command=command, mode=mode)
        return self._last


def command_of(pid: int, files: Files) -> str | None:
    """The kernel's command name of a process (15 characters); None if it is gone."""
    data = try_proc(f"/proc/{pid}/comm", files)
    return data.decode("utf-8", "replace").rstrip("\n") if data else None


def identify(holder: LockHolder, files: Files) -> LockHolder:
    """Add the pid to the holder of an OFD lock, if ``/proc`` shows it.

    Searches the descriptors of every process we may inspect, which takes milliseconds: for reports only.
    """
    if holder.pid is not None:
        return holder
    try:
        status = files.stat(holder.lock)
        processes = files.listdir("/proc")
    except OSError:
        return holder
    mine = (os.major(status.st_dev), os.minor(status.st_dev), status.st_ino)
    for name in processes:
        if not name.isdigit():
            continue
        try:
            descriptors = files.listdir(f"/proc/{name}/fdinfo")
        except OSError:
            continue
        for descriptor in descriptors:
            data = try_proc(f"/proc/{name}/fdinfo/{descriptor}", files)
            for mode, major, minor, inode in _OFD_LINE.findall(data):
                if (int(major, 16), int(minor, 16), int(inode)) == mine and mode.decode().lower() == holder.mode:
                    return structs.replace(holder, pid=int(name), command=command_of(int(name), files))
    return holder


def try_proc(path: str, files: Files) -> bytes:
    """Read a whole file of /proc; empty if it is gone."""
    try:
        return read_proc(files, path)
    except OSError:
        return b""
