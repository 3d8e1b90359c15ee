"""One connection of the blocking client, shared by any number of threads.

There is no reader thread. Of the threads that wait for an answer one reads for all, and hands the reading on when its
own answer is there. A single thread pays one send and one receive a call, and nothing runs in the background. A
waiting thread is either the reader or woken by it::

    _state       guards the peer, the table of pending calls and who reads; never held over I/O
    _transport   writes the text of one call at a time

One lock around each call would be less code, but a read that waits for a writer would then hold up every other thread,
and threads that share a connection would get fewer answers: see ``python -m tests.bench.shared_connection``. Nor may a
thread write another's text: its owner would still wait to write while the daemon waits for somebody to read.

A signal handler may raise at any point of a call (Ctrl-C, an alarm). If that may have cost bytes of the stream or
another thread's answer, the connection is broken off: the others find it lost, and none waits for ever. So the reader
and the writer are known by name, never by a flag that nobody could take back.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Sequence
from typing import Any

from .errors import RequestTimeout
from .json_limits import ENVELOPE_BYTES, REPLY_BYTES
from .jsonrpc.events import Close, ErrorResponse, Notification, Request, Response
from .jsonrpc.messages import ID, LocalProtocolError
from .jsonrpc.peer import Peer
from .progress import METHOD, Listener, News
from .transport import NotSent, Transport, left

_CHUNK = 256 * 1024


class Pending:
    """One call that waits for its answer."""

    __slots__ = ("done", "error", "id", "lost", "news", "result", "sent", "size", "wake", "woken")

    def __init__(self, news: News) -> None:
        self.news = news
        self.id: ID = None
        self.size = 0
        self.sent = False
        """The daemon can have understood it: all but the final LF was written."""
        self.done = False
        self.lost = False
        """The connection ended first."""
        self.result: Any = None
        self.error: dict[str, Any] | None = None
        self.wake: threading.Lock | None = None
        """Held; released to wake the one thread that waits on it."""
        self.woken = False


class Connection:
    """See the module. Deadlines are on the monotonic clock; None means no limit."""

    def __init__(self, sock: socket.socket) -> None:
        self._transport = Transport(sock)
        self._peer = Peer(REPLY_BYTES + ENVELOPE_BYTES, lines=True)
        self._state = threading.Lock()
        self._pending: dict[ID, Pending] = {}
        self._reader: Pending | None = None
        self._buffer = memoryview(bytearray(_CHUNK))
        self.of_store = False
        """The daemon's store has been compared with the intended one."""

    @property
    def dead(self) -> bool:
        """No call may begin on it any more."""
        return self._transport.dead

    def ask(
        self,
        method: str,
        params: dict[str, Any] | list[Any] | None,
        deadline: float | None,
        listener: Listener | None = None,
        descriptors: Sequence[int] = (),
    ) -> Pending:
        """Send a request and return when it is done: answered, or lost with the connection.

        ``descriptors`` are sent with it and remain the caller's. ``listener`` is called by the calling thread with
        the progress that has the ``progress_token`` of the params. What it raises ends the call.

        Raises:
            NotSent: the daemon cannot have understood the request.
            RequestTimeout: no answer in time; the daemon is told, if it has the request.
            TypeError: the params are not JSON.
        """
        pending = Pending(News(params, listener))
        try:
            data = self._begin(pending, method, params, len(descriptors))
            self._transport.send(pending, data, deadline, descriptors)
            pending.sent = True
            self._leave(pending)
            self._wait(pending, deadline)
        except RequestTimeout as error:
            self._abandon(pending)
            raise RequestTimeout(f"{method}: {error}") from None
        except BaseException:
            self._abandon(pending)
            raise
        return pending

    def _begin(self, pending: Pending, method: str, params: dict[str, Any] | list[Any] | None, count: int) -> bytes:
        with self._state:
            if self.dead:
                raise NotSent
            try:
                pending.id, data = self._peer.send_request(method, params, fds=count)
            except LocalProtocolError as error:
                raise TypeError(str(error)) from error
            pending.size = len(data)
            self._pending[pending.id] = pending
        return data

    def _leave(self, pending: Pending) -> None:
        """Let the next thread write; the last one closes a dead connection."""
        self._transport.leave(pending)
        if self.dead:
            with self._state:
                self._pass_on()

    def _wait(self, pending: Pending, deadline: float | None) -> None:
        while True:
            pending.news.tell()
            with self._state:
                if pending.done:
                    return
                pending.woken = False
                leads = self._reader is None
                if leads:
                    self._reader = pending
                elif pending.wake is None:
                    pending.wake = threading.Lock()
                    pending.wake.acquire()
            if leads:
                self._read_until(pending, deadline)
            else:
                assert pending.wake is not None
                if not pending.wake.acquire(timeout=left(deadline)):
                    raise RequestTimeout("no answer in time")

    def _read_until(self, pending: Pending, deadline: float | None) -> None:
        try:
            while not (pending.done or pending.news.waiting):
                if deadline is not None and not self._transport.ready(select.POLLIN, deadline):
                    raise RequestTimeout("no answer in time")
                count = self._transport.receive_into(self._buffer)
                with self._state:
                    if count:
                        self._settle(bytes(self._buffer[:count]))
                    else:
                        self._lose_all()
        except RequestTimeout:
            raise
        except BaseException:
            self._transport.break_off()
            with self._state:
                self._lose_all()
            raise
        finally:
            self._stop_reading(pending)

    def _stop_reading(self, pending: Pending) -> None:
        with self._state:
            if self._reader is pending:
                self._reader = None
            self._pass_on()

    def _abandon(self, pending: Pending) -> None:
        """Undo what was begun of a call: tell the daemon, and let other threads write and read."""
        self._leave(pending)
        with self._state:
            given_up = self._pending.pop(pending.id, None) is not None
        self._stop_reading(pending)
        if not given_up or self.dead:
            return
        with self._state:
            if not pending.sent:
                self._peer.withdraw(pending.id)
                return
            data = self._peer.send_cancel(pending.id)
        try:
            # A daemon that reads nothing will not read this either.
            self._transport.send_at_once(pending, data, 0.05)
            self._leave(pending)
        except BaseException:
            self._leave(pending)
            raise

    # ------------------------------------------------------------ with _state held

    def _settle(self, data: bytes) -> None:
        for event in self._peer.receive_data(data):
            match event:
                case Response(id, result):
                    pending = self._pending.get(id)
                    if pending is not None:
                        pending.result = result
                        self._finish(pending)
                case ErrorResponse(id, error):
                    self._settle_error(id, error)
                case Notification(method, params) if method == METHOD:
                    for pending in self._pending.values():
                        if pending.news.put(params):
                            self._wake(pending)
                            break
                case Close() | Request():
                    self._transport.break_off()
                    self._lose_all()

    def _settle_error(self, id: ID, error: dict[str, Any]) -> None:
        pending = self._pending.get(id)
        if id is None:
            self._transport.dead = True  # the daemon closes after an error that it cannot attribute
            # Too large or not understood: of what was sent, the longest text is the likely one.
            sent = [one for one in self._pending.values() if one.sent or one is self._transport.writer]
            pending = max(sent, key=lambda one: one.size, default=None)
        if pending is not None:
            pending.error = error
            self._finish(pending)

    def _lose_all(self) -> None:
        self._transport.dead = True
        for pending in list(self._pending.values()):
            pending.lost = not pending.done
            self._finish(pending)

    def _finish(self, pending: Pending) -> None:
        # Removed last: if this is interrupted, _lose_all finds the call again.
        pending.done = True
        self._wake(pending)
        self._pending.pop(pending.id, None)

    def _wake(self, pending: Pending) -> None:
        if pending.wake is not None and not pending.woken:
            pending.woken = True
            pending.wake.release()

    def _pass_on(self) -> None:
        """If nobody reads, wake one that waits; close a dead connection behind the last one."""
        if self._reader is not None:
            return
        for pending in self._pending.values():
            if pending.wake is not None:
                self._wake(pending)
                return
        if self.dead and not self._pending and self._transport.writer is None:
            self._transport.close()

    # ------------------------------------------------------------ the end

    def retire(self) -> None:
        """Begin nothing more here; what is in flight is still read."""
        with self._state:
            self._transport.dead = True
            self._pass_on()

    def close(self) -> None:
        """End the connection; calls in flight are lost."""
        self._transport.break_off()
        with self._state:
            self._lose_all()
            self._pass_on()

    def forget(self) -> None:
        """In a forked child: give up the descriptor and leave the parent's connection alone."""
        self._transport.close()
