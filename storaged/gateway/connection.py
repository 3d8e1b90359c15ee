"""One HTTP connection: bytes in and out of h11, one request after the other.

::

    idle ── a head, within 30 s of its first byte ──▶ Request ──▶ answer ──▶ written ──▶ rest of the body ──▶ idle
                                                        the body is read when a handler asks for it; 100 is sent first

Requests that a client sends ahead wait in the buffers of h11 and the socket. Nothing is read while a request is being
answered, so the socket stops a client that sends without end.

The connection ends as for JSON-RPC (``server.connection``). At the end of input, what was sent is answered. A request
that cannot be understood is answered with 400, and further input is dropped for a moment. If a client is gone, or reads
nothing for 30 s, the connection is dropped, with everything that runs for it.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Final, Protocol

import anyio
import h11
from anyio.abc import SocketAttribute, UNIXSocketStream

from storaged.engine.loop_turn import note_late_request
from storaged.gateway.answer_heads import refusal, response_head, told
from storaged.gateway.answers import Answer, Headers, Streamed, error_answer, plain_answer
from storaged.gateway.outgoing import Outgoing
from storaged.gateway.request import Request, check_fields, request_of
from storaged.gateway.sockets import READ
from storaged.logs import begin_request
from storaged.server.disconnect import hung_up, linger
from storaged.server.front import Shared
from storaged.server.receiving import end, receive
from storaged.service.fair_queue import REQUEST
from storaged.service.session import Session
from storaged_client.contract.errors import StoragedError

LONGEST_HEAD: Final = 1 << 20
"""Bytes, the limit of Go's server: a removal that names hundreds of full ids is 50 kB long."""
_READING: Final = frozenset({"GET", "HEAD"})
"""Methods whose answers must fit the budget: the answer to a change tells what is done already."""
_DRAINED: Final = 256 << 10
"""Bytes of an unread body to read and drop so that the connection can continue."""


class Answering(Protocol):
    """Answers requests: ``storaged.gateway.gateway.Gateway``."""

    async def answer(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        """The answer; None if the connection has already been used for one and is at its end."""
        ...

    def headers(self, request: Request | None) -> Headers:
        """The headers of every answer from a handler."""
        ...


class HttpConnection:
    """Serves one accepted stream until its end. The caller counts it in the quotas until then."""

    def __init__(self, stream: UNIXSocketStream, session: Session, shared: Shared, answering: Answering) -> None:
        self.session = session
        self.number = session.number
        self.stream = stream
        self.socket: socket.socket = stream.extra(SocketAttribute.raw_socket)
        self.http = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST_HEAD)
        self.gone: Callable[[], None] = lambda: None
        self.received = 0
        self.heaviest = 0
        self.changed = False
        self.head: h11.Request | None = None
        """Of the request under way, as it was parsed."""
        self.body_unread = True
        """Whether nothing of the current request's body has been read."""
        self.kept_body: bytes | None = None
        """The whole body, if a handler read it."""
        self.passing = False
        """Whether podman answers the current request."""
        self._limits = shared.limits
        self._quotas = shared.quotas
        self._metrics = shared.metrics
        self._closer = shared.taker.of(session.account)
        self._ender = shared.ender.of(session.account)
        self._pace = session.shares.pace
        self._answering = answering
        self.write = Outgoing(self.socket, session, shared.limits, shared.quotas).write
        self._scope = anyio.CancelScope()
        self._running: anyio.CancelScope | None = None
        self._requests = 0
        self._held = 0
        """Bytes of the current request's body that are held."""
        self._last = False
        """Whether the current request is the last one to be answered."""
        self._refusing = False
        self._misunderstood = False
        self._old = False
        """Whether the current request is HTTP/1.0."""

    @property
    def passable(self) -> bool:
        """Whether podman can still receive the whole current request."""
        return self.body_unread or self.kept_body is not None

    async def run(self) -> None:
        """Serve until the end; close the stream. Never raises anything but cancellation."""
        try:
            with self._scope, self.session.shares.answering():
                await self._serve()
                if self._misunderstood:
                    await linger(self.stream, self._closer)
        except* (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
            _log.debug("connection lost connection=%d", self.number)
        except* Exception:
            # A barrier: an error in one connection ends that connection only.
            self._metrics.add("connections.failed")
            _log.exception("connection failed connection=%d", self.number)
        finally:
            try:
                self.session.end()
            finally:
                self.gone()
                await end(self.stream, self.socket, self._ender)

    def cut(self) -> None:
        """Stop accepting input: what is in the socket's buffer is still read, later writes of the peer fail."""
        self._last = True
        if self.passing:
            # podman's answer may be of any length, and what the client writes may be half of a conversation.
            return
        try:
            self.socket.shutdown(socket.SHUT_RD)
        except OSError:
            # Gone already: its own task will notice.
            return

    def refuse_rest(self) -> None:
        """Cancel what runs; answer it, and everything sent but not begun, with 503."""
        self._refusing = True
        if self._running is not None:
            self._running.cancel()

    def end_after_answer(self) -> None:
        """Take no other request: the rest of this one may never come. A client that is still writing may continue."""
        self._last = self._misunderstood = True

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Within, the connection ends as soon as its client is gone."""
        failure: Exception | None = None
        async with anyio.create_task_group() as watching:
            watching.start_soon(self._end_at_hangup)
            try:
                yield
            except Exception as error:
                failure = error  # raised by itself, not in a group
            watching.cancel_scope.cancel()
        if failure is not None:
            raise failure

    # ---------------------------------------------------------------- one request after the other

    async def _serve(self) -> None:
        while True:
            try:
                head = await self._head()
                if head is None:
                    return
                if head.http_version not in (b"1.0", b"1.1"):
                    await self._refuse(plain_answer(505, "505 HTTP Version Not Supported"))
                    return
                self.head = head
                request = request_of(head, self)
                if request is None:
                    await self._refuse(plain_answer(400, "400 Bad Request"))
                    return
                await self._respond(request)
                if not await self._next_cycle():
                    return
            except h11.RemoteProtocolError as error:
                self._metrics.add("connections.refused_input")
                _log.info("input refused connection=%d reason=%s", self.number, told(error))
                await self._refuse(refusal(error))
                return

    async def _head(self) -> h11.Request | None:
        """The next request; None at the end of the connection.

        Raises:
            h11.RemoteProtocolError: it is not a request, or did not arrive completely in time.
        """
        waited, before = 0.0, self.received
        while True:
            check_fields(self.http.trailing_data[0])
            event = self.http.next_event()
            if isinstance(event, h11.Request):
                if self.received == before:
                    note_late_request()  # it came behind another one
                return event
            if event is not h11.NEED_DATA:
                return None
            if not self.http.trailing_data[0]:
                await self.fill()
                continue
            began = anyio.current_time()
            with anyio.move_on_after(self._limits.text_seconds - waited) as patience:
                await self.fill()
            if patience.cancelled_caught:
                self._quotas.reached("text_seconds")
                raise h11.RemoteProtocolError("the request did not come whole in time", error_status_hint=408)
            waited += anyio.current_time() - began

    async def _respond(self, request: Request) -> None:
        """Answer one request, which is in flight until the kernel has accepted its answer."""
        self._requests += 1
        self.body_unread, self.kept_body = True, None
        self._old = request.http_version < b"1.1"
        begin_request(self.number, self._requests)
        self._pace.spend(REQUEST)
        if self._pace.wants_turn:
            await self._pace.turn()
        uid = self.session.credentials.uid
        try:
            self._quotas.begin(uid, beside=0)
        except StoragedError as error:
            await self._deliver(error_answer(429, error.message), request)
            return
        try:
            self._metrics.add("requests")
            answer = await self._answer(request)
            if answer is not None:
                await self._deliver(answer, request)
        finally:
            self._quotas.end(uid)
            self._quotas.free_request(uid, self._held)
            self._held = 0

    async def _answer(self, request: Request) -> Answer | Streamed | None:
        answer: Answer | Streamed | None = None
        if not self._refusing:
            self._running = anyio.CancelScope()
            with self._running as running:
                answer = await self._answering.answer(self, request)
            self._running = None
            if not running.cancelled_caught:
                return answer
            if self.http.our_state is not h11.SEND_RESPONSE:
                # Cancelled in the middle of its answer; only ending the connection can tell the client.
                raise anyio.BrokenResourceError
        return error_answer(503, "the daemon is shutting down: try again")

    async def _next_cycle(self) -> bool:
        """Whether another request may come: the whole body was read, or little enough is left to drop."""
        left = _DRAINED
        while self.http.their_state is h11.SEND_BODY and not self._last:
            piece = await self._body_piece()
            if piece is None:
                break
            left -= len(piece)
            if left < 0:
                self._misunderstood = True  # it learns why, if it still reads
                return False
        if self._last or self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
            return False
        self.http.start_next_cycle()
        return True

    # ---------------------------------------------------------------- in

    async def body(self) -> AsyncGenerator[bytes, None]:
        """The rest of the body, piece by piece.

        Raises:
            h11.RemoteProtocolError: it breaks off, has wrong framing, or stalls for too long.
        """
        if self.http.they_are_waiting_for_100_continue:
            await self.write(self.http.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
        while self.http.their_state is h11.SEND_BODY:
            piece = await self._body_piece()
            if piece is None:
                return
            yield piece

    async def whole_body(self) -> bytes | None:
        """The whole body, counted in the budgets until it is answered; None if it is longer than the limit.

        Raises:
            TooManyRequests: a budget is spent.
            h11.RemoteProtocolError: as ``body``.
        """
        if self.kept_body is not None:
            return self.kept_body  # a handler that runs a second time
        whole = bytearray()
        async with aclosing(self.body()) as pieces:
            async for piece in pieces:
                if len(whole) + len(piece) > self._limits.request_bytes:
                    return None
                self._quotas.hold_request(self.session.credentials.uid, len(piece), beside=self._held)
                self._held += len(piece)
                whole += piece
        self.kept_body = bytes(whole)
        return self.kept_body

    async def _body_piece(self) -> bytes | None:
        self.body_unread = False
        while True:
            event = self.http.next_event()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if event is not h11.NEED_DATA:
                return None
            with anyio.move_on_after(self._limits.text_seconds) as patience:
                await self.fill()
            if patience.cancelled_caught:
                self._quotas.reached("text_seconds")
                raise h11.RemoteProtocolError("the body did not come in time", error_status_hint=408)

    async def fill(self) -> None:
        """Hand h11 the result of one read, including the end of input; descriptors that come with it are closed.

        Raises:
            BrokenResourceError: the connection is lost.
        """
        try:
            data, _ = await receive(self.socket, READ, 0, self._closer, self._rest)
        except anyio.EndOfStream:
            self.http.receive_data(b"")
            return
        if not data:
            return
        self.received += len(data)
        self.http.receive_data(data)

    def _rest(self) -> None:
        self._pace.rest(all_read=True)

    async def _end_at_hangup(self) -> None:
        if await hung_up(self.socket, self.number):
            self._scope.cancel()

    # ---------------------------------------------------------------- out

    async def _deliver(self, answer: Answer | Streamed, request: Request) -> None:
        # A client that waits for 100 and gets an answer instead keeps the body; what follows could not be told from it.
        self._last = self._last or self.http.they_are_waiting_for_100_continue
        if isinstance(answer, Streamed):
            await self._stream(answer, request)
            return
        uid = self.session.credentials.uid
        size = answer.size
        try:
            if size > self._limits.reply_bytes:
                self._quotas.reached("reply_bytes")
                answer = error_answer(500, f"the answer has {size} bytes; the limit is {self._limits.reply_bytes}")
                size = answer.size
            self._quotas.hold(uid, size, beside=0, insist=request.method not in _READING)
        except StoragedError as error:
            answer, size = error_answer(429, error.message), 0
        self.heaviest = max(self.heaviest, size)
        try:
            await self._send(answer, request)
        finally:
            self._quotas.free(uid, size)

    async def _send(self, answer: Answer, request: Request | None) -> None:
        headers = [*answer.headers] if answer.bare else [*self._answering.headers(request), *answer.headers]
        head_only = request is not None and request.method == "HEAD"
        # A head without a body has a length of zero, as Go's server sends it.
        if answer.status != 204 and not head_only:
            headers.append((b"Content-Length", b"%d" % answer.size))
        parts = [self._response(answer.status, b"", headers)]
        if head_only:
            # For a HEAD, h11 says how the body would have been framed; Go's server does not.
            parts[0] = parts[0].replace(b"Transfer-Encoding: chunked\r\n", b"")
        for part in () if head_only else answer.body:
            parts += self.http.send_with_data_passthrough(h11.Data(data=part)) or ()
        parts += self.http.send_with_data_passthrough(h11.EndOfMessage()) or ()
        await self.write(*parts)

    async def _stream(self, answer: Streamed, request: Request) -> None:
        own = [*answer.headers] if answer.bare else [*self._answering.headers(request), *answer.headers]
        async with aclosing(answer.pieces) as pieces:
            # At once, and by itself: a client that waits for events wants to know that they will come.
            await self.write(self._response(answer.status, answer.reason, own))
            async for piece in pieces:
                await self.write(*(self.http.send_with_data_passthrough(h11.Data(data=piece)) or ()))
        await self.write(*(self.http.send_with_data_passthrough(h11.EndOfMessage()) or ()))

    def _response(self, status: int, reason: bytes, headers: list[tuple[bytes, bytes]]) -> bytes:
        return response_head(self.http, status, reason, headers, last=self._last, old=self._old)

    async def _refuse(self, answer: Answer) -> None:
        """Report what is wrong with the input if nothing has been answered yet; then the connection ends."""
        self._misunderstood = True
        if self.http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            headers = [*answer.headers, (b"Content-Length", b"%d" % answer.size), (b"Connection", b"close")]
            await self.write(self._response(answer.status, b"", headers), *answer.body)


_log = logging.getLogger(__name__)
