"""The socket of a blocking connection, written by one thread at a time."""

from __future__ import annotations

import select
import socket
import threading
import time
from array import array
from collections.abc import Sequence
from contextlib import suppress

from .errors import RequestTimeout


class NotSent(Exception):
    """The daemon cannot have understood the request: not all of it was sent."""


def left(deadline: float | None) -> float:
    """Seconds until ``deadline`` on the monotonic clock; -1 means no limit, as for ``Lock.acquire``."""
    return -1.0 if deadline is None else max(0.0, deadline - time.monotonic())


class Turns:
    """A fair lock with named owners, each of which gives it back by ``leave`` whatever happened.

    With ``threading.Lock``, a signal handler that raises (Ctrl-C) between ``acquire`` and the ``try`` after it leaves
    the lock locked for good. Here the owner is always known, so ``leave`` is right at any moment (holding, waiting or
    neither) and may be repeated.
    """

    def __init__(self) -> None:
        self._state = threading.Lock()
        self._waiting: dict[object, threading.Lock] = {}
        """Locked; released when it is the owner's turn."""
        self.owner: object | None = None

    def take(self, owner: object, timeout: float = -1.0) -> bool:
        """Wait for the owner's turn, at most ``timeout`` seconds (-1: no limit); return False when the time is up.

        ``leave`` must be called afterwards, even if this raises.
        """
        wake = threading.Lock()
        wake.acquire()
        with self._state:
            if self.owner is None:
                self.owner = owner
                return True
            self._waiting[owner] = wake
        return wake.acquire(timeout=timeout)

    def leave(self, owner: object) -> None:
        """Give the turn to the next owner, or stop waiting for it."""
        with self._state:
            self._waiting.pop(owner, None)
            if self.owner is not owner:
                return
            for successor, wake in self._waiting.items():
                # An entry stays until its owner leaves, so that this is right however often it is begun.
                self.owner = successor
                wake.release()
                return
            self.owner = None


def send_with(sock: socket.socket, data: bytes | memoryview, descriptors: Sequence[int]) -> int:
    """Write without waiting, descriptors attached to the first byte; return how many bytes were taken."""
    ancillary = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array("i", descriptors))]
    return sock.sendmsg([data], ancillary, socket.MSG_DONTWAIT)


class Transport:
    """A connected socket. Deadlines are on the monotonic clock; None means no limit."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._turns = Turns()
        self.dead = False
        """No request may begin on it any more."""

    @property
    def writer(self) -> object | None:
        """Whose turn to write it is."""
        return self._turns.owner

    def send(self, owner: object, data: bytes, deadline: float | None, descriptors: Sequence[int] = ()) -> None:
        """Write one text when it is the owner's turn. ``leave`` must be called afterwards, even if this raises.

        ``descriptors`` go with its first byte. If only a part was written, the connection is broken off.

        Raises:
            NotSent: the connection ended before the text did.
            RequestTimeout: the daemon did not read it in time.
        """
        if not self._turns.take(owner, left(deadline)):
            raise RequestTimeout("no answer in time: the daemon reads nothing")
        sent = 0
        try:
            while sent < len(data):
                try:
                    if descriptors and not sent:
                        sent = send_with(self._socket, data, descriptors)
                    else:
                        sent += self._socket.send(data[sent:] if sent else data, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    if not self.ready(select.POLLOUT, deadline):
                        raise RequestTimeout("no answer in time: the daemon reads nothing") from None
        except RequestTimeout:
            if sent:
                self.break_off()  # half a text was written: nothing can follow it
            raise
        except (OSError, ValueError) as error:  # ValueError: another thread closed it
            # Without its last bracket a text means nothing; the LF after it is not needed.
            self.dead = True
            if sent < len(data) - 1:
                raise NotSent from error
        except BaseException:
            self.break_off()  # more may have been sent than was counted
            raise

    def send_at_once(self, owner: object, data: bytes, patience: float) -> None:
        """Write one text if the owner's turn comes within ``patience`` seconds and the kernel takes the text whole.

        If it takes only a part, the connection is broken off. ``leave`` must be called afterwards.
        """
        if not self._turns.take(owner, patience):
            return
        with suppress(OSError):
            if self._socket.send(data, socket.MSG_DONTWAIT) < len(data):
                self.break_off()

    def leave(self, owner: object) -> None:
        """Let the next owner write. May be repeated."""
        self._turns.leave(owner)

    def receive_into(self, buffer: memoryview) -> int:
        """Wait for bytes; 0 at the end."""
        try:
            return self._socket.recv_into(buffer)
        except OSError:
            return 0

    def ready(self, what: int, deadline: float | None) -> bool:
        """Wait for ``POLLIN`` or ``POLLOUT``; return False when the time is up."""
        poll = select.poll()
        poll.register(self._socket, what)
        return bool(poll.poll(None if deadline is None else left(deadline) * 1000))

    def break_off(self) -> None:
        """End the connection; a reader sees its end."""
        self.dead = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Give up the descriptor. Nobody may be reading or writing, lest its number name another file by then."""
        self.dead = True
        self._socket.close()
