"""Receives bytes and descriptors from a socket; no child process can inherit the descriptors, not even for a moment.

anyio's ``receive_fds`` leaves them inheritable until its task runs again, and children are started meanwhile.

The event loop reads nothing that comes with descriptors. The kernel closes those for which there is no room within the
call that reads, and a close may take as long as their sender likes (``fd_closer``). So the loop peeks first, which
consumes nothing; if there are descriptors, a thread of the closer reads.
"""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

import anyio
from anyio.abc import UNIXSocketStream

from storaged.engine.loop_turn import note_late_request
from storaged.server.fd_closer import AccountCloser, close_all

_MOST: Final = 253
"""The maximum number of descriptors in one message: SCM_MAX_FD of the kernel."""
_LITTLE: Final = 512
"""Bytes read at once with descriptors, which belong to the first text among them."""
_SIZE: Final = array.array("i").itemsize


async def receive(
    channel: socket.socket,
    size: int,
    most: int,
    closer: AccountCloser,
    dry: Callable[[], None] | None = None,
) -> tuple[bytes, list[int]]:
    """Wait for up to ``size`` bytes, and up to ``most`` descriptors that come with them. One task at a time.

    ``closer`` closes descriptors beyond ``most``; it must also close the others. With ``dry``, available bytes are
    returned without giving others a turn, and ``dry`` is called if there are none.

    Raises:
        EndOfStream: the peer writes no more.
        BrokenResourceError: the connection is lost.
    """
    wait = dry is None
    while True:
        if wait:
            await anyio.wait_readable(channel)
        try:
            seen, _, flags, _ = channel.recvmsg(size, 0, socket.MSG_PEEK | socket.MSG_DONTWAIT)
            if flags & socket.MSG_CTRUNC:
                data, descriptors = await closer.run(partial(_take, channel, min(size, _LITTLE), most), _drop)
            else:
                # No more than was seen: what has come since may include descriptors.
                data, descriptors = channel.recv(len(seen), socket.MSG_DONTWAIT) if seen else b"", []
            if not wait or descriptors:
                note_late_request()
        except (BlockingIOError, InterruptedError):
            if not wait and dry is not None:
                dry()
            wait = True
            continue
        except OSError as error:
            raise anyio.BrokenResourceError from error
        if not data and not descriptors:
            raise anyio.EndOfStream
        return data, descriptors


def _take(channel: socket.socket, size: int, most: int) -> tuple[bytes, list[int]]:
    data, ancillary, _, _ = channel.recvmsg(
        size, socket.CMSG_LEN(_MOST * _SIZE), socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC
    )
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            descriptors.frombytes(content[: len(content) - len(content) % _SIZE])
    close_all(descriptors[most:])
    return data, list(descriptors[:most])


def _drop(taken: tuple[bytes, list[int]]) -> None:
    close_all(taken[1])


async def end(stream: UNIXSocketStream, channel: socket.socket, closer: AccountCloser) -> None:
    """Close a connection whose tasks have all ended; in a thread if anything in it is unread."""
    with anyio.CancelScope(shield=True):
        unread = _unread(channel)
        descriptor = channel.detach() if unread else -1
        await stream.aclose()
    if unread:
        await closer.run(partial(os.close, descriptor))


def _unread(channel: socket.socket) -> bool:
    with suppress(OSError):
        # From here on nobody can add to it.
        channel.shutdown(socket.SHUT_RDWR)
    try:
        return bool(channel.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False
