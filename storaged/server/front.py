"""The protocol of a listening socket: JSON-RPC on the first, HTTP on the gateway's. Both share one set of connections.

So limits, budgets, idling and draining are the same for both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from anyio.abc import UNIXSocketStream
from attrs import frozen

from storaged.metrics import Metrics
from storaged.server.fd_closer import Closer
from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged.service.session import Session
from storaged_client.contract.errors import StoragedError


class ServedConnection(Protocol):
    """One accepted stream that is being served."""

    session: Session
    received: int
    """Bytes received, whatever became of them."""
    gone: Callable[[], None]
    """Called when everything is answered; only closing is left, which may take long."""

    @property
    def heaviest(self) -> int:
        """The maximum number of bytes of requests and answers held at once."""
        ...

    async def run(self) -> None:
        """Serve until the end; close the stream. Never raises anything but cancellation."""
        ...

    def cut(self) -> None:
        """Accept no more input: what was sent is still answered."""
        ...

    def refuse_rest(self) -> None:
        """Cancel what runs, and answer it as a daemon that shuts down."""
        ...


@frozen(kw_only=True)
class Shared:
    """What all connections share."""

    limits: Limits
    quotas: Quotas
    metrics: Metrics
    taker: Closer
    """Receives descriptors and closes them."""
    ender: Closer
    """Closes what was never received. Nobody can make it wait, so it takes any number."""


class Front(Protocol):
    def connect(self, stream: UNIXSocketStream, session: Session, shared: Shared) -> ServedConnection:
        """Make the connection of one accepted stream; the caller runs it."""
        ...

    def refusal(self, error: StoragedError) -> bytes:
        """The bytes sent to a client that is not accepted."""
        ...
