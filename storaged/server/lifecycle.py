"""The daemon's life cycle: accepting, idling, draining, ending. Implements ``storaged.service.context.Host``.

::

    serving --idle, SIGTERM, server.shutdown--> draining --all answered, or 10 s--> ended
                                                   |
                                                   '-- second SIGTERM, SIGINT ----> ended at once

A life cycle that starts again (the store was replaced) ends in the same way, but passes its listening socket to the
next.

Draining does this, in order. The socket's path is removed, if it is our own; an inherited one stays, and its queue is
for the next daemon. Every connection is cut, so that what was sent is read and nothing more can be. Clients in our own
queue are still accepted and cut. Everything is answered; two seconds before the end, the rest gets ``ShuttingDown``.

SIGHUP reads the configuration again, once clients are accepted and until the drain begins. New limits apply to new
connections; the budgets of a uid, idling and the time of the drain apply to all at once.
"""

from __future__ import annotations

import logging
import math
import os
import signal
import time
from collections.abc import Awaitable, Callable, Sequence

import anyio
import anyio.lowlevel
from anyio.abc import SocketListener, TaskGroup
from attrs import evolve, frozen

from storaged.metrics import Metrics
from storaged.server.accounts import Accounts
from storaged.server.connection import JsonRpc
from storaged.server.connection_set import ConnectionSet
from storaged.server.front import Front
from storaged.server.limits import Limits
from storaged.server.listener import Listener
from storaged.server.quotas import Quotas
from storaged.server.request_tasks import Dispatch
from storaged.server.service_status import ServiceStatus
from storaged.server.systemd import Notifier
from storaged.service.context import HostFacts
from storaged_client.times import NANOSECONDS, rfc3339

_REFUSE_BEFORE_END = 2.0

_log = logging.getLogger(__name__)


@frozen(kw_only=True)
class Entrance:
    """A listener, its socket, and the protocol spoken there."""

    listener: Listener
    acceptor: SocketListener
    front: Front


@frozen(kw_only=True)
class Terms:
    """The daemon's terms: ``idle_exit`` in seconds from the end of the last connection, None for never."""

    limits: Limits
    backend: str
    idle_exit: float | None = None


class Lifecycle:
    """Owns the listeners and every connection; ``serve`` is the whole life cycle. ``api_listeners`` are the gateway's.

    ``hurry`` is called near the end: what cannot be cancelled should finish. ``reload`` is called for a SIGHUP, and may
    ``revise`` the terms. ``describe`` returns the store's status, and ``moved`` returns when that may have changed;
    ``watchdog`` as in ``systemd.watchdog``.
    """

    def __init__(
        self,
        listener: Listener,
        *,
        api_listeners: Sequence[Listener] = (),
        terms: Terms,
        metrics: Metrics,
        notifier: Notifier,
        watchdog: float | None = None,
        describe: Callable[[], str] = str,
        moved: Callable[[], Awaitable[object]] = anyio.sleep_forever,
        reload: Callable[[], Awaitable[object]] = anyio.lowlevel.checkpoint,
        hurry: Callable[[], None] = lambda: None,
    ) -> None:
        self._listener = listener
        self._api_listeners = api_listeners
        self._listeners = [listener, *api_listeners]
        self._terms = terms
        self._metrics = metrics
        self._describe = describe
        self._reload = reload
        self._hurry = hurry
        accounts = Accounts()
        favoured = (0, os.geteuid())
        self._quotas = Quotas(terms.limits, metrics, owner=accounts.owner, favoured=favoured)
        self._connections = ConnectionSet(terms.limits, self._quotas, metrics, accounts)
        self._reporter = ServiceStatus(
            notifier, watchdog=watchdog, status=self._status, changes=(self._connections.change, moved)
        )
        self._serving = anyio.CancelScope()
        self._reload_wanted = anyio.Event()
        self._reason = ""
        self.again = False
        """Whether the listener is kept for another life cycle (``begin_anew``)."""
        self._facts = HostFacts(
            backend=terms.backend,
            socket=listener.path,
            api_sockets=tuple(one.path for one in api_listeners),
            started=rfc3339(*divmod(time.time_ns(), NANOSECONDS)),
            limits=terms.limits.as_facts(),
        )

    # ---------------------------------------------------------------- Host

    def facts(self) -> HostFacts:
        return self._facts

    def gauges(self) -> dict[str, float]:
        return {
            "connections": self._quotas.connections,
            "requests_in_flight": self._quotas.in_flight,
            "reply_bytes_waiting": self._quotas.bytes,
        }

    def tell_podman_socket(self, path: str | None) -> None:
        """From now on ``server.info`` names this socket as the one that the gateway passes requests on to."""
        self._facts = evolve(self._facts, podman_socket=path)

    def revise(self, limits: Limits, idle_exit: float | None) -> None:
        """Use other terms from now on; existing connections keep the limits they began with."""
        self._terms = evolve(self._terms, limits=limits, idle_exit=idle_exit)
        self._facts = evolve(self._facts, limits=limits.as_facts())
        self._quotas.revise(limits)
        self._connections.revise(limits)

    def shutdown(self, reason: str) -> None:
        if self.again:
            self.again, self._reason = False, reason
        self._end(reason)

    def begin_anew(self, reason: str) -> None:
        """Drain as for a shutdown, but keep the listener: clients that connect meanwhile wait for the next life
        cycle."""
        if not self._serving.cancel_called:
            self.again = True
        self._end(reason)

    def _end(self, reason: str) -> None:
        if not self._serving.cancel_called:
            self._reason = reason
            # Cancel at once: no client that comes after this call is accepted.
            self._serving.cancel()

    # ---------------------------------------------------------------- life

    async def serve(
        self,
        dispatch: Dispatch,
        *,
        gateway: Front | None = None,
        prepare: Callable[[], Awaitable[object]] = anyio.lowlevel.checkpoint,
        ready: Callable[[], None] = lambda: None,
    ) -> str:
        """Serve until told to stop, then drain; returns the reason. Closes the listeners, unless it starts again.

        ``gateway`` speaks at the API's listeners. ``prepare`` runs first, while clients already wait in the queue and
        signals are handled; ``ready`` is called when it is done and clients are accepted.

        Raises:
            ExceptionGroup: of a BrokenResourceError, if the listening socket cannot accept any more.
        """
        entrances = [await _entrance(self._listener, JsonRpc(dispatch))]
        if gateway is not None:
            entrances += [await _entrance(listener, gateway) for listener in self._api_listeners]
        try:
            async with anyio.create_task_group() as life, anyio.create_task_group() as connections:
                life.start_soon(self._heed_signals, life.cancel_scope)
                life.start_soon(self._reporter.prove_well)
                with self._serving:
                    async with anyio.create_task_group() as beside:
                        beside.start_soon(self._reporter.tell_status)
                        async with self._reporter.starting():
                            await prepare()
                        await self._reporter.tell_ready()
                        ready()
                        beside.start_soon(self._watch_idle)
                        beside.start_soon(self._reload_when_wanted)
                        for entrance in entrances[1:]:
                            beside.start_soon(self._let_all_in, entrance, connections)
                        await self._let_all_in(entrances[0], connections)
                _log.info("draining reason=%s connections=%d", self._reason, len(self._connections))
                async with self._reporter.beginning_anew() if self.again else self._reporter.stopping():
                    with anyio.move_on_after(self._terms.limits.drain_seconds) as drain:
                        await self._drain(entrances, connections)
                if drain.cancelled_caught:
                    self._quotas.reached("drain_seconds")
                    _log.warning("drain timed out connections=%d", len(self._connections))
                connections.cancel_scope.cancel()
                life.cancel_scope.cancel()
        finally:
            if not self.again:
                for listener in self._listeners:
                    with anyio.CancelScope(shield=True):
                        await anyio.to_thread.run_sync(listener.withdraw)
                    await self._connections.close(listener.close)
        _log.info("ended reason=%s", self._reason)
        return self._reason

    async def _let_all_in(self, entrance: Entrance, connections: TaskGroup) -> None:
        while True:
            await self._connections.let_in(entrance.acceptor, entrance.front, connections)

    async def _drain(self, entrances: list[Entrance], connections: TaskGroup) -> None:
        for entrance in entrances:
            if not (entrance.listener.inherited or self.again):
                await anyio.to_thread.run_sync(entrance.listener.withdraw)
        # Before any client is accepted: if descriptors are scarce, ending connections makes room.
        for connection in self._connections:
            connection.cut()
        seconds = self._terms.limits.drain_seconds
        with anyio.move_on_after(max(seconds - _REFUSE_BEFORE_END, seconds / 2)):
            for entrance in entrances:
                while not (entrance.listener.inherited or self.again) and entrance.listener.waiting():
                    late = await self._connections.let_in(entrance.acceptor, entrance.front, connections)
                    if late is not None:
                        late.cut()
            await self._connections.all_gone()
        self._hurry()
        for connection in self._connections:
            connection.refuse_rest()
        await self._connections.all_gone()

    async def _heed_signals(self, all_of_it: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT, signal.SIGHUP) as signals:
            async for number in signals:
                if number == signal.SIGHUP:
                    if self._serving.cancel_called:
                        _log.info("signal ignored signal=SIGHUP reason=draining")
                    self._reload_wanted.set()
                elif self._serving.cancel_called and not self.again:
                    _log.warning("stopping at once signal=%s", signal.Signals(number).name)
                    self._hurry()
                    all_of_it.cancel()
                else:
                    self.shutdown(signal.Signals(number).name)

    async def _reload_when_wanted(self) -> None:
        while True:
            await self._reload_wanted.wait()
            # Before the work, not after it: a change and a signal during the work are noticed.
            self._reload_wanted = anyio.Event()
            async with self._reporter.reloading():
                await self._reload()

    # ---------------------------------------------------------------- idling

    async def _watch_idle(self) -> None:
        while True:
            await self._connections.all_gone()
            seconds = self._terms.idle_exit
            with anyio.move_on_after(math.inf if seconds is None else seconds):
                while not self._connections and self._terms.idle_exit == seconds:
                    await self._connections.change()
                continue
            if not self._connections and not any(listener.waiting() for listener in self._listeners):
                self.shutdown("idle")
                return

    def _status(self) -> str:
        return f"{self._describe()}, {len(self._connections)} clients".removeprefix(", ")


async def _entrance(listener: Listener, front: Front) -> Entrance:
    return Entrance(listener=listener, acceptor=await SocketListener.from_socket(listener.socket), front=front)
