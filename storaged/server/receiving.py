"""Bytes and descriptors from a socket, none of which a child process can inherit, not even for a moment.

anyio's ``receive_fds`` leaves them inheritable until its task runs again, and children are started meanwhile.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Iterable
from contextlib import suppress

import anyio


async def receive(channel: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    """Wait for up to ``size`` bytes, and up to ``most`` descriptors that come with them. One task at a time.

    Descriptors beyond ``most`` are closed by the kernel.

    Raises:
        EndOfStream: the peer writes no more.
        BrokenResourceError: the connection is lost.
    """
    while True:
        await anyio.wait_readable(channel)
        try:
            data, ancillary, _, _ = channel.recvmsg(
                size, socket.CMSG_LEN(most * array.array("i").itemsize), socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
            )
        except (BlockingIOError, InterruptedError):
            continue
        except OSError as error:
            raise anyio.BrokenResourceError from error
        descriptors = array.array("i")
        for level, kind, content in ancillary:
            if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
        if not data and not descriptors:
            raise anyio.EndOfStream
        return data, list(descriptors)


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors that nobody took."""
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)
