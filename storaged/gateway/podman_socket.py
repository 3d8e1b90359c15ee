"""The way to podman's own service: its address, who answers there, and a connection that serves several requests.

A client's connection has at most one connection to podman, opened for the first request that is passed on. It is reused
only after an exchange that both ends finished, never after a tunnel.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Mapping, Sequence
from typing import Final

import anyio
import h11
from attrs import frozen

from storaged.gateway.errors import ApiError
from storaged.gateway.sockets import connect, ended, receive, send_all

CONNECT_SECONDS: Final = 10.0
"""For podman to accept a connection. Its answer has no limit: ``wait`` answers after days."""
HEAD_BYTES: Final = 1 << 20
"""podman's own limit for a head; the first line of a chunk has the same."""

_UCRED: Final = struct.Struct("=iII")
_NOBODY: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ECONNREFUSED})


class NoPodman(ApiError):
    """There is no podman to pass anything on to."""

    def __init__(self, why: str) -> None:
        super().__init__(501, f"this needs podman's own service: {why}", why)


def usual_path(environ: Mapping[str, str], euid: int) -> str:
    """Where podman's own unit listens, for root or for a user."""
    folder = "/run" if euid == 0 else environ.get("XDG_RUNTIME_DIR", f"/run/user/{euid}")
    return f"{folder}/podman/podman.sock"


@frozen
class Listening:
    """The listener of a socket, as the kernel reports it on both ends, whatever path led to it."""

    address: str | bytes
    pid: int

    @classmethod
    def of_listener(cls, sock: socket.socket) -> Listening:
        """The listener of a socket that listens in this process or was handed over.

        Raises:
            OSError: it does not listen.
        """
        return cls(sock.getsockname(), _pid(sock))

    @classmethod
    def of_peer(cls, sock: socket.socket) -> Listening:
        """The listener that this socket is connected to.

        Raises:
            OSError: it is not connected.
        """
        return cls(sock.getpeername(), _pid(sock))


def _pid(sock: socket.socket) -> int:
    return int(_UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))[0])


@frozen(kw_only=True)
class PodmanSocket:
    """The socket where podman listens; ``path`` None: there is none. Nothing is passed on to ``own``, this daemon's
    sockets."""

    path: str | None
    own: frozenset[Listening] = frozenset()

    async def connect(self) -> PodmanConnection:
        """Open a new connection.

        Raises:
            NoPodman: nobody listens there (501).
            ApiError: the listener is this daemon itself (508), or does not accept a connection (503).
        """
        if self.path is None:
            raise NoPodman("no podman_socket is configured")
        try:
            with anyio.fail_after(CONNECT_SECONDS):
                channel = await connect(self.path)
        except TimeoutError:
            raise ApiError(503, f"podman's service at {self.path} does not accept connections") from None
        except OSError as error:
            if error.errno in _NOBODY:
                raise NoPodman(f"nobody listens on {self.path}") from error
            told = error.strerror or os.strerror(error.errno or 0)
            raise ApiError(503, f"podman's service at {self.path} cannot be reached: {told}", told) from error
        try:
            if Listening.of_peer(channel) in self.own:
                raise ApiError(508, f"podman_socket is {self.path}, which leads to this daemon's own socket")
        except (OSError, ApiError) as error:
            channel.close()
            if isinstance(error, ApiError):
                raise
            raise ApiError(503, f"podman's service at {self.path} hung up") from error
        return PodmanConnection(channel)


class PodmanConnection:
    """One connection to podman: the next ``flush`` sends what was written; answers are read event by event."""

    def __init__(self, channel: socket.socket) -> None:
        self.socket = channel
        self._http = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_BYTES)
        self.used = False
        """Whether an exchange was finished on it: podman may then be closing it at this moment."""
        self.heard = False
        """Whether any byte of an answer has come since the last exchange."""

    def put(self, event: h11.Event) -> list[bytes]:
        """The bytes of an event of the request.

        Raises:
            h11.LocalProtocolError: the event is not possible at this point of the request.
        """
        return list(self._http.send_with_data_passthrough(event) or ())

    async def write(self, parts: Sequence[bytes]) -> None:
        """Send these bytes to podman.

        Raises:
            BrokenResourceError: podman no longer reads.
        """
        await send_all(self.socket, parts)

    def poll(self) -> h11.Event | type[h11.NEED_DATA] | type[h11.PAUSED]:
        """The next event of the answer, if it has come.

        Raises:
            h11.RemoteProtocolError: podman does not speak HTTP, or stopped in the middle.
        """
        return self._http.next_event()

    async def read(self) -> None:
        """Wait for more of the answer.

        Raises:
            BrokenResourceError: the connection is lost.
        """
        data = await receive(self.socket)
        self.heard = self.heard or bool(data)
        self._http.receive_data(data)

    @property
    def rest(self) -> bytes:
        """Bytes that were read and belong to no message: the first bytes of a tunnel."""
        return self._http.trailing_data[0]

    def next_exchange(self) -> bool:
        """Whether another request may follow; if not, close the connection."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE or self.rest:
            return False
        self._http.start_next_cycle()
        self.used = True
        self.heard = False
        return True

    @property
    def stale(self) -> bool:
        """Whether podman has closed it since the last exchange, or sent bytes that nobody asked for."""
        return ended(self.socket)

    def close(self) -> None:
        """Close it. podman sees the hang-up at once and gives up the work for this connection. Ends both ways of a
        tunnel."""
        self.socket.close()
