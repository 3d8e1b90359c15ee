"""What a handler receives besides its request."""

from __future__ import annotations

from typing import Any, Protocol, cast

from attrs import frozen

from storaged.gateway.answers import Answer, Streamed
from storaged.gateway.connection import HttpConnection
from storaged.gateway.identity import Identity
from storaged.gateway.request import Request
from storaged.gateway.store_access import StoreAccess


class Upstream(Protocol):
    """podman's own service, or its substitute if there is none."""

    async def pass_on(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        """Have podman answer; None if the connection was used for that."""
        ...

    async def may_pass(self, request: Request) -> bool:
        """Whether podman is there and this client may use it, for what the gateway cannot answer by itself."""
        ...

    @property
    def identity(self) -> Identity:
        """The versions that the gateway reports: podman's, as far as they are known."""
        ...

    async def introduce(self) -> None:
        """Find out which versions podman reports, if that is not known yet."""
        ...

    async def version(self) -> dict[str, Any] | None:
        """podman's answer to ``version``; None without one. Do not change it."""
        ...

    async def info(self, request: Request) -> dict[str, Any] | None:
        """podman's answer to ``info``, in the tree of the request; None without one, or if the client may not ask
        podman. Do not change it."""
        ...


@frozen(kw_only=True)
class Context:
    store: StoreAccess
    upstream: Upstream

    @property
    def identity(self) -> Identity:
        return self.upstream.identity

    async def pass_on(self, request: Request) -> Answer | Streamed | None:
        """Have podman answer a request that has a handler here."""
        return await self.upstream.pass_on(cast("HttpConnection", request.link), request)
