"""The listening socket: inherited, or bound under a temporary name and renamed into place.

::

    DIR/                     created with mode 0700 if it is missing
    DIR/.storaged-1f2e3d     bound, mode set, listening
    DIR/storaged.sock        the same inode after the rename: never absent, never refusing, never 0666

A path is replaced only if it is a socket that does not accept connections. It is removed only while it still is the
inode bound here. Both happen under flock(2) of the folder, so that of two daemons that start together one sees the
other's socket.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import select
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from storaged.server import peercred
from storaged.server.errors import SocketTaken, SocketUnusable

PATH_LIMIT = 107
"""Bytes of a path in ``sockaddr_un``: 108 with its NUL."""

_BACKLOG = 128
_FOLDER_LOCK_SECONDS = 5.0


class Listener:
    """A listening socket and its path."""

    def __init__(self, sock: socket.socket, path: str, *, inherited: bool) -> None:
        self.socket = sock
        self.path = path
        self.inherited = inherited
        self._inode = None if inherited else _inode(path)

    def waiting(self) -> bool:
        """Whether a client waits in the queue."""
        poll = select.poll()
        poll.register(self.socket.fileno(), select.POLLIN)
        return bool(poll.poll(0))

    def withdraw(self) -> None:
        """Remove the path, so that no new client comes. The path of an inherited socket stays: it is not ours.

        Blocks for the folder's lock; a path with another inode by now is left alone.
        """
        inode, self._inode = self._inode, None
        if inode is None:
            return
        try:
            with _folder_lock(os.path.dirname(self.path)):
                if _inode(self.path) == inode:
                    os.unlink(self.path)
        except (OSError, SocketUnusable):
            # A path that cannot be removed refuses connections from now on; the next daemon replaces it.
            return

    def close(self) -> None:
        """Close this process's descriptor. An inherited socket keeps listening in the service manager."""
        self.socket.close()


def inherit(sock: socket.socket) -> Listener:
    """The listener for a socket that the service manager passed."""
    return Listener(sock, os.fsdecode(sock.getsockname()), inherited=True)


def bind(path: str, *, mode: int = 0o600) -> Listener:
    """Listen at ``path``, replacing a dead socket. Blocks; call it outside the event loop.

    Raises:
        SocketTaken: another process listens there.
        SocketUnusable: the path is too long, abstract, not a socket, or in a folder where others can replace it.
        OSError: the folder cannot be created or written.
    """
    path = _checked(path)
    folder = os.path.dirname(path)
    _make_folder(folder)
    temporary = _temporary(path)
    with _folder_lock(folder):
        _require_free(path)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            # Linux takes the new inode's mode from the socket's own: at no moment is it wider, and the umask, which
            # belongs to all threads, is not changed.
            os.fchmod(sock.fileno(), mode)
            try:
                sock.bind(temporary)
            except OSError as error:
                # The error itself names no path.
                raise OSError(error.errno, error.strerror, folder) from error
            try:
                os.chmod(temporary, mode)
                sock.listen(_BACKLOG)
                os.rename(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
            return Listener(sock, path, inherited=False)
        except BaseException:
            sock.close()
            raise


def _checked(path: str) -> str:
    if path.startswith(("@", "\0")):
        raise SocketUnusable(f"socket {path!r} is abstract: it would have no mode and no owner; give a path")
    if "\0" in path or not path:
        raise SocketUnusable(f"socket {path!r} is not a path")
    path = os.path.abspath(path)
    size = len(os.fsencode(path))
    if size > PATH_LIMIT:
        raise SocketUnusable(
            f"socket path {path} is {size} bytes long and the kernel takes {PATH_LIMIT}: choose a shorter --socket"
        )
    return path


def _temporary(path: str) -> str:
    """A name in the same folder that is no longer than the longest the kernel accepts."""
    room = PATH_LIMIT - len(os.fsencode(os.path.dirname(path))) - 1
    name = f".storaged-{secrets.token_hex(3)}"
    if len(name) > room:
        name = f".{secrets.token_hex(3)}"
    if len(name) > room:
        raise SocketUnusable(f"socket path {path} leaves no room for a temporary name beside it: choose a shorter one")
    return os.path.join(os.path.dirname(path), name)


def _make_folder(folder: str) -> None:
    missing = []
    here = Path(folder)
    while not here.exists():
        missing.append(here)
        here = here.parent
    for item in reversed(missing):
        try:
            item.mkdir(0o700)
        except FileExistsError:
            continue
    seen = os.stat(folder)
    if not stat.S_ISDIR(seen.st_mode):
        raise SocketUnusable(f"{folder} is not a folder")
    if os.geteuid() != 0 and seen.st_uid not in (0, os.geteuid()):
        raise SocketUnusable(f"{folder} belongs to another user (uid {seen.st_uid}), who could replace the socket")
    if seen.st_mode & stat.S_IWOTH and not seen.st_mode & stat.S_ISVTX:
        raise SocketUnusable(f"anyone can replace files in {folder}: a socket there would not be safe")


@contextmanager
def _folder_lock(folder: str) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + _FOLDER_LOCK_SECONDS
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise SocketUnusable(f"another process holds a lock on {folder}") from None
                time.sleep(0.02)
        yield
    finally:
        os.close(descriptor)


def _require_free(path: str) -> None:
    try:
        seen = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(seen.st_mode):
        raise SocketUnusable(f"{path} exists and is not a socket: remove it or choose another --socket")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return
        except BlockingIOError:
            raise SocketTaken(f"another process listens at {path} and has a full queue", pid=None) from None
        except OSError as error:
            if error.errno == errno.EPROTOTYPE:
                raise SocketTaken(f"{path} is a socket of another type, in use", pid=None) from error
            raise
        pid = peercred.of_socket(probe).pid or None
    raise SocketTaken(f"process {pid or '(of another pid namespace)'} already listens at {path}", pid=pid)


def _inode(path: str) -> tuple[int, int] | None:
    try:
        seen = os.lstat(path)
    except OSError:
        return None
    return (seen.st_dev, seen.st_ino)
