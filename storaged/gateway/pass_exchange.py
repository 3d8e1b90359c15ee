"""Relays one request and its answer: heads are built anew, bodies re-framed, nothing is held back.

::

    client ── body ──▶ podman       a task of its own: podman may answer before it has all
    client ◀─ answer ─ podman       chunk by chunk as podman wrote them, sent as soon as nothing more is there
       '── hang-up: podman's connection is closed, and podman gives up a build ──'

A reader slower than the writer stops it through the buffers of the sockets: at most 64 KiB are held here.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Sequence
from typing import Protocol

import anyio
import h11

from storaged.gateway.errors import ApiError
from storaged.gateway.pass_heads import for_client, opens_tunnel, tunnel_head
from storaged.gateway.podman_socket import PodmanConnection
from storaged.gateway.sockets import READ, send_all
from storaged.gateway.tunnel import tunnel
from storaged.server.disconnect import hung_up

_log = logging.getLogger(__name__)


class Front(Protocol):
    """The client's connection: the request's head has been taken from ``http``, and nothing after it."""

    http: h11.Connection
    socket: socket.socket
    number: int
    """For the log."""
    kept_body: bytes | None
    """The whole body, if it was already read."""

    async def fill(self) -> None:
        """Wait for bytes and hand them to ``http``, including the end of input.

        Raises:
            BrokenResourceError: the connection is lost.
        """


_SOON = 0.02
"""Seconds within which most answers come; a client that waits longer is watched for leaving."""


class Unanswered(ApiError):
    """podman closed the connection before it answered anything."""

    def __init__(self) -> None:
        super().__init__(503, "podman's service closed the connection without an answer")


class ClientGone(Exception):
    """The client hung up, or stopped in the middle: nobody is left to answer."""


class Exchange:
    """One request on its way to podman, and its answer.

    ``heard`` is called with podman's answer. ``moved`` is called with its status at its head and at its end, before the
    client has them: from then on the client can know that podman has done something.

    ``again``: the request was sent before and had no body; ``front`` has already reported its end.
    """

    def __init__(
        self,
        front: Front,
        podman: PodmanConnection,
        request: h11.Request,
        *,
        moved: Callable[[int], object],
        heard: Callable[[h11.Response], object],
        again: bool = False,
    ) -> None:
        self._again = again
        self._front = front
        self._podman = podman
        self._request = request
        self._moved = moved
        self._heard = heard
        self._body_taken = False
        self.repeatable = True
        """Whether the request can be sent once more: it had no body."""
        self.body_sent = False
        """Whether podman was sent all of it: podman may answer without it."""
        self._out: list[bytes] = []
        self._out_size = 0
        self._held = bytearray()
        """podman's chunk that has not arrived completely."""
        self._chunked = False
        self._end: ApiError | ClientGone | None = None
        self._tunnel_head: bytes | None = None
        self.status = 0
        """The status of the answer, once its head was passed on."""
        self.tunnel_opened = False

    async def run(self, asked: h11.Request) -> None:
        """Pass the request on, with the head ``asked`` for podman; return when the answer is complete.

        Raises:
            ApiError: nothing has been answered yet, and this is the answer.
            ClientGone: there is nobody to answer, or the answer broke off: close the connection.
        """
        try:
            parts = self._podman.put(asked)
            needs_more = self._take_body(parts)
        except h11.ProtocolError as error:
            raise _bad_request() from error
        await self._deliver(parts)
        self.body_sent = self._body_taken
        if not (self.body_sent and await self._relay(_SOON)):
            await self._relay_watched(needs_more)
        if self._tunnel_head is not None:
            await self._carry(self._tunnel_head)

    async def _relay_watched(self, needs_more: bool) -> None:
        """Like ``_relay``, while the rest of the body is sent; give up as soon as the client is gone."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watch, tasks.cancel_scope)
            if not self.body_sent:
                tasks.start_soon(self._send_body, needs_more, tasks.cancel_scope)
            try:
                await self._relay(None)
            except (ApiError, ClientGone) as error:
                self._end = self._end or error
            tasks.cancel_scope.cancel()
        if self._end is not None:
            raise self._end if not self.status else ClientGone(str(self._end))

    async def _watch(self, scope: anyio.CancelScope) -> None:
        if await hung_up(self._front.socket, self._front.number):
            self._end = self._end or ClientGone("the client hung up")
            scope.cancel()

    # ---------------------------------------------------------------- to podman

    async def _send_body(self, needs_more: bool, scope: anyio.CancelScope) -> None:
        try:
            while not self.body_sent:
                if needs_more:
                    await self._front.fill()
                parts: list[bytes] = []
                needs_more = self._take_body(parts)
                if not await self._deliver(parts):
                    return
                self.body_sent = self._body_taken
        except anyio.BrokenResourceError:
            self._end = self._end or ClientGone("the client hung up")
            scope.cancel()
        except h11.ProtocolError:
            self._end = self._end or _bad_request()
            scope.cancel()

    def _take_body(self, parts: list[bytes]) -> bool:
        """Move the available part of the body into ``parts``, at most 64 KiB; return whether to wait for more.

        Raises:
            h11.RemoteProtocolError: its framing is wrong, or it ends in the middle.
        """
        if self._again:
            parts += self._podman.put(h11.EndOfMessage())
            self._body_taken = True
            return False
        kept = self._front.kept_body
        if kept is not None:
            if kept:
                parts += self._podman.put(h11.Data(data=kept))
            parts += self._podman.put(h11.EndOfMessage())
            self._body_taken, self.repeatable = True, False
            return False
        size = 0
        while size < READ:
            event = self._front.http.next_event()
            if isinstance(event, h11.Data):
                size += len(event.data)
                parts += self._podman.put(h11.Data(data=bytes(event.data)))
            elif isinstance(event, h11.EndOfMessage):
                parts += self._podman.put(h11.EndOfMessage())
                self._body_taken = True
                self.repeatable = self.repeatable and not size
                return False
            else:
                self.repeatable = False
                return True
        self.repeatable = False
        return False

    async def _deliver(self, parts: list[bytes]) -> bool:
        """Send ``parts``; return whether podman still reads. If not, it may still have answered: the other direction
        finds out."""
        try:
            await self._podman.write(parts)
        except anyio.BrokenResourceError:
            return False
        return True

    # ---------------------------------------------------------------- to the client

    async def _relay(self, patience: float | None) -> bool:
        """Pass the answer on; False if podman was silent for ``patience`` seconds: call it again.

        Raises:
            ApiError: podman broke off, and nothing was answered yet.
            ClientGone: as ``run``.
        """
        while True:
            try:
                event = self._podman.poll()
                if event is h11.NEED_DATA:
                    await self._flush()
                    with anyio.move_on_after(patience) as waiting:
                        await self._podman.read()
                    if waiting.cancelled_caught:
                        return False
                    continue
            except (h11.RemoteProtocolError, anyio.BrokenResourceError) as error:
                broken = self._broken(error)
                raise (ClientGone(str(broken)) if self.status else broken) from error
            match event:
                case h11.InformationalResponse(status_code=101):
                    return self._open_tunnel(event)
                case h11.InformationalResponse():
                    if self._request.http_version >= b"1.1":
                        self._put(h11.InformationalResponse(status_code=event.status_code, headers=for_client(event)))
                case h11.Response():
                    self.status = event.status_code
                    self._heard(event)
                    self._moved(self.status)
                    if opens_tunnel(self._request, event):
                        return self._open_tunnel(event)
                    self._chunked = any(name == b"transfer-encoding" for name, _ in event.headers)
                    self._put(
                        h11.Response(status_code=event.status_code, reason=event.reason, headers=for_client(event))
                    )
                    if self._request.http_version < b"1.1":
                        await self._flush()  # cockpit reads only the head
                case h11.Data():
                    self._held += event.data
                    if not self._chunked or event.chunk_end or len(self._held) >= READ:
                        self._put(h11.Data(data=bytes(self._held)))
                        self._held.clear()
                case h11.EndOfMessage():
                    self._moved(self.status)
                    self._put(h11.EndOfMessage())
                    await self._flush()
                    return True
                case _:
                    raise self._broken(h11.RemoteProtocolError(f"unexpected {event!r}"))
            if self._out_size >= READ:
                await self._flush()

    def _put(self, event: h11.Event) -> None:
        try:
            parts = self._front.http.send_with_data_passthrough(event) or []
            if isinstance(event, h11.Response) and self._request.http_version < b"1.1":
                # h11 answers in its own version, whatever the version of the request.
                parts[0] = b"HTTP/1.0" + parts[0][8:]
        except h11.LocalProtocolError as error:
            raise ClientGone(f"podman's answer cannot be passed on: {error}") from error
        self._out += parts
        self._out_size += sum(map(len, parts))

    async def _flush(self) -> None:
        if self._out:
            out, self._out, self._out_size = self._out, [], 0
            await self._write(out)

    async def _write(self, parts: Sequence[bytes]) -> None:
        try:
            await send_all(self._front.socket, parts)
        except anyio.BrokenResourceError:
            raise ClientGone("the client reads no more") from None

    def _broken(self, error: Exception) -> ApiError:
        if not self._podman.heard:
            return Unanswered()
        _log.info("podman broke off connection=%d error=%s", self._front.number, type(error).__name__)
        return ApiError(502, "podman's service broke off its answer")

    def _open_tunnel(self, response: h11.Response | h11.InformationalResponse) -> bool:
        if not self.body_sent:
            raise ApiError(502, "podman's service opened a stream before it had the whole request")
        self.status = response.status_code
        self._moved(self.status)
        self._tunnel_head = tunnel_head(response)
        return True

    async def _carry(self, head: bytes) -> None:
        self.tunnel_opened = True
        # No more answers on this connection.
        self._front.http.send_failed()
        try:
            await send_all(self._front.socket, (*self._out, head))
        except anyio.BrokenResourceError:
            raise ClientGone("the client reads no more") from None
        await tunnel(
            self._front.socket,
            self._podman.socket,
            number=self._front.number,
            up=self._front.http.trailing_data[0],
            down=self._podman.rest,
        )
        self._moved(self.status)


def _bad_request() -> ApiError:
    # h11's own text quotes what was sent, which may contain a secret.
    return ApiError(400, "the request body has invalid framing, or ends early")
