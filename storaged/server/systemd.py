"""The service manager's protocol, without its library: passed sockets, notifications, the watchdog.

::

    LISTEN_PID     the process the descriptors are meant for
    LISTEN_FDS     how many: 3, 4, ...
    LISTEN_FDNAMES their names, separated by colons (FileDescriptorName=)
    NOTIFY_SOCKET  a datagram socket: a path, or @name in the abstract name space
    WATCHDOG_USEC  the interval in microseconds in which it wants to hear from this process
    WATCHDOG_PID   the process that is meant

Sources: sd_listen_fds(3), sd_notify(3), sd_watchdog_enabled(3).
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping

from attrs import frozen

from storaged.server.errors import ActivationError

_FIRST = 3
_NAME = "storaged"
_API_NAME = "storaged-api"
_LIMIT = 1024
"""More descriptors than any manager passes; a larger count is a broken environment."""

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Inherited:
    """The listening sockets that the service manager passed."""

    main: socket.socket | None = None
    """For JSON-RPC: the one named ``storaged``, or the only one."""
    api: tuple[socket.socket, ...] = ()
    """For the gateway: those named ``storaged-api``, such as one of its own and one at podman's path."""


def inherited_sockets(environ: MutableMapping[str, str]) -> Inherited:
    """Take the listening sockets that the service manager passed.

    Removes the three variables, and marks every passed descriptor close-on-exec, so that no child takes them for its
    own.

    Raises:
        ActivationError: a descriptor is not a listening Unix stream socket with a path, or more than one
            is for JSON-RPC.
    """
    pid = environ.pop("LISTEN_PID", None)
    count = environ.pop("LISTEN_FDS", None)
    names = environ.pop("LISTEN_FDNAMES", None)
    if pid is None or count is None:
        return Inherited()
    if not (pid.isascii() and pid.isdigit() and count.isascii() and count.isdigit() and int(count) <= _LIMIT):
        raise ActivationError(f"LISTEN_PID={pid!r} LISTEN_FDS={count!r} are not valid numbers")
    if int(pid) != os.getpid() or int(count) == 0:
        return Inherited()
    descriptors = range(_FIRST, _FIRST + int(count))
    for descriptor in descriptors:
        try:
            os.set_inheritable(descriptor, False)
        except OSError as error:
            raise ActivationError(f"LISTEN_FDS={count} but descriptor {descriptor} is not open") from error
    main, api = _choose(descriptors, names)
    return Inherited(main=_listening(main) if main is not None else None, api=tuple(map(_listening, api)))


def _choose(descriptors: range, names: str | None) -> tuple[int | None, list[int]]:
    """The descriptors for JSON-RPC and for the gateway."""
    named = list(zip(descriptors, names.split(":") if names is not None else [], strict=False))
    main = [fd for fd, name in named if name == _NAME]
    api = [fd for fd, name in named if name == _API_NAME]
    rest = [fd for fd in descriptors if fd not in api]
    if not main and len(rest) == 1:
        main = rest
    if len(main) > 1 or (rest and not main):
        raise ActivationError(
            f"{len(descriptors)} sockets were passed, {len(main)} of them are named {_NAME!r} and {len(api)} "
            f"{_API_NAME!r} (LISTEN_FDNAMES={names or ''}): set FileDescriptorName={_NAME} in one socket unit, and "
            f"{_API_NAME} in the gateway's"
        )
    return next(iter(main), None), api


def _listening(descriptor: int) -> socket.socket:
    try:
        sock = socket.socket(fileno=descriptor)
    except OSError as error:
        raise ActivationError(f"descriptor {descriptor} was passed and is not a socket") from error
    reason = _unfit(sock)
    if reason:
        sock.detach()
        raise ActivationError(f"descriptor {descriptor} was passed and cannot be served: {reason}")
    return sock


def _unfit(sock: socket.socket) -> str | None:
    if sock.family != socket.AF_UNIX:
        return "it is not a Unix socket"
    if sock.type != socket.SOCK_STREAM:
        return "it is not a stream socket"
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        return "it does not listen (Accept=no is needed in the socket unit)"
    name = sock.getsockname()
    if not name or name[:1] in (b"\0", "\0"):
        return "its name is abstract, which has no mode and no owner"
    return None


def watchdog(environ: MutableMapping[str, str]) -> float | None:
    """The watchdog interval in seconds; None if the manager does not watch this process.

    Removes the variables: no child is watched instead of this process. An invalid value is logged, and then there is no
    watchdog; the manager will report the missing messages itself.
    """
    microseconds = environ.pop("WATCHDOG_USEC", None)
    pid = environ.pop("WATCHDOG_PID", None)
    if microseconds is None or (pid is not None and pid != str(os.getpid())):
        return None
    if not (microseconds.isascii() and microseconds.isdigit() and 0 < int(microseconds) < 2**63):
        _log.warning("invalid watchdog interval WATCHDOG_USEC=%s", microseconds)
        return None
    return int(microseconds) / 1e6


class Notifier:
    """Notifies the service manager; does nothing without one."""

    def __init__(self, address: str | None) -> None:
        self._address: str | bytes | None = None
        self._socket: socket.socket | None = None
        if not address:
            return
        if address.startswith("/"):
            self._address = address
        elif address.startswith("@"):
            self._address = b"\0" + os.fsencode(address[1:])
        else:
            _log.warning("notify socket of unknown kind address=%s", address)
            return
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    @classmethod
    def from_environment(cls, environ: MutableMapping[str, str]) -> Notifier:
        """Take ``NOTIFY_SOCKET`` out of the environment: no child may speak for this process."""
        return cls(environ.pop("NOTIFY_SOCKET", None))

    def tell(self, **fields: str | int) -> bool:
        """Send the fields as one datagram, without waiting.

        Returns False only if the manager's queue is full and the caller should try again later.
        """
        if self._socket is None or self._address is None:
            return True
        text = "".join(f"{name}={str(value).translate(_ONE_LINE)}\n" for name, value in fields.items())
        try:
            self._socket.sendto(text.encode(), self._address)
        except BlockingIOError:
            return False
        except OSError as error:
            _log.debug("notify socket does not take messages error=%s", error)
        return True

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None


_ONE_LINE = {ord("\n"): " ", ord("\0"): None}
