"""The gateway's front: from a request to its answer, and from a failure to its one error.

::

    request ──▶ route ──▶ handler ──▶ answer
                  │          │  404 from a state that may be stale: once more, with a fresh read (strict)
                  │          '── an error of the service: podman's status and words (``failures``)
                  '── no handler: podman answers, by ``Upstream.pass_on``

After a change on this connection, or a request passed on that may have made one, the client reads no stale state.
"""

from __future__ import annotations

import logging
import time
from email.utils import formatdate
from functools import lru_cache

import anyio
import h11
from anyio.abc import UNIXSocketStream

from storaged.gateway import routes
from storaged.gateway.answers import Answer, Headers, Streamed, answer_of, error_answer, moved_answer, plain_answer
from storaged.gateway.connection import HttpConnection
from storaged.gateway.context import Context
from storaged.gateway.errors import ApiError
from storaged.gateway.failures import api_error
from storaged.gateway.identity import Identity
from storaged.gateway.request import Request, split_target
from storaged.metrics import Metrics
from storaged.server.front import Shared
from storaged.service.session import Session
from storaged_client.contract.errors import StoragedError

_READING = frozenset({"GET", "HEAD"})
_UNKNOWING = frozenset({"StoreCorrupt", "StoreUnsupported"})
"""Errors of a store that podman may still understand: podman is asked instead, if it is there."""

_log = logging.getLogger(__name__)


class Gateway:
    """Implements ``storaged.server.front.Front``. One instance for each daemon."""

    def __init__(self, context: Context, metrics: Metrics) -> None:
        self._context = context
        self._metrics = metrics

    # ---------------------------------------------------------------- Front

    def connect(self, stream: UNIXSocketStream, session: Session, shared: Shared) -> HttpConnection:
        return HttpConnection(stream, session, shared, self)

    def refusal(self, error: StoragedError) -> bytes:
        body = b"".join(error_answer(503, error.message).body)
        head = b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nConnection: close\r\n"
        return head + b"Content-Length: %d\r\n\r\n" % len(body) + body

    # ---------------------------------------------------------------- Answering

    def headers(self, request: Request | None) -> Headers:
        """The headers of every answer from a handler."""
        reference = request.header(b"x-reference-id") if request is not None else None
        token = reference or b"%#x" % (request.link.number if request is not None else 0)
        date = formatdate(usegmt=True).encode()
        return (*_presented(self._context.identity), (b"X-Reference-Id", token), (b"Date", date))

    async def answer(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        """The answer; None if the connection has already been used for one. Raises only what ends a connection."""
        moved = self._moved(request)
        if moved is not None:
            return moved
        route = routes.find(request)
        if route == 404:
            return plain_answer(404, "Not Found")
        if route == 405:
            return plain_answer(405, "Method Not Allowed")
        began = time.perf_counter()
        answer: Answer | Streamed | None = None
        request.strict = connection.changed or self._context.store.passed.unseen
        try:
            answer = await self._handled(connection, request, route)
            own = route.handler is not None
            if own and _is_missing(answer) and not request.strict and not self._context.store.is_current():
                request.strict = True
                answer = await self._handled(connection, request, route)
        finally:
            name = f"gateway.{route.name}"
            self._metrics.spend(name, time.perf_counter() - began)
            if answer is not None and answer.status >= 400:
                self._metrics.add(f"{name}.errors")
            if request.method not in _READING:
                connection.changed = True
        return self._with_age(answer, request) if isinstance(answer, Answer) else answer

    # ---------------------------------------------------------------- within

    def _moved(self, request: Request) -> Answer | None:
        target = split_target(request.target)
        location = target.clean if target is not None else None
        return moved_answer(location) if location is not None else None

    async def _handled(
        self, connection: HttpConnection, request: Request, route: routes.Route
    ) -> Answer | Streamed | None:
        try:
            if route.handler is None:
                return await self._passed_on(connection, request)
            return await route.handler(self._context, request)
        except ApiError as error:
            return answer_of(error)
        except StoragedError as error:
            self._metrics.add(f"errors.{error.name}")
            upstream = self._context.upstream
            if error.name in _UNKNOWING and connection.passable and await upstream.may_pass(request):
                return await self._passed_on(connection, request)
            return answer_of(api_error(error.with_traceback(None), request))
        except (h11.ProtocolError, anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream):
            raise  # the end of the connection
        except Exception:
            # A barrier: an error in one handler becomes that request's answer, and the daemon continues.
            self._metrics.add("requests.failed")
            _log.exception("request failed connection=%d route=%s", connection.number, route.name)
            return error_answer(500, "internal error; the daemon's log has the details")

    async def _passed_on(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        try:
            return await self._context.upstream.pass_on(connection, request)
        except ApiError as error:
            return answer_of(error)

    def _with_age(self, answer: Answer, request: Request) -> Answer:
        """Mark a stale answer with a header: REST has no member for it."""
        stale = request.stale
        if stale is None or answer.bare:
            return answer
        text = f"{stale.reason}; age_ms={stale.age_ms}"
        if stale.holder is not None and stale.holder.pid is not None:
            text += f"; pid={stale.holder.pid}"
        header = (b"X-Storaged-Stale", text.encode("ascii", "replace"))
        return Answer(status=answer.status, headers=(*answer.headers, header), body=answer.body)


@lru_cache(maxsize=2)
def _presented(identity: Identity) -> Headers:
    return (
        (b"Api-Version", identity.api.encode()),
        (b"Libpod-Api-Version", identity.podman.encode()),
        (b"Server", f"Libpod/{identity.podman} (linux)".encode()),
    )


def _is_missing(answer: Answer | Streamed | None) -> bool:
    return isinstance(answer, Answer) and answer.status == 404
