"""What a handler is given besides its request."""

from __future__ import annotations

from typing import Protocol, cast

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

    def may_pass(self, request: Request) -> bool:
        """Whether podman can be asked instead, where the store cannot be."""
        ...


@frozen(kw_only=True)
class Context:
    store: StoreAccess
    upstream: Upstream
    identity: Identity

    async def pass_on(self, request: Request) -> Answer | Streamed | None:
        """Have podman answer a request that has a handler here."""
        return await self.upstream.pass_on(cast("HttpConnection", request.link), request)
