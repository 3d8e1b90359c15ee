"""Builds the gateway and applies its settings. Imported only if there is a gateway, because it imports h11."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from storaged.gateway.context import Context
from storaged.gateway.gateway import Gateway
from storaged.gateway.pass_rights import PassRights
from storaged.gateway.pass_through import PassTerms, PassThrough
from storaged.gateway.podman_socket import Listening, PodmanSocket, usual_path
from storaged.gateway.store_access import StoreAccess
from storaged.server.listener import Listener
from storaged.service.context import Engine
from storaged.service.service import Service
from storaged.settings import NOWHERE, GatewaySettings


class StartedGateway:
    """The gateway. ``front`` speaks at the second socket. ``listeners`` are all of the daemon's sockets: nothing is
    forwarded to them."""

    def __init__(
        self,
        settings: GatewaySettings,
        engine: Engine,
        service: Callable[[], Service],
        listeners: Sequence[Listener],
        environ: Mapping[str, str],
    ) -> None:
        self._own = frozenset(Listening.of_listener(listener.socket) for listener in listeners)
        self._environ = environ
        store = StoreAccess(engine=engine, service=service)
        self._upstream = PassThrough(self._terms(settings), engine.metrics, store.passed)
        self.front = Gateway(Context(store=store, upstream=self._upstream), engine.metrics)

    @property
    def podman_socket(self) -> str | None:
        """Where requests are passed on to; None if nowhere."""
        return self._upstream.terms.podman.path

    def revise(self, settings: GatewaySettings) -> None:
        """Forward by other rules from now on; requests in progress continue."""
        self._upstream.revise(self._terms(settings))

    def _terms(self, settings: GatewaySettings) -> PassTerms:
        named = settings.podman_socket or usual_path(self._environ, os.geteuid())
        return PassTerms(
            podman=PodmanSocket(path=named if named != NOWHERE else None, own=self._own),
            rights=PassRights(
                own_uid=os.geteuid(), uids=frozenset(settings.pass_uids), gids=frozenset(settings.pass_gids)
            ),
        )
