"""What a handler is given besides its request."""

from __future__ import annotations

from typing import Any, Protocol, cast

from attrs import frozen

from storaged.gateway.answers import Answer, Streamed
from storaged.gateway.connection import HttpConnection
from storaged.gateway.identity import Identity
from storaged.gateway.request import Request
from storaged.gateway.store_access import StoreAccess


class Upstream(Protocol):
    """podman's own service, or what stands for it where there is none."""

    async def pass_on(self, connection: HttpConnection, request: Request) -> Answer | Streamed | None:
        """Have podman answer; None where the connection was used for that."""
        ...

    async def may_pass(self, request: Request) -> bool:
        """Whether podman is there, and may be asked by this client: for what the gateway cannot answer by itself."""
        ...

    @property
    def identity(self) -> Identity:
        """As what the gateway presents itself: as podman, as far as it is known."""
        ...

    async def introduce(self) -> None:
        """Find out what podman presents itself as, if that is not known yet."""
        ...

    async def version(self) -> dict[str, Any] | None:
        """What podman answers to ``version``; None where it does not. Not to be changed."""
        ...

    async def info(self, request: Request) -> dict[str, Any] | None:
        """What podman answers to ``info``, in the tree of the request; None where it does not, or the client may not
        ask it. Not to be changed."""
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
