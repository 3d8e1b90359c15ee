"""The requests of one connection that are being answered: their tasks, their budgets, their one answer each.

A request counts as in flight from ``begin`` until the kernel took its reply.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Protocol

import anyio
from anyio.abc import TaskGroup

from storaged.logs import begin_request
from storaged.metrics import Metrics
from storaged.server.guard import Guard, Limits
from storaged.server.outbox import PIECE, Outbox
from storaged.service.session import Session
from storaged_client.contract.errors import InternalError, RequestCancelled, ShuttingDown, StoragedError, TooLarge
from storaged_client.jsonrpc.messages import ID, LocalProtocolError
from storaged_client.jsonrpc.peer import Batch, Notification, Peer, Request

_log = logging.getLogger(__name__)


class Handler(Protocol):
    """What answers: ``storaged.service.registry.Service.handle``."""

    async def __call__(self, session: Session, method: str, params: Any, /) -> bytes:
        """The encoded ``result`` of one request.

        Raises:
            StoragedError: the answer is an error.
        """
        ...


class Answers:
    """See the module. ``moved`` is called whenever there may be room for another request."""

    def __init__(
        self,
        *,
        session: Session,
        handler: Handler,
        limits: Limits,
        guard: Guard,
        metrics: Metrics,
        peer: Peer,
        outbox: Outbox,
        moved: Callable[[], None],
    ) -> None:
        self._session = session
        self._handler = handler
        self._limits = limits
        self._guard = guard
        self._metrics = metrics
        self._peer = peer
        self._outbox = outbox
        self._moved = moved
        self._uid = session.credentials.uid
        self._running: dict[ID, anyio.CancelScope] = {}
        self._batches: dict[Batch, int] = {}
        """Bytes of the answers that wait for the rest of their batch."""
        self._held = 0
        self._refusing = False
        self.in_flight = 0

    @property
    def full(self) -> bool:
        """Whether the connection has as many in flight as it may. What is refused needs no place."""
        return self.in_flight >= self._limits.in_flight and not self._refusing

    def cancel(self, identity: ID) -> None:
        """The peer no longer wants this answer; it still gets one."""
        scope = self._running.get(identity)
        if scope is not None:
            scope.cancel()

    def refuse_rest(self) -> None:
        """Cancel what runs and answer it, and all that begins from now on, with ``ShuttingDown``."""
        self._refusing = True
        self._moved()
        for scope in list(self._running.values()):
            scope.cancel()

    def begin(self, call: Request | Notification, requests: TaskGroup) -> None:
        """Answer in a task of its own, or at once where it is refused."""
        # No method takes descriptors, and kept until the answer 64 requests would hold a thousand of them.
        close_all(call.fds)
        try:
            if self._refusing:
                raise ShuttingDown("the daemon is shutting down: ask again")
            self._guard.begin(self._uid, beside=self.in_flight)
        except StoragedError as error:
            if isinstance(call, Request):
                self._reply(call, None, error, self._moved)
            return
        self.in_flight += 1
        self._metrics.add("requests")
        scope = anyio.CancelScope()
        if isinstance(call, Request):
            self._running[call.id] = scope
        requests.start_soon(self._answer, call, scope)

    async def _answer(self, call: Request | Notification, scope: anyio.CancelScope) -> None:
        begin_request(self._session.number, call.id if isinstance(call, Request) else None)
        result: bytes | None = None
        error: StoragedError | None = None
        try:
            try:
                with scope:
                    result = await self._handler(self._session, call.method, call.params)
            except StoragedError as failure:
                error = failure
            except Exception:
                # The pump: a mistake in one method is that request's answer, and the daemon goes on.
                self._metrics.add("requests.failed")
                _log.exception("request failed connection=%d method=%s", self._session.number, call.method)
                error = InternalError("the daemon made a mistake; its log has the details")
            else:
                if result is None:
                    error = self._interrupted()
        except BaseException:
            self._end()
            raise
        finally:
            if isinstance(call, Request):
                self._running.pop(call.id, None)
        if isinstance(call, Notification):
            self._end()
        else:
            self._reply(call, result, error, self._end)

    def _interrupted(self) -> StoragedError:
        if self._refusing:
            return ShuttingDown("the daemon shut down before this was done: ask again")
        self._metrics.add("requests.cancelled")
        return RequestCancelled("cancelled")

    def _reply(
        self, request: Request, result: bytes | None, error: StoragedError | None, done: Callable[[], None]
    ) -> None:
        """Queue the one answer; ``done`` is called when the kernel took it, or when it waits for its batch."""
        held = 0
        if result is not None and error is None:
            try:
                if len(result) > self._limits.reply_bytes:
                    raise TooLarge(
                        "the answer is larger than may be sent: ask for less with limit and fields",
                        {"size": len(result), "limit": self._limits.reply_bytes},
                    )
                self._guard.hold(self._uid, len(result), beside=self._held)
                held = len(result)
            except StoragedError as refusal:
                error = refusal
        self._held += held
        if error is not None or result is None:
            data = self._error(request, error or InternalError("no result"))
        elif len(result) < PIECE:
            data = self._peer.send_result(request, result)
        else:
            *before, data = self._peer.send_long_result(request, result) or (b"",)
            for part in before:
                self._outbox.put(part, lambda: None)
        if request.batch is not None:
            # The whole batch leaves with its last answer; until then the peer keeps the bytes.
            held += self._batches.pop(request.batch, 0)
            if not data:
                self._batches[request.batch] = held
                held = 0
        if not data:
            done()
            return

        def written() -> None:
            self._free(held)
            done()

        self._outbox.put(data, written)

    def _error(self, request: Request, error: StoragedError) -> bytes:
        self._metrics.add("requests.refused")
        data = {**error.data, "name": error.name}
        try:
            return self._peer.send_error(request, error.code, error.message or error.name, data)
        except LocalProtocolError:
            _log.exception("evidence is no JSON connection=%d error=%s", self._session.number, error.name)
            return self._peer.send_error(request, error.code, error.message or error.name, {"name": error.name})

    def _end(self) -> None:
        self.in_flight -= 1
        self._guard.end(self._uid)
        self._moved()

    def _free(self, held: int) -> None:
        self._held -= held
        self._guard.free(self._uid, held)

    def release(self) -> None:
        """Give back what answers hold that were never written. No task of ``begin`` may be running."""
        for _ in range(self.in_flight):
            self._guard.end(self._uid)
        self.in_flight = 0
        self._free(self._held)


def close_all(descriptors: Iterable[int]) -> None:
    """Close descriptors that nobody took."""
    for descriptor in descriptors:
        with suppress(OSError):
            os.close(descriptor)
