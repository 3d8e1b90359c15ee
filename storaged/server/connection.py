"""A JSON-RPC connection: bytes and descriptors in and out of a ``Peer``, and what becomes of each request.

::

    _read --- receive --> Peer --- Request --> RequestTasks --- at once, or from a task each ---> SendQueue --> socket
       ^                                                                  what it does not take: _write ---^
       '--------- stops while 64 requests are not answered *and written*, or 1 MiB waits'

A request counts as in flight until the kernel has taken its reply, so a client that asks and does not read is stopped
by its own socket buffers. Replies are sent in the order of completion.

Connections take turns. Busy ones queue (``service.fair_queue``), a long answer pauses and queues there, too, and of one
connection's answers one proceeds at a time (``service.limiters``). So a client with one small question waits for one
step of one busy connection, however many there are.

A connection ends in one of three ways. *End of input* (the client closed its writing side, or the daemon cut it to
drain): what was sent is answered, then the connection closes. *Protocol error*, which includes a text that is not
complete in time: the same, but then what the client still writes is read and dropped for a moment, so that it does not
die of SIGPIPE before it reads the reason. *Hang-up* (the client is gone, or reads nothing for 30 s): everything is
cancelled.
"""

from __future__ import annotations

import json
import logging
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import anyio
from anyio.abc import SocketAttribute, TaskGroup, UNIXSocketStream

from storaged.engine.loop_turn import note_late_request
from storaged.server.connection_budget import ConnectionBudget
from storaged.server.disconnect import hung_up, linger
from storaged.server.front import Shared
from storaged.server.receiving import end, receive
from storaged.server.request_tasks import Dispatch, RequestTasks
from storaged.server.send_queue import SendQueue
from storaged.server.sending import send_now
from storaged.service.fair_queue import REQUEST
from storaged.service.session import Session, tell_nobody
from storaged_client.contract.errors import StoragedError
from storaged_client.jsonrpc.events import Cancel, Close, Discard, Event, Notification, Reply, Request, Response
from storaged_client.jsonrpc.peer import Peer

_READ = 4 << 10
"""Bytes read at once."""
_SLICE = 256
"""Bytes parsed between two pauses. They can hold 128 texts, each refused; everybody else waits that long."""
_PATIENCE = 0.5
"""Seconds after which a full connection begins to watch whether its client is still there."""

_log = logging.getLogger(__name__)


class Connection:
    """Serves one accepted stream until its end. The caller counts it in the quotas."""

    def __init__(
        self,
        stream: UNIXSocketStream,
        *,
        session: Session,
        dispatch: Dispatch,
        shared: Shared,
    ) -> None:
        self.session = session
        self._stream = stream
        self._socket: socket.socket = stream.extra(SocketAttribute.raw_socket)
        self._limits = limits = shared.limits
        self._quotas = shared.quotas
        self._metrics = shared.metrics
        self._closer = shared.taker.of(session.account)
        self._ender = shared.ender.of(session.account)
        self._pace = session.shares.pace
        self._peer = Peer(
            max_message=limits.request_bytes,
            max_batch=limits.batch,
            max_fds=limits.descriptors,
            max_reply=limits.reply_bytes,
        )
        self._send_queue = SendQueue(partial(send_now, self._socket))
        self.budget = ConnectionBudget(session.credentials.uid, limits, shared.quotas)
        self.answers = RequestTasks(
            session=session,
            dispatch=dispatch,
            budget=self.budget,
            metrics=shared.metrics,
            peer=self._peer,
            send_queue=self._send_queue,
            moved=self._notice,
            closer=self._closer,
        )
        session.notify = self._notify
        self._scope = anyio.CancelScope()
        self._pending: deque[Event] = deque()
        self._moved = anyio.Event()
        self._protocol_error = False
        self.received = 0
        """Bytes received, whatever became of them."""
        self._closing = ""
        self.gone: Callable[[], None] = _nobody
        """Called when everything is answered; only closing is left, which may take long."""
        self._text = 0
        """The number of the incomplete text last waited for, and the seconds waited."""
        self._waited = 0.0

    @property
    def heaviest(self) -> int:
        """The most bytes of requests and replies held at once."""
        return self.budget.heaviest

    async def run(self) -> None:
        """Serve until the end; close the stream. Never raises anything but cancellation."""
        try:
            with self._scope:
                async with anyio.create_task_group() as watching:
                    async with anyio.create_task_group() as writing:
                        writing.start_soon(self._write)
                        async with anyio.create_task_group() as requests:
                            await self._read(requests)
                            watching.start_soon(self._await_hangup)
                        self._send_queue.finish()
                    watching.cancel_scope.cancel()
                # Not watched: both ends have closed their writing side then, and closing before all is read would be a
                # reset.
                if self._protocol_error:
                    await linger(self._stream, self._closer)
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError):
            _log.debug("connection lost connection=%d", self.session.number)
        except* Exception:
            # A problem with one connection ends only that connection.
            self._metrics.add("connections.failed")
            _log.exception("connection failed connection=%d", self.session.number)
        finally:
            try:
                self._release()
                self.session.end()
                self.session.notify = tell_nobody
            finally:
                self.gone()
                await end(self._stream, self._socket, self._ender)

    def cut(self) -> None:
        """Accept no more input: the contents of the socket's buffer are still read, a later write of the peer fails."""
        try:
            self._socket.shutdown(socket.SHUT_RD)
        except OSError:
            # Gone already: its own task will notice.
            return

    def refuse_rest(self) -> None:
        """Cancel what runs, and answer it and everything that was sent but not begun with ``ShuttingDown``."""
        self.answers.refuse_rest()

    # ---------------------------------------------------------------- in

    async def _read(self, requests: TaskGroup) -> None:
        while True:
            if self._full():
                await self._room()
            if self._pace.spent:
                await self._pace.turn()
            try:
                received = await self._receive()
            except anyio.EndOfStream:
                self._pending.extend(self._peer.receive_eof())
                await self._dispatch(requests)
                return
            if received is None:
                self._pending.extend(self._peer.expire(self._limits.text_seconds, "text_seconds"))
                understood = await self._dispatch(requests)
            else:
                understood = await self._take(*received, requests)
            if not understood:
                self._protocol_error = True
                self._metrics.add("connections.refused_input")
                _log.info("input refused connection=%d reason=%s", self.session.number, self._closing)
                return

    async def _take(self, data: bytes, descriptors: list[int], requests: TaskGroup) -> bool:
        """Handle what one read brought, which is little if descriptors came with it; returns as ``_dispatch``."""
        self.received += len(data)
        for start in range(0, len(data) or 1, _SLICE):
            if self._pace.spent:
                await self._pace.turn()
            self._pending.extend(self._peer.receive_data(data[start : start + _SLICE], descriptors))
            descriptors = []
            if start or len(self._pending) > 1:
                note_late_request()  # those behind the first
            self._pace.spend(1)
            if not await self._dispatch(requests):
                return False
        return True

    async def _receive(self) -> tuple[bytes, list[int]] | None:
        """The result of one read, with its descriptors; None if a text was not complete in time.

        Only the waiting counts: while the connection is full, it is the daemon that does not read.

        Raises:
            EndOfStream, BrokenResourceError: as ``receive``.
        """
        if not self._peer.unfinished:
            return await receive(self._socket, _READ, self._limits.descriptors, self._closer, self._rest)
        if self._text != self._peer.texts:
            self._text, self._waited = self._peer.texts, 0.0
        began = anyio.current_time()
        with anyio.move_on_after(self._limits.text_seconds - self._waited):
            received = await receive(self._socket, _READ, self._limits.descriptors, self._closer, self._rest)
            self._waited += anyio.current_time() - began
            return received
        return None

    async def _dispatch(self, requests: TaskGroup) -> bool:
        """Handle the events in their order; returns False if the connection must stop reading."""
        while self._pending:
            if self._pace.wants_turn:
                await self._pace.turn()
            first = self._pending[0]
            self._pace.spend(REQUEST if isinstance(first, Request | Notification) else 2)
            if isinstance(first, Request | Notification | Reply) and self._full():
                await self._room()
            event = self._pending.popleft()
            match event:
                case Request() | Notification():
                    self.answers.begin(event, requests)
                case Cancel():
                    self.answers.cancel(event.id)
                case Reply():
                    if event.limit:
                        self._quotas.reached(event.limit)
                    self._send_queue.put((event.data,), self._notice)
                case Discard() | Response():
                    # The daemon sends no requests, so an answer is as unexpected as a stray descriptor.
                    self._closer.close(event.fds)
                case Close():
                    self._closing = event.reason
                    return False
                case _:
                    _log.debug("unexpected answer connection=%d", self.session.number)
        return True

    def _rest(self) -> None:
        self._pace.rest(all_read=not self._send_queue.size)

    async def _room(self) -> None:
        """Wait until one more request may begin; ends the connection if the client is gone meanwhile."""
        counted = ""
        while limit := self._full():
            if limit != counted:
                counted = limit
                self._quotas.reached(limit)
            self._moved = anyio.Event()
            with anyio.move_on_after(_PATIENCE):
                await self._moved.wait()
                continue
            async with anyio.create_task_group() as watching:
                watching.start_soon(self._await_hangup)
                await self._moved.wait()
                watching.cancel_scope.cancel()

    def _full(self) -> str:
        """The limit that keeps the connection from reading on, or an empty string."""
        if self._send_queue.size >= self._limits.waiting_bytes:
            return "waiting_bytes"
        # A refused text is in flight, too, until its answer was written.
        return "in_flight" if self._send_queue.waiting >= self._limits.in_flight else self.answers.full()

    def _notice(self) -> None:
        self._moved.set()

    async def _await_hangup(self) -> None:
        """End the connection when the peer closed it."""
        if await hung_up(self._socket, self.session.number):
            self._scope.cancel()

    # ---------------------------------------------------------------- out

    def _notify(self, method: str, params: dict[str, Any], written: Callable[[], None], /) -> None:
        self._send_queue.put((self._peer.send_notification(method, params),), written)

    async def _write(self) -> None:
        while await self._send_queue.filled():
            if self._send_queue.write():
                if self._send_queue.size:
                    await self.session.shares.step()  # a reader that keeps up must not make everybody else wait
                continue
            try:
                with anyio.fail_after(self._limits.stall_seconds):
                    await anyio.wait_writable(self._socket)
            except TimeoutError:
                self._quotas.reached("stall_seconds")
                _log.warning("peer does not read connection=%d waiting=%d", self.session.number, self._send_queue.size)
                self._scope.cancel()
                return

    def _release(self) -> None:
        """Release what the connection holds after an unexpected end."""
        self._pending.extend(self._peer.receive_eof())
        for event in self._pending:
            if isinstance(event, Request | Notification):
                self.answers.never_begun(event)
            elif isinstance(event, Response | Discard):
                self._closer.close(event.fds)
        self._pending.clear()
        self.answers.release()


def _nobody() -> None:
    """A callback that does nothing."""


class JsonRpc:
    """The JSON-RPC front; ``dispatch`` answers requests."""

    def __init__(self, dispatch: Dispatch) -> None:
        self._dispatch = dispatch

    def connect(self, stream: UNIXSocketStream, session: Session, shared: Shared) -> Connection:
        return Connection(stream, session=session, dispatch=self._dispatch, shared=shared)

    def refusal(self, error: StoragedError) -> bytes:
        answer = {
            "jsonrpc": "2.0",
            "id": None,
            "error": {"code": error.code, "message": error.message, "data": error.wire_data()},
        }
        return json.dumps(answer).encode() + b"\n"
