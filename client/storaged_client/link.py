"""One connection of the blocking client, shared by any number of threads.

There is no reader thread: of the threads that wait for an answer one reads for all, and hands the
reading on when its own answer is there. A single thread thus pays one send and one receive a call, and
nothing runs in the background. Whoever waits is either the reader or is woken by it::

    _state     guards the peer, the table of pending calls and who reads; never held over I/O
    _sending   held while the bytes of one request are written, so that texts do not mix
"""

from __future__ import annotations

import select
import socket
import threading
import time
from contextlib import suppress
from typing import Any

from .errors import RequestTimeout
from .jsonrpc.messages import ID, LocalProtocolError
from .jsonrpc.peer import Close, ErrorResponse, Peer, Request, Response
from .retry import MAX_REPLY, SLACK

_CHUNK = 256 * 1024


class NotSent(Exception):
    """The daemon cannot have understood the request: not all of it was sent."""


class Pending:
    """One call that waits for its answer."""

    __slots__ = ("done", "error", "id", "lost", "result", "size", "wake", "woken")

    def __init__(self, id: ID, size: int) -> None:
        self.id = id
        self.size = size
        self.done = False
        self.lost = False
        """The connection ended first."""
        self.result: Any = None
        self.error: dict[str, Any] | None = None
        self.wake: threading.Lock | None = None
        """Held; released to wake the one thread that waits on it."""
        self.woken = False


def _left(deadline: float | None) -> float:
    """Seconds until ``deadline`` on the monotonic clock; -1 is for ever, as ``Lock.acquire`` has it."""
    return -1.0 if deadline is None else max(0.0, deadline - time.monotonic())


class Link:
    """See the module. Deadlines are on the monotonic clock; None waits for ever."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._peer = Peer(MAX_REPLY + SLACK, lines=True)
        self._state = threading.Lock()
        self._sending = threading.Lock()
        self._pending: dict[ID, Pending] = {}
        self._reading = False
        self._buffer = memoryview(bytearray(_CHUNK))
        self.dead = False
        """No call may begin on it any more."""

    def begin(self, method: str, params: dict[str, Any] | list[Any] | None, deadline: float | None) -> Pending:
        """Send a request.

        Raises: NotSent, RequestTimeout (nothing was sent, or the connection is broken off), TypeError
        where the params are no JSON.
        """
        with self._state:
            if self.dead:
                raise NotSent
            try:
                id, data = self._peer.send_request(method, params)
            except LocalProtocolError as error:
                raise TypeError(str(error)) from error
            pending = self._pending[id] = Pending(id, len(data))
        try:
            self._send(data, deadline)
        except BaseException:
            with self._state:
                self._peer.withdraw(id)
                self._pending.pop(id, None)
                self._pass_on()
            raise
        return pending

    def _send(self, data: bytes, deadline: float | None) -> None:
        if not self._sending.acquire(timeout=_left(deadline)):
            raise RequestTimeout("no answer in time: the daemon reads nothing")
        sent = 0
        try:
            while sent < len(data):
                try:
                    sent += self._channel.send(data[sent:] if sent else data, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    if not self._ready(select.POLLOUT, deadline):
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
            if sent:
                self.break_off()
            raise
        finally:
            self._sending.release()

    def _ready(self, what: int, deadline: float | None) -> bool:
        poll = select.poll()
        poll.register(self._channel, what)
        return bool(poll.poll(None if deadline is None else _left(deadline) * 1000))

    def wait(self, pending: Pending, deadline: float | None) -> None:
        """Return when ``pending`` is done.

        Raises: RequestTimeout; then, or on any other exception, ``abandon`` must be called.
        """
        while True:
            with self._state:
                if pending.done:
                    return
                pending.woken = False
                leads = not self._reading
                if leads:
                    self._reading = True
                elif pending.wake is None:
                    pending.wake = threading.Lock()
                    pending.wake.acquire()
            if leads:
                self._read_until(pending, deadline)
            else:
                assert pending.wake is not None
                if not pending.wake.acquire(timeout=_left(deadline)):
                    raise RequestTimeout("no answer in time")

    def _read_until(self, pending: Pending, deadline: float | None) -> None:
        try:
            while not pending.done:
                if deadline is not None and not self._ready(select.POLLIN, deadline):
                    raise RequestTimeout("no answer in time")
                try:
                    count = self._channel.recv_into(self._buffer)
                except OSError:
                    count = 0
                with self._state:
                    if count:
                        self._settle(bytes(self._buffer[:count]))
                    else:
                        self._lose_all()
        finally:
            with self._state:
                self._reading = False
                self._pass_on()

    def abandon(self, pending: Pending) -> None:
        """Stop waiting for a call: tell the daemon, and let another thread read."""
        with self._state:
            if pending.done or self._pending.pop(pending.id, None) is None:
                self._pass_on()
                return
            data = self._peer.send_cancel(pending.id)
            self._pass_on()
        if not self._sending.acquire(timeout=0.05):
            return  # the daemon reads nothing; it will not read this either
        try:
            if self._channel.send(data, socket.MSG_DONTWAIT) < len(data):
                self.break_off()
        except OSError:
            pass
        finally:
            self._sending.release()

    # ------------------------------------------------------------ with _state held

    def _settle(self, data: bytes) -> None:
        for event in self._peer.receive_data(data):
            match event:
                case Response(id, result):
                    pending = self._pending.pop(id, None)
                    if pending is not None:
                        pending.result = result
                        self._finish(pending)
                case ErrorResponse(id, error):
                    self._settle_error(id, error)
                case Close() | Request():
                    self.break_off()
                    self._lose_all()

    def _settle_error(self, id: ID, error: dict[str, Any]) -> None:
        pending = self._pending.pop(id, None)
        if id is None:
            self.dead = True  # the daemon closes after an error that it cannot ascribe
        if pending is None and id is None and self._pending:
            # Too large or not understood: of what is in flight, the longest text is the likely one.
            pending = self._pending.pop(max(self._pending.values(), key=lambda one: one.size).id)
        if pending is not None:
            pending.error = error
            self._finish(pending)

    def _lose_all(self) -> None:
        self.dead = True
        for pending in self._pending.values():
            pending.lost = True
            self._finish(pending)
        self._pending.clear()

    @staticmethod
    def _finish(pending: Pending) -> None:
        pending.done = True
        if pending.wake is not None and not pending.woken:
            pending.woken = True
            pending.wake.release()

    def _pass_on(self) -> None:
        """Where nobody reads, wake one that waits; close a dead connection behind the last one."""
        if self._reading:
            return
        for pending in self._pending.values():
            if pending.wake is not None:
                if not pending.woken:
                    pending.woken = True
                    pending.wake.release()
                return
        if self.dead and not self._pending:
            self._channel.close()

    # ------------------------------------------------------------ the end

    def break_off(self) -> None:
        """End the connection; whoever reads sees its end."""
        self.dead = True
        with suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)

    def retire(self) -> None:
        """Begin nothing more here; what is in flight is still read."""
        with self._state:
            self.dead = True
            self._pass_on()

    def close(self) -> None:
        """End the connection; calls in flight are lost."""
        self.break_off()
        with self._state:
            self._lose_all()
            self._pass_on()

    def forget(self) -> None:
        """In a forked child: give up the descriptor and leave the parent's connection alone."""
        self.dead = True
        self._channel.close()
