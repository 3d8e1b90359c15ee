"""The set of connections: accepts and refuses clients, and reports every change to waiting tasks."""

from __future__ import annotations

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from math import inf

import anyio
from anyio.abc import SocketAttribute, SocketListener, TaskGroup, UNIXSocketStream
from anyio.to_thread import run_sync

from storaged.metrics import Metrics
from storaged.server import peercred
from storaged.server.accounts import Accounts
from storaged.server.fd_closer import Closer
from storaged.server.front import Front, ServedConnection, Shared
from storaged.server.limits import Limits
from storaged.server.memory import Memory
from storaged.server.quotas import Quotas
from storaged.server.receiving import end
from storaged.service.fair_queue import FairQueue
from storaged.service.limiters import Limiters
from storaged.service.session import Session
from storaged_client.contract.errors import StoragedError

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_EXHAUSTED_PAUSE = 0.1
_LONGEST_CLOSE = 2.0
_ACCOUNTS_SECONDS = 60.0
"""Seconds after which the next client makes the daemon read the subordinate ids again."""
_MOST_ENDINGS = 256
"""The number of refused connections with unread bytes that may wait for their close; beyond it, nobody is accepted."""
_HEAVY = 1 << 20
"""A connection that held this many bytes makes it worthwhile to return memory to the system at its end."""

_SEND_BUFFER = 208 << 10
"""Bytes of SO_SNDBUF: Linux's default, which it doubles if a program asks for it. More of a long answer leaves in one
go, and the daemon is woken half as often for the rest."""

_log = logging.getLogger(__name__)


class ConnectionSet:
    """The set of connections. Iterates over a copy."""

    def __init__(self, limits: Limits, quotas: Quotas, metrics: Metrics, accounts: Accounts) -> None:
        self._accounts = accounts
        self._look_again = -inf
        self._limits = limits
        self._quotas = quotas
        self._metrics = metrics
        self._memory = Memory()
        self._fair_queue = FairQueue()
        self._taker = Closer()
        self._ender = Closer()
        self._used = 0
        self._numbers = count(1)
        self._connections: set[ServedConnection] = set()
        self._changed = anyio.Event()

    async def close(self, close_listener: Callable[[], object]) -> None:
        """Close the listening socket, and with it all clients in its queue; does not wait if that takes long."""
        with anyio.move_on_after(_LONGEST_CLOSE, shield=True):
            await self._ender.run(os.geteuid(), close_listener)

    def __len__(self) -> int:
        return len(self._connections)

    def __iter__(self) -> Iterator[ServedConnection]:
        return iter(list(self._connections))

    def revise(self, limits: Limits) -> None:
        """Use these limits from now on; waiting tasks check again."""
        self._limits = limits
        self._changed.set()

    async def change(self) -> None:
        """Return when a client connected or left, or the limits were revised, after the call."""
        if self._changed.is_set():
            self._changed = anyio.Event()
        await self._changed.wait()

    async def all_gone(self) -> None:
        while self._connections:
            await self.change()

    async def let_in(self, listener: SocketListener, front: Front, tasks: TaskGroup) -> ServedConnection | None:
        """Wait for the next client and let ``front`` serve it in a task of ``tasks``.

        None if there is no connection after all: the client is gone again, there are too many, or it stays in the queue
        because this process has no descriptor left.

        Raises:
            BrokenResourceError: the socket cannot accept any more.
        """
        try:
            stream = await listener.accept()
        except anyio.BrokenResourceError as error:
            number = error.__cause__.errno if isinstance(error.__cause__, OSError) else None
            if number == errno.ECONNABORTED:
                return None
            if number not in _EXHAUSTED:
                raise
            self._metrics.add("accept.exhausted")
            _log.error("cannot accept error=%s connections=%d", error.__cause__, len(self))
            await anyio.sleep(_EXHAUSTED_PAUSE)
            return None
        if anyio.current_time() >= self._look_again:
            await run_sync(self._accounts.refresh)
            self._look_again = anyio.current_time() + _ACCOUNTS_SECONDS
        return await self._welcome(stream, front, tasks)

    async def _welcome(self, stream: object, front: Front, tasks: TaskGroup) -> ServedConnection | None:
        assert isinstance(stream, UNIXSocketStream)
        raw: socket.socket = stream.extra(SocketAttribute.raw_socket)
        # Accepted sockets may inherit this option from the listening one; credentials were not asked for.
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 0)
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        credentials = peercred.of_socket(raw)
        try:
            self._quotas.enter(credentials.uid, credentials.pid)
        except StoragedError as error:
            _log.warning("connection refused uid=%d pid=%d limit=%s", credentials.uid, credentials.pid, error.data)
            _turn_away(raw, front.refusal(error))
            closer = self._ender.of(self._quotas.account(credentials.uid))
            if self._ender.waiting < _MOST_ENDINGS:
                tasks.start_soon(end, stream, raw, closer)
            else:
                await end(stream, raw, closer)
            return None
        self._metrics.add("connections")
        account = self._quotas.account(credentials.uid)
        session = Session(
            credentials=credentials,
            number=next(self._numbers),
            account=account,
            favoured=self._quotas.is_favoured(credentials.uid),
            shares=Limiters(self._fair_queue, account),
        )
        shared = Shared(
            limits=self._limits, quotas=self._quotas, metrics=self._metrics, taker=self._taker, ender=self._ender
        )
        connection = front.connect(stream, session, shared)
        connection.gone = partial(self._gone, connection)
        self._connections.add(connection)
        self._changed.set()
        tasks.start_soon(self._serve, connection)
        return connection

    def _gone(self, connection: ServedConnection) -> None:
        self._connections.discard(connection)
        self._changed.set()

    async def _serve(self, connection: ServedConnection) -> None:
        try:
            await connection.run()
        finally:
            self._quotas.leave(connection.session.credentials.uid, connection.session.credentials.pid)
        # The memory that many connections held one after the other is fragmented like that of a heavy one.
        self._used += connection.heaviest + connection.received
        if self._used >= _HEAVY:
            self._used = 0
            await self._memory.give_back()


def _turn_away(raw: socket.socket, answer: bytes) -> None:
    with suppress(OSError):
        raw.send(answer, socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
