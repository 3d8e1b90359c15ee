"""Who is at the other end of a Unix socket, as the kernel recorded it when the connection was made."""

from __future__ import annotations

import socket
import struct

from anyio.abc import SocketAttribute, SocketStream

from storaged.service.session import Credentials

_UCRED = struct.Struct("=iII")
"""``struct ucred``: pid_t is signed, uid_t and gid_t are not."""


def of_socket(sock: socket.socket) -> Credentials:
    """The credentials of the peer of a connected Unix socket.

    On the connecting side they are those of the process that called ``listen``: the service manager
    for an activated socket. The pid is 0 where the peer lies outside this pid namespace.

    Raises:
        OSError: the socket is no connected Unix socket.
    """
    pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Credentials(pid=pid, uid=uid, gid=gid)


def of_stream(stream: SocketStream) -> Credentials:
    """The same for an anyio stream.

    Raises:
        OSError: the stream is no connected Unix socket.
    """
    return of_socket(stream.extra(SocketAttribute.raw_socket))
