"""Finds the daemon's socket, and connects to it.

The path is the first of: the argument, ``$STORAGED_SOCKET``; then for root ``/run/storaged/storaged.sock``, for others
``$XDG_RUNTIME_DIR/storaged/storaged.sock``, ``/run/user/UID/storaged/storaged.sock`` if that folder is ours,
``/tmp/storaged-UID/storaged.sock``. That is the socket of the default store; those of other stores are beside it
(``stores``).
"""

from __future__ import annotations

import errno
import os
import socket
import stat
import sys

from .errors import AddressError, DaemonUnavailable, SocketForbidden
from .storage_conf import acting_uid

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection

MAX_PATH = 107
"""Bytes of ``sun_path`` on Linux, without the closing zero."""

NAME = "storaged.sock"


def find(address: str | os.PathLike[str] | None = None) -> str:
    """The path of the socket, by default that of the default store. Creates nothing, and only checks a folder in /tmp.

    Raises: AddressError, if the path cannot be a socket's; SocketForbidden, if the folder in /tmp belongs to someone
    else.
    """
    return given(address) or default()


def given(address: str | os.PathLike[str] | None = None) -> str | None:
    """The argument, else ``$STORAGED_SOCKET``; None if there is neither.

    Raises: AddressError.
    """
    if address is not None:
        return check(os.fspath(address))
    named = os.environ.get("STORAGED_SOCKET")
    return check(named) if named else None


def default() -> str:
    """The path of the default store's socket. Inside podman's user namespace it is that of the user.

    Raises: SocketForbidden, as ``find``.
    """
    uid = acting_uid(os.environ, os.geteuid())
    if uid == 0:
        return f"/run/storaged/{NAME}"
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.path.isabs(runtime):  # the XDG specification says to ignore a relative one
        return os.path.join(runtime, "storaged", NAME)
    runtime = f"/run/user/{uid}"
    if _is_ours(runtime):
        return os.path.join(runtime, "storaged", NAME)
    folder = f"/tmp/storaged-{uid}"
    check_private(folder)
    return os.path.join(folder, NAME)


def check(path: str) -> str:
    """Return ``path`` if a socket can have it.

    Raises: AddressError.
    """
    if not path or path[0] in "@\0":
        raise AddressError("abstract socket names are refused: they have no mode and no owner; give a path")
    if "\0" in path:
        raise AddressError("a path cannot hold a zero byte")
    if "://" in path:
        raise AddressError(f"{path} is a URL; a socket is given by its path, such as {default()}")
    length = len(os.fsencode(path))
    if length > MAX_PATH:
        raise AddressError(
            f"the socket's path has {length} bytes, the kernel accepts {MAX_PATH}: "
            f"choose a shorter one with --socket or STORAGED_SOCKET instead of {path}"
        )
    return path


def _is_ours(folder: str) -> bool:
    try:
        facts = os.stat(folder)
    except OSError:
        return False
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid()


def check_private(folder: str) -> None:
    """Refuse a folder in a place where anyone may have created it, unless it is ours alone.

    A folder that does not exist passes. Symbolic links are not followed, because everyone may write to /tmp.

    Raises: SocketForbidden.
    """
    try:
        facts = os.lstat(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise SocketForbidden(f"{folder}: {error.strerror}") from error
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.geteuid() or facts.st_mode & 0o077:
        raise SocketForbidden(f"{folder} is not a folder of this user with mode 0700: remove it or set STORAGED_SOCKET")


def make_folder(path: str) -> None:
    """Create the folder of the socket at ``path``, 0700, if it is missing and the default one; its parent must exist.

    Raises: SocketForbidden, if it is someone else's or we may not create it; DaemonUnavailable, if it is missing and
    not the default one, or cannot be created.
    """
    folder = os.path.dirname(os.path.abspath(path))
    if folder != os.path.dirname(default()):
        if not os.path.isdir(folder):
            raise DaemonUnavailable(f"{folder} is not an existing folder: create it, or choose another socket")
        return
    try:
        os.mkdir(folder, 0o700)
    except FileExistsError:
        if folder.startswith("/tmp/storaged-"):
            check_private(folder)
    except PermissionError as error:
        raise SocketForbidden(f"{folder} cannot be created: {error.strerror}") from error
    except OSError as error:
        hint = "create its parent folder, or choose another socket with --socket or STORAGED_SOCKET"
        raise DaemonUnavailable(f"{folder} cannot be created: {error.strerror}; {hint}") from error


class NobodyListens(DaemonUnavailable):
    """There is no socket at the path, or nobody listens on it."""


class QueueFull(DaemonUnavailable):
    """The daemon's queue of waiting connections is full: try again shortly."""


def connect(path: str, uids: Collection[int] = ()) -> socket.socket:
    """Connect without waiting; the returned socket is in blocking mode.

    The daemon must run as this user, root, one of ``uids`` or a uid in ``$STORAGED_SERVER_UIDS``: whatever the state of
    the folder was before, someone else may have put a socket there since.

    Raises: NobodyListens, QueueFull, SocketForbidden, DaemonUnavailable.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.connect(path)
        sock.setblocking(True)
        _check_listener(sock, path, uids)
    except SocketForbidden:
        sock.close()
        raise
    except OSError as error:
        sock.close()
        raise _meaning(error, path) from error
    except BaseException:
        sock.close()
        raise
    return sock


def _check_listener(sock: socket.socket, path: str, uids: Collection[int]) -> None:
    """Refuse a daemon of another user, by what the kernel recorded when it began to listen (unix(7), SO_PEERCRED).

    Raises: SocketForbidden.
    """
    # struct ucred: pid, uid, gid, 32 bits each.
    uid = int.from_bytes(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)[4:8], sys.byteorder)
    if uid in (0, os.geteuid()) or uid in uids:
        return
    named = os.environ.get("STORAGED_SERVER_UIDS", "").replace(",", " ").split()
    if str(uid) not in named:
        raise SocketForbidden(
            f"{path}: the listening process has uid {uid}, neither this user nor root; if that is intended, set "
            f"STORAGED_SERVER_UIDS={uid}"
        )


def _meaning(error: OSError, path: str) -> Exception:
    match error.errno:
        case errno.EACCES | errno.EPERM:
            return SocketForbidden(f"{path}: {os.strerror(errno.EACCES)}: {_way_in(path)}")
        case errno.ENOENT | errno.ECONNREFUSED | errno.ENOTDIR:
            return NobodyListens(f"no daemon listens at {path}; to start one: storaged serve --socket {path}")
        case errno.EAGAIN:
            return QueueFull(f"the daemon at {path} accepts no more connections now")
    return DaemonUnavailable(f"{path}: {error.strerror}")


def _way_in(path: str) -> str:
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and path.startswith(os.path.join(runtime, "")) and not _is_ours(runtime):
        # su leaves it that way.
        return f"XDG_RUNTIME_DIR={runtime} belongs to another user; unset it, or set STORAGED_SOCKET"
    return "only its owner may use it; run this as that user"
