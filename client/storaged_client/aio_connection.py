"""One connection of the async client, shared by any number of tasks."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from typing import Any

import anyio
from anyio.abc import SocketAttribute, UNIXSocketStream

from .json_limits import ENVELOPE_BYTES, REPLY_BYTES
from .jsonrpc.events import Close, ErrorResponse, Notification, Request, Response
from .jsonrpc.messages import ID, LocalProtocolError
from .jsonrpc.peer import Peer
from .progress import METHOD, Listener, News
from .transport import send_with

_CHUNK = 256 * 1024


class Own:
    """Copies of descriptors until they are sent: the owner may close the originals before, and their numbers be reused.

    Raises:
        OSError: one is invalid.
    """

    __slots__ = ("descriptors",)

    def __init__(self, descriptors: Sequence[int]) -> None:
        self.descriptors: list[int] = []
        try:
            for descriptor in descriptors:
                self.descriptors.append(os.dup(descriptor))
        except OSError:
            self.close()
            raise

    def send(self, sock: socket.socket, data: memoryview) -> int:
        """Write without waiting, with the descriptors unless they were sent already; returns how many bytes were
        taken."""
        if not self.descriptors:
            return sock.send(data)
        count = send_with(sock, data, self.descriptors)
        self.close()
        return count

    def close(self) -> None:
        """May be repeated."""
        while self.descriptors:
            os.close(self.descriptors.pop())


class Pending:
    """One call that waits for its answer. ``own`` holds the descriptors to send."""

    __slots__ = ("changed", "done", "error", "lost", "news", "own", "result", "sent", "size")

    def __init__(self, size: int, news: News, own: Own) -> None:
        self.own = own
        self.done = False
        self.changed = anyio.Event()
        self.news = news
        self.lost = False
        self.sent = False
        """Part of it may have reached the daemon."""
        self.size = size
        self.result: Any = None
        self.error: dict[str, Any] | None = None

    def finish(self) -> None:
        """The answer is there, or will never come."""
        self.done = True
        self.changed.set()

    async def wait(self) -> None:
        """Wait for the end, reporting progress meanwhile. Raises what the listener raises."""
        while True:
            self.news.tell()
            if self.done:
                return
            await self.changed.wait()
            self.changed = anyio.Event()


class AsyncConnection:
    """One connection: one task reads and one writes, so that no cancelled call can leave half a text."""

    def __init__(self, stream: UNIXSocketStream) -> None:
        self._stream = stream
        self._socket: socket.socket = stream.extra(SocketAttribute.raw_socket)
        self._peer = Peer(REPLY_BYTES + ENVELOPE_BYTES, lines=True)
        self._pending: dict[ID, Pending] = {}
        self._outbox: dict[ID, tuple[bytes, Pending]] = {}
        """Requests not passed to the kernel yet, in order."""
        self._cancels: list[bytes] = []
        self._wake = anyio.Event()
        self._scope = anyio.CancelScope()
        self.dead = False
        self.of_store = False
        """The daemon's store has been compared with the intended one."""

    def begin(
        self,
        method: str,
        params: dict[str, Any] | list[Any] | None,
        listener: Listener | None = None,
        descriptors: Sequence[int] = (),
    ) -> tuple[ID, Pending]:
        """Queue a request. ``Pending.wait`` tells ``listener`` its progress; ``descriptors`` are sent with it and
        remain the caller's, who may close them at once.

        Raises: TypeError, if the params are not JSON; OSError, if a descriptor is invalid.
        """
        try:
            id, data = self._peer.send_request(method, params, fds=len(descriptors))
        except LocalProtocolError as error:
            raise TypeError(str(error)) from error
        try:
            own = Own(descriptors)
        except OSError:
            self._peer.withdraw(id)
            raise
        pending = self._pending[id] = Pending(len(data), News(params, listener), own)
        self._outbox[id] = data, pending
        self._wake.set()
        return id, pending

    def abandon(self, id: ID) -> None:
        """Stop waiting: withdraw the request if nothing was sent, else tell the daemon."""
        pending = self._pending.pop(id, None)
        queued = self._outbox.pop(id, None)
        if queued is not None:
            queued[1].own.close()
            self._peer.withdraw(id)
            return
        if pending is None or self.dead:
            return
        self._cancels.append(self._peer.send_cancel(id))
        self._wake.set()

    def close(self) -> None:
        self.dead = True
        self._scope.cancel()

    async def give_up(self) -> None:
        """End a connection that was never run."""
        self.dead = True
        with anyio.CancelScope(shield=True):
            await self._stream.aclose()

    async def run(self) -> None:
        """Serve until the connection ends; then every remaining call is lost. Raises nothing but cancellation."""
        try:
            with self._scope:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(self._write)
                    await self._read()
                    tasks.cancel_scope.cancel()
        finally:
            self.dead = True
            for pending in self._pending.values():
                self._lose(pending)
            self._pending.clear()
            with anyio.CancelScope(shield=True):
                await self._stream.aclose()

    async def _write(self) -> None:
        sock = self._socket
        while True:
            await self._wake.wait()
            self._wake = anyio.Event()
            while self._outbox or self._cancels:
                ends: list[tuple[int, Pending]] = []
                runs: list[tuple[list[bytes], Own]] = []
                total = sent = 0
                for data, pending in self._outbox.values():
                    total += len(data)
                    ends.append((total, pending))
                    pending.sent = True
                    if pending.own.descriptors or not runs:
                        runs.append(([], pending.own))  # descriptors go with the first byte of their own text
                    runs[-1][0].append(data)
                runs.append((list(self._cancels), Own(())))
                self._outbox.clear()
                self._cancels.clear()
                try:
                    for texts, own in runs:
                        # Not stream.send: it does not tell how much was sent before it failed.
                        rest = memoryview(b"".join(texts))
                        while rest:
                            try:
                                count = own.send(sock, rest)
                            except BlockingIOError:
                                await anyio.wait_writable(sock)
                                continue
                            sent += count
                            rest = rest[count:]
                except OSError:
                    self.dead = True
                    for end, pending in ends:
                        # Without its last bracket a text means nothing; the LF after it is not needed.
                        pending.sent = sent >= end - 1
                    return  # the reader also sees the end, after what the daemon sent before it
                finally:
                    for _, own in runs:
                        own.close()

    async def _read(self) -> None:
        while True:
            # Not stream.receive: on asyncio, a cancellation in the tick in which bytes arrive ends in a callback that
            # raises InvalidStateError in the loop of this client's user.
            await anyio.wait_readable(self._socket)
            try:
                data = self._socket.recv(_CHUNK)
            except (BlockingIOError, InterruptedError):
                continue
            except OSError:
                return
            if not data:
                return
            for event in self._peer.receive_data(data):
                match event:
                    case Response(id, result):
                        pending = self._pending.pop(id, None)
                        if pending is not None:
                            pending.result = result
                            pending.finish()
                    case ErrorResponse(id, error):
                        self._settle_error(id, error)
                    case Notification(method, params) if method == METHOD:
                        for waiting in self._pending.values():
                            if waiting.news.put(params):
                                waiting.changed.set()
                                break
                    case Close() | Request():
                        return

    def _settle_error(self, id: ID, error: dict[str, Any]) -> None:
        if id is None:
            # The daemon closes after an error that it cannot attribute: send the rest elsewhere.
            self.dead = True
            for other in self._outbox:
                self._lose(self._pending.pop(other))  # this closes the descriptors it was to send
            self._outbox.clear()
            # Too large or not understood: of what was sent, the longest text is the likely one.
            id = max(self._pending, key=lambda one: self._pending[one].size, default=None)
        pending = self._pending.pop(id, None)
        if pending is not None:
            pending.error = error
            pending.finish()

    @staticmethod
    def _lose(pending: Pending) -> None:
        pending.own.close()
        pending.lost = True
        pending.finish()
