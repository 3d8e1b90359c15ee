"""The unanswered requests of one connection: their tasks and budgets, and exactly one answer for each.

A request counts as in flight from ``begin`` until the kernel took its reply, and its text until it is answered.

A budget refuses only requests that have not begun or have changed nothing. The result of a change is always sent: to
say that it was refused would be a lie, and its client would try again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import copy_context
from typing import Any, Protocol, TypeAlias

import anyio
from anyio.abc import TaskGroup

from storaged.logs import begin_request, end_request
from storaged.metrics import Metrics
from storaged.server.fd_closer import AccountCloser
from storaged.server.quotas import Limits, Quotas
from storaged.server.send_queue import SendQueue
from storaged.service.access import audit_unbegun
from storaged.service.context import Waiting
from storaged.service.session import Session
from storaged_client.contract.errors import (
    InternalError,
    RequestCancelled,
    ShuttingDown,
    StoragedError,
    TooLarge,
    TooManyRequests,
)
from storaged_client.contract.methods import mutates, takes_descriptors
from storaged_client.jsonrpc.messages import ID, LocalProtocolError
from storaged_client.jsonrpc.peer import Batch, Notification, Peer, Request

Answer: TypeAlias = bytes | Sequence[bytes]

_log = logging.getLogger(__name__)


class Handler(Protocol):
    """Answers requests: ``storaged.service.service.Service.begin``."""

    def __call__(
        self, session: Session, method: str, params: Any, descriptors: Sequence[int] = (), /
    ) -> Answer | Waiting[Answer]:
        """The encoded ``result`` of one request, whole or in parts to be joined; or an awaitable that returns it.

        ``descriptors`` came with the request, and are closed when the answer is there.

        Raises:
            StoragedError: the answer is an error; the awaitable raises it, too.
        """
        ...


class RequestTasks:
    """Answers the requests of one connection. ``moved`` is called whenever there may be room for another request."""

    def __init__(
        self,
        *,
        session: Session,
        handler: Handler,
        limits: Limits,
        guard: Quotas,
        metrics: Metrics,
        peer: Peer,
        outbox: SendQueue,
        moved: Callable[[], None],
        closer: AccountCloser,
    ) -> None:
        self._session = session
        self._handler = handler
        self._limits = limits
        self._guard = guard
        self._metrics = metrics
        self._peer = peer
        self._outbox = outbox
        self._moved = moved
        self._closer = closer
        self._uid = session.credentials.uid
        self._running: dict[ID, anyio.CancelScope] = {}
        self._scopes: set[anyio.CancelScope] = set()
        """Includes those of notifications, which nobody can cancel by an id."""
        self._batches: dict[Batch, int] = {}
        """Bytes of the answers that wait for the rest of their batch."""
        self._held = 0
        self._request_bytes = 0
        self._descriptors: set[int] = set()
        """Descriptors of unanswered requests."""
        self._refusing = False
        self.in_flight = 0
        self.heaviest = 0
        """The maximum number of bytes of requests and answers held at once."""

    def full(self) -> str:
        """The limit that keeps another request from beginning, or an empty string. Refused requests need no place."""
        if self._refusing:
            return ""
        if self.in_flight >= self._limits.in_flight:
            return "in_flight"
        return "in_flight_bytes" if self._request_bytes >= self._limits.in_flight_bytes else ""

    def cancel(self, identity: ID) -> None:
        """The peer no longer wants this answer; it still gets one."""
        scope = self._running.get(identity)
        if scope is not None:
            scope.cancel()

    def refuse_rest(self) -> None:
        """Cancel what runs, and answer it and everything that begins from now on with ``ShuttingDown``."""
        self._refusing = True
        self._moved()
        for scope in list(self._scopes):
            scope.cancel()

    def begin(self, call: Request | Notification, requests: TaskGroup) -> None:
        """Answer at once if there is nothing to wait for, otherwise in a new task."""
        taken = call.fds if takes_descriptors(call.method) else ()
        if not taken:
            self._closer.close(call.fds)
        try:
            if self._refusing:
                raise ShuttingDown("the daemon is shutting down: ask again")
            self._claim(call, taken)
        except StoragedError as error:
            self._closer.close(taken)
            self._audit_unbegun(call, error.name)
            if isinstance(call, Request):
                self._refuse(call, error)
            return
        self.in_flight += 1
        self._metrics.add("requests")
        answer: Answer | Waiting[Answer] | None = None
        wrong: StoragedError | None = None
        begin_request(self._session.number, _id_of(call))
        try:
            # Without descriptors, a handler need not know of them.
            given = (taken,) if taken else ()
            answer = self._handler(self._session, call.method, call.params, *given)
        except Exception as failure:
            wrong = self._failed(call, failure)
        finally:
            end_request()
        if callable(answer):
            scope = anyio.CancelScope()
            self._scopes.add(scope)
            if isinstance(call, Request):
                self._running[call.id] = scope
            requests.start_soon(self._run, call, answer, scope, taken)
        else:
            self._let_go(call, taken)
            self._deliver(call, answer, wrong)

    def never_begun(self, call: Request | Notification) -> None:
        """The connection ended before this request could begin."""
        self._closer.close(call.fds)
        self._audit_unbegun(call, RequestCancelled.__name__)

    def _audit_unbegun(self, call: Request | Notification, result: str) -> None:
        def say() -> None:
            begin_request(self._session.number, _id_of(call))
            audit_unbegun(self._session, call.method, call.params, result)

        # This is the task of the connection, whose own log lines are not this request's.
        copy_context().run(say)

    def _claim(self, call: Request | Notification, taken: Sequence[int]) -> None:
        """Count the request in the budgets of its uid, and its descriptors in that of the connection.

        Raises:
            TooManyRequests: one of them is used up.
        """
        if len(self._descriptors) + len(taken) > self._limits.descriptors:
            self._guard.reached("descriptors")
            raise TooManyRequests(
                f"requests of this connection that are not answered yet hold {len(self._descriptors)} descriptors: "
                "wait for their answers"
            )
        if mutates(call.method):
            # An answer is not refused once it is made, so there must be room for one before.
            self._guard.hold(self._uid, 0, beside=self._held)
        self._guard.begin(self._uid, beside=self.in_flight)
        try:
            self._guard.hold_request(self._uid, call.size, beside=self._request_bytes)
        except StoragedError:
            self._guard.end(self._uid)
            raise
        self._request_bytes += call.size
        self._descriptors.update(taken)
        self.heaviest = max(self.heaviest, self._request_bytes + self._held)

    async def _run(
        self, call: Request | Notification, wait: Waiting[Answer], scope: anyio.CancelScope, taken: Sequence[int]
    ) -> None:
        """The task of one request."""
        try:
            await self._wait(call, wait, scope, taken)
        except anyio.get_cancelled_exc_class() as cancelled:
            # On asyncio, anyio leaves a cycle of the exception and its traceback, whose frames hold the whole request
            # and its results. Nothing of that should stay until the next full collection.
            cancelled.__traceback__ = None
            del call, wait
            raise

    async def _wait(
        self, call: Request | Notification, wait: Waiting[Answer], scope: anyio.CancelScope, taken: Sequence[int]
    ) -> None:
        begin_request(self._session.number, _id_of(call))
        answer: Answer | None = None
        error: StoragedError | None = None
        try:
            try:
                with scope:
                    answer = await wait()
            except Exception as failure:
                error = self._failed(call, failure)
            else:
                if answer is None:
                    error = self._interrupted()
        except BaseException:
            self._end()
            raise
        finally:
            self._scopes.discard(scope)
            if isinstance(call, Request):
                self._running.pop(call.id, None)
            self._let_go(call, taken)
        self._deliver(call, answer, error)

    def _failed(self, call: Request | Notification, failure: Exception) -> StoragedError:
        """The error that is the answer. Must be called where ``failure`` is caught."""
        if isinstance(failure, StoragedError):
            # With its traceback it would keep the frame that holds it, and so the request's params until the next full
            # collection.
            return failure.with_traceback(None)
        # A bug in one method is that request's answer, and the daemon continues.
        self._metrics.add("requests.failed")
        _log.exception("request failed connection=%d method=%s", self._session.number, call.method)
        return InternalError("the daemon made a mistake; its log has the details")

    def _let_go(self, call: Request | Notification, taken: Sequence[int]) -> None:
        """Release the request's text and descriptors."""
        self._descriptors.difference_update(taken)
        self._closer.close(taken)
        self._request_bytes -= call.size
        self._guard.free_request(self._uid, call.size)
        self._moved()

    def _deliver(self, call: Request | Notification, answer: Answer | None, error: StoragedError | None) -> None:
        if isinstance(call, Notification):
            self._end()
        elif error is not None or answer is None:
            self._refuse(call, error or InternalError("no result"), self._end)
        else:
            self._tell(call, (answer,) if isinstance(answer, bytes) else answer)

    def _interrupted(self) -> StoragedError:
        if self._refusing:
            return ShuttingDown("the daemon shut down before this was done: ask again")
        self._metrics.add("requests.cancelled")
        return RequestCancelled("cancelled")

    def _tell(self, request: Request, result: Sequence[bytes]) -> None:
        """Queue the one answer: the result, or why it cannot be sent."""
        size = sum(map(len, result))
        changed = mutates(request.method)
        try:
            if size + (request.batch.size if request.batch else 0) > self._limits.reply_bytes:
                self._guard.reached("reply_bytes")
                raise _too_large(size, self._limits.reply_bytes, changed=changed)
            self._guard.hold(self._uid, size, beside=self._held, insist=changed)
        except StoragedError as refusal:
            self._refuse(request, refusal, self._end)
            return
        self._held += size
        self.heaviest = max(self.heaviest, self._request_bytes + self._held)
        self._send(request, self._peer.result_parts(request, result), size, self._end)

    def _refuse(self, request: Request, error: StoragedError, done: Callable[[], None] | None = None) -> None:
        """Queue the one answer, which is an error."""
        self._metrics.add("requests.refused")
        text = error.message or error.name
        try:
            parts = self._peer.error_parts(request, error.code, text, error.wire_data())
        except LocalProtocolError:
            _log.exception("evidence is no JSON connection=%d error=%s", self._session.number, error.name)
            parts = self._peer.error_parts(request, error.code, text, {"name": error.name})
        self._send(request, parts, 0, done or self._moved)

    def _send(self, request: Request, parts: tuple[bytes, ...], held: int, done: Callable[[], None]) -> None:
        """Queue the answer; ``done`` is called when the kernel took it, or when it waits for its batch."""
        if request.batch is not None:
            # The whole batch is sent with its last answer; until then the peer keeps the bytes.
            held += self._batches.pop(request.batch, 0)
            if not parts:
                self._batches[request.batch] = held
                done()
                return

        def written() -> None:
            self._free(held)
            done()

        self._outbox.put(parts, written)

    def _end(self) -> None:
        self.in_flight -= 1
        self._guard.end(self._uid)
        self._moved()

    def _free(self, held: int) -> None:
        self._held -= held
        self._guard.free(self._uid, held)

    def release(self) -> None:
        """Release what unwritten answers hold. No task of ``begin`` may be running."""
        for _ in range(self.in_flight):
            self._guard.end(self._uid)
        self.in_flight = 0
        self._guard.free_request(self._uid, self._request_bytes)
        self._request_bytes = 0
        # Those of tasks that were cancelled before their first step.
        self._closer.close(self._descriptors)
        self._descriptors.clear()
        self._free(self._held)
        # The event loop's own objects of a connection form cycles, and must not keep large objects until the next full
        # collection. This object must not be in a cycle with the connection either.
        self._outbox.clear()
        self._batches.clear()
        self._peer.abandon()
        self._moved = _nobody_waits


def _id_of(call: Request | Notification) -> ID:
    return call.id if isinstance(call, Request) else None


def _nobody_waits() -> None:
    """A callback after the end of the connection."""


def _too_large(size: int, limit: int, *, changed: bool) -> TooLarge:
    evidence = {"size": size, "limit": limit}
    if changed:
        text = "it was carried out, but its report is larger than may be sent: look at what is there now"
        return TooLarge(text, {**evidence, "carried_out": True})
    return TooLarge("the answer is larger than may be sent: ask for less with limit and fields", evidence)
