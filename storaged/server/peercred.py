"""The identity of the peer of a Unix socket, as the kernel recorded it when the connection was made."""

from __future__ import annotations

import array
import socket
import struct

from storaged.service.session import Credentials

_UCRED = struct.Struct("=iII")
"""``struct ucred``: pid_t is signed, uid_t and gid_t are not."""

_SO_PEERGROUPS = 59
"""``asm-generic/socket.h``; Python has no name for it."""

_MOST_GROUPS = 1024
"""Bytes: the maximum of Python's getsockopt, which is 256 groups."""


def of_socket(sock: socket.socket) -> Credentials:
    """The credentials of the peer of a connected Unix socket.

    On the connecting side they are those of the process that called ``listen``: the service manager for an activated
    socket. The pid is 0 if the peer is outside this pid namespace. For a peer with more than 256 groups, only its own
    group is included.

    Raises:
        OSError: the socket is not a connected Unix socket.
    """
    pid, uid, gid = _UCRED.unpack(sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size))
    return Credentials(pid=pid, uid=uid, gid=gid, groups=_groups(sock))


def _groups(sock: socket.socket) -> frozenset[int]:
    groups = array.array("I")
    try:
        groups.frombytes(sock.getsockopt(socket.SOL_SOCKET, _SO_PEERGROUPS, _MOST_GROUPS))
    except OSError:
        # More groups than fit, or a kernel before 4.13: fewer groups never mean more rights.
        return frozenset()
    return frozenset(groups)
