"""Tasks that answer the requests of one connection, each exactly once.

A budget refuses what has not begun, or what changed nothing. The result of a change is sent whatever is spent: a
refusal would be a lie, and the client would try again.
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
from storaged.server.connection_budget import ConnectionBudget
from storaged.server.fd_closer import AccountCloser
from storaged.server.send_queue import SendQueue
from storaged.service.access import audit_unbegun
from storaged.service.context import Waiting
from storaged.service.session import Session
from storaged_client.contract.errors import (
    InternalError,
    RequestCancelled,
    ShuttingDown,
    StoragedError,
)
from storaged_client.contract.methods import mutates, takes_descriptors
from storaged_client.jsonrpc.events import Batch, Notification, Request
from storaged_client.jsonrpc.messages import ID, LocalProtocolError
from storaged_client.jsonrpc.peer import Peer

Answer: TypeAlias = bytes | Sequence[bytes]

_log = logging.getLogger(__name__)


class Dispatch(Protocol):
    """What answers requests: ``storaged.service.service.Service.begin``."""

    def __call__(
        self, session: Session, method: str, params: Any, descriptors: Sequence[int] = (), /
    ) -> Answer | Waiting[Answer]:
        """Return the encoded ``result`` of one request, whole or in parts to be joined, or a function to await for it.

        ``descriptors`` came with the request. The caller closes them when the answer is there.

        Raises:
            StoragedError: the answer is an error; the awaited function raises it, too.
        """
        ...


class RequestTasks:
    """Answers the requests of one connection. ``moved`` is called whenever there may be room for another request."""

    def __init__(
        self,
        *,
        session: Session,
        dispatch: Dispatch,
        budget: ConnectionBudget,
        metrics: Metrics,
        peer: Peer,
        send_queue: SendQueue,
        moved: Callable[[], None],
        closer: AccountCloser,
    ) -> None:
        self._session = session
        self._dispatch = dispatch
        self._budget = budget
        self._metrics = metrics
        self._peer = peer
        self._send_queue = send_queue
        self._moved = moved
        self._closer = closer
        self._running: dict[ID, anyio.CancelScope] = {}
        self._scopes: set[anyio.CancelScope] = set()
        """Including those of notifications, which no id can cancel."""
        self._batches: dict[Batch, int] = {}
        """Bytes of the answers that wait for the rest of their batch."""
        self._refusing = False

    def full(self) -> str:
        """The limit that keeps another request from beginning, or an empty string. What is refused needs no place."""
        return "" if self._refusing else self._budget.full()

    def cancel(self, identity: ID) -> None:
        """Cancel a request that the peer gave up; it is still answered."""
        scope = self._running.get(identity)
        if scope is not None:
            scope.cancel()

    def refuse_rest(self) -> None:
        """Cancel what runs; answer it, and everything from now on, with ``ShuttingDown``."""
        self._refusing = True
        self._moved()
        for scope in list(self._scopes):
            scope.cancel()

    def begin(self, call: Request | Notification, requests: TaskGroup) -> None:
        """Answer at once, or in a task of its own if there is something to wait for."""
        taken = call.fds if takes_descriptors(call.method) else ()
        if not taken:
            self._closer.close(call.fds)
        try:
            if self._refusing:
                raise ShuttingDown("the daemon is shutting down: try again")
            self._budget.begin(call.size, taken, mutates=mutates(call.method))
        except StoragedError as error:
            self._closer.close(taken)
            self._audit_unbegun(call, error.name)
            if isinstance(call, Request):
                self._refuse(call, error)
            return
        self._metrics.add("requests")
        answer: Answer | Waiting[Answer] | None = None
        wrong: StoragedError | None = None
        begin_request(self._session.number, _id_of(call))
        try:
            # A handler that takes no descriptors need not know of them.
            given = (taken,) if taken else ()
            answer = self._dispatch(self._session, call.method, call.params, *given)
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
        """Account for a request that the end of the connection kept from beginning."""
        self._closer.close(call.fds)
        self._audit_unbegun(call, RequestCancelled.__name__)

    def _audit_unbegun(self, call: Request | Notification, result: str) -> None:
        def say() -> None:
            begin_request(self._session.number, _id_of(call))
            audit_unbegun(self._session, call.method, call.params, result)

        # In a context of its own: this is the connection's task, whose later log lines are not this request's.
        copy_context().run(say)

    async def _run(
        self, call: Request | Notification, wait: Waiting[Answer], scope: anyio.CancelScope, taken: Sequence[int]
    ) -> None:
        """The task of one request."""
        try:
            await self._wait(call, wait, scope, taken)
        except anyio.get_cancelled_exc_class() as cancelled:
            # On asyncio, anyio leaves the exception in a cycle with its traceback. Its frames hold the whole request,
            # which must not stay until the next full collection.
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
        """Return the error to answer with. To be called in the handler of ``failure``."""
        if isinstance(failure, StoragedError):
            # With its traceback it would be in a cycle with this frame, and keep the request's params until the next
            # full collection.
            return failure.with_traceback(None)
        # A bug in one method is that request's answer, and the daemon goes on.
        self._metrics.add("requests.failed")
        _log.exception("request failed connection=%d method=%s", self._session.number, call.method)
        return InternalError("internal error; the daemon's log has the details")

    def _let_go(self, call: Request | Notification, taken: Sequence[int]) -> None:
        """Give back the request's text and close its descriptors."""
        self._budget.answered(call.size, taken)
        self._closer.close(taken)
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
            return ShuttingDown("the daemon shut down before this was done: try again")
        self._metrics.add("requests.cancelled")
        return RequestCancelled("cancelled")

    def _tell(self, request: Request, result: Sequence[bytes]) -> None:
        """Queue a result, or the error that says why it cannot be sent."""
        size = sum(map(len, result))
        batch = request.batch.size if request.batch else 0
        try:
            self._budget.hold(size, batch=batch, changed=mutates(request.method))
        except StoragedError as refusal:
            self._refuse(request, refusal, self._end)
            return
        self._send(request, self._peer.result_parts(request, result), size, self._end)

    def _refuse(self, request: Request, error: StoragedError, done: Callable[[], None] | None = None) -> None:
        """Queue an error."""
        self._metrics.add("requests.refused")
        text = error.message or error.name
        try:
            parts = self._peer.error_parts(request, error.code, text, error.wire_data())
        except LocalProtocolError:
            _log.exception("error data is not JSON connection=%d error=%s", self._session.number, error.name)
            parts = self._peer.error_parts(request, error.code, text, {"name": error.name})
        self._send(request, parts, 0, done or self._moved)

    def _send(self, request: Request, parts: tuple[bytes, ...], held: int, done: Callable[[], None]) -> None:
        """Queue an answer; ``done`` is called when the kernel has taken it, or when it waits for its batch."""
        if request.batch is not None:
            # The whole batch is sent with its last answer; until then the peer keeps the bytes.
            held += self._batches.pop(request.batch, 0)
            if not parts:
                self._batches[request.batch] = held
                done()
                return

        def written() -> None:
            self._budget.free(held)
            done()

        self._send_queue.put(parts, written)

    def _end(self) -> None:
        self._budget.end()
        self._moved()

    def release(self) -> None:
        """Give back what is held for answers that were never written. No task of ``begin`` may be running."""
        # Descriptors are left of tasks that were cancelled before their first step.
        self._closer.close(self._budget.release())
        # The event loop's objects of a connection are in cycles and must not keep anything large until the next full
        # collection. Nor may this be in a cycle with the connection.
        self._send_queue.clear()
        self._batches.clear()
        self._peer.abandon()
        self._moved = _nobody_waits


def _id_of(call: Request | Notification) -> ID:
    return call.id if isinstance(call, Request) else None


def _nobody_waits() -> None:
    """Replace ``moved`` when the connection has ended."""
