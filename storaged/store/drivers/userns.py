"""Runs a child process in the user namespace of a user's store, where it may do what the user may not.

Layers of a user's store hold files of subordinate uids. Only a process in a namespace that maps those uids can move and
remove these files; podman enters such a namespace, too (``podman unshare``). Ids are mapped as podman maps them::

    inside   outside                                /etc/subuid, /etc/subgid
    0        our own id
    1 …      the ranges of the user, one after another    name-or-uid:first:count

A user without ranges gets only the first line, as in podman, and has no files of other ids either. The child has a
single thread and no descriptors but two pipes. It obeys a few commands (``userns_child``) and ends when its stdin
closes.
"""

from __future__ import annotations

import os
import pwd
import select
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final

import msgspec

import storaged
from storaged.store.drivers.removal import Leftover, RemovalCancelled
from storaged.store.files import Files, read_whole
from storaged_client.contract.errors import StoreUnsupported

_LIMIT = 1 << 20
_LOOK = 0.1
"""Seconds between two checks whether a removal was cancelled."""


class ChildDied(OSError):
    """The child ended in the middle of a command."""


class UserNamespace:
    """The child, as a ``Remover``. One command at a time."""

    def __init__(self, child: subprocess.Popen[bytes], files: Files) -> None:
        self._child = child
        self._files = files
        self._buffer = b""

    @classmethod
    def start(cls, files: Files, *, subuid: str = "/etc/subuid", subgid: str = "/etc/subgid") -> UserNamespace:
        """Start a child and set up its namespace. Blocking, some 50 ms.

        Raises:
            StoreUnsupported: this user cannot have such a namespace; the text says what is missing.
        """
        ranges = _ranges(files, subuid, os.getuid()), _ranges(files, subgid, os.getuid())
        mappers = [shutil.which(name) for name in ("newuidmap", "newgidmap")]
        if any(ranges) and not all(mappers):
            raise StoreUnsupported(
                "layers of a user's store are removed in its user namespace, which needs newuidmap and newgidmap: "
                "install them (package uidmap or shadow-utils)"
            )
        namespace = cls(_spawn(), files)
        try:
            namespace._enter(ranges, mappers)
        except (OSError, subprocess.SubprocessError) as error:
            namespace.close()
            raise StoreUnsupported(f"the user namespace of the store cannot be entered: {error}") from None
        except BaseException:
            namespace.close()
            raise
        return namespace

    def rename(self, source: str, target: str) -> None:
        try:
            # Most layers' folders belong to the user, and this runs while the store's locks are held.
            self._files.rename(source, target)
        except PermissionError:
            self._checked(("rename", source, target))

    def remove(self, path: str, cancelled: Callable[[], bool]) -> Leftover | None:
        answer = self._checked(("remove", path), cancelled)
        return Leftover(path=answer[1], detail=answer[2]) if answer[0] == "left" else None

    def close(self) -> None:
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()
        try:
            self._child.wait(1.0)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _enter(self, ranges: tuple[_Ranges, _Ranges], mappers: Sequence[str | None]) -> None:
        self._checked(("unshare",))
        if any(ranges):
            for mapper, own, given in zip(mappers, (os.getuid(), os.getgid()), ranges, strict=True):
                _map(str(mapper), self._child.pid, own, given)
        else:
            self._checked(("map", str(os.getuid()), str(os.getgid())))
        self._checked(("begin",))

    def _checked(self, command: tuple[str, ...], cancelled: Callable[[], bool] = lambda: False) -> list[str]:
        answer = self._ask(command, cancelled)
        if answer[0] == "error":
            raise OSError(int(answer[1]), answer[2], command[1] if len(command) > 1 else None)
        return answer

    def _ask(self, command: tuple[str, ...], cancelled: Callable[[], bool]) -> list[str]:
        stdin, stdout = self._child.stdin, self._child.stdout
        if stdin is None or stdout is None or stdin.closed:
            raise ChildDied("the child in the user namespace exited")
        try:
            stdin.write(_encode(command))
            stdin.flush()
        except BrokenPipeError:
            raise ChildDied("the child in the user namespace ended") from None
        # Not select: a busy daemon has descriptors beyond its 1024.
        poll = select.poll()
        poll.register(stdout, select.POLLIN)
        while b"\n" not in self._buffer:
            if not poll.poll(_LOOK * 1000):
                if cancelled():
                    self._child.kill()
                    raise RemovalCancelled(command[-1])
                continue
            part = os.read(stdout.fileno(), 1 << 16)
            if not part:
                raise ChildDied("the child in the user namespace ended")
            self._buffer += part
        line, _, self._buffer = self._buffer.partition(b"\n")
        return [os.fsdecode(bytes.fromhex(word)) for word in msgspec.json.decode(line)]


_Ranges = tuple[tuple[int, int], ...]
"""(first, count) of subordinate ids."""


INITIAL: Final = 0xEFFFFFFD
"""Inode of the initial user namespace (Linux ``include/linux/proc_ns.h``, PROC_USER_INIT_INO)."""

_OVERFLOW: Final = 65534
"""The id shown for ids that a namespace does not map; /proc/sys/kernel/overflowuid, which nobody changes."""


def is_needed() -> bool:
    """Whether layers may hold files that this process may not touch. Root may touch all, even in its own namespace."""
    return os.geteuid() != 0


def is_rootless(files: Files) -> bool:
    """Whether this process is root only in its own namespace, as containers/storage 1.64 decides it.

    A map of all ids does not make a namespace the initial one; releases up to 1.63 assumed that. Source:
    containers/storage ``pkg/unshare`` (HasCapSysAdmin, the namespace's inode).
    """
    if os.geteuid() != 0 or os.environ.get("_CONTAINERS_USERNS_CONFIGURED"):
        return True
    try:
        return files.stat("/proc/self/ns/user").st_ino != INITIAL
    except OSError:
        return False


def may_give(files: Files, uid: int, gid: int) -> bool:
    """Whether a file can be given this owner: root of a namespace cannot use an id that is not mapped there."""
    return os.geteuid() == 0 and not (_OVERFLOW in (uid, gid) and is_rootless(files))


def _encode(command: Sequence[str]) -> bytes:
    # Paths are bytes: JSON would refuse those that are not UTF-8.
    return msgspec.json.encode([os.fsencode(word).hex() for word in command]) + b"\n"


def _spawn() -> subprocess.Popen[bytes]:
    above = os.path.dirname(os.path.dirname(os.path.abspath(storaged.__file__)))
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "storaged.store.drivers.userns_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd="/",
            # A Ctrl-C is meant for the daemon, which stops the child itself.
            start_new_session=True,
            env={"PYTHONPATH": above, "PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8"},
        )
    except OSError as error:
        raise StoreUnsupported(f"a process in the store's user namespace cannot be started: {error}") from None


def _map(mapper: str, pid: int, own: int, ranges: _Ranges) -> None:
    """Run newuidmap or newgidmap, which map what /etc/subuid or /etc/subgid gives to this user.

    Raises:
        OSError: it refuses.
    """
    words = ["0", str(own), "1"]
    inside = 1
    for first, count in ranges:
        words += [str(inside), str(first), str(count)]
        inside += count
    done = subprocess.run([mapper, str(pid), *words], capture_output=True, text=True, check=False, timeout=30)
    if done.returncode != 0:
        raise OSError(f"{os.path.basename(mapper)}: {done.stderr.strip() or f'exit {done.returncode}'}")


def _ranges(files: Files, path: str, uid: int) -> _Ranges:
    """The subordinate ids of a user, by name or number, in the order of the file."""
    try:
        data, _ = read_whole(files, path, _LIMIT)
    except OSError:
        return ()
    try:
        owners = {str(uid), pwd.getpwuid(uid).pw_name}
    except KeyError:
        owners = {str(uid)}
    found = []
    for line in data.decode("utf-8", "replace").splitlines():
        words = line.strip().split(":")
        if len(words) == 3 and words[0] in owners and words[1].isdigit() and words[2].isdigit() and int(words[2]) > 0:
            found.append((int(words[1]), int(words[2])))
    return tuple(found)
