"""The service on a real store; the host is a port, and this is a whole one that hosts nothing else."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import anyio
import pytest
from attrs import define, field, frozen

from storaged.engine.tokens import Cursors
from storaged.engine.transactions import Transactions
from storaged.service.access import Access
from storaged.service.context import Engine, HostFacts
from storaged.service.service import Service
from storaged.service.session import Credentials, Session
from storaged.store.content import ContentReader
from storaged_client.contract.errors import StoragedError
from storaged_client.contract.methods import COMMON_ERRORS, METHODS

from .ground import Ground, transactions_of

OWN_UID = 4711


@define
class QuietHost:
    """Hosts one service and no socket."""

    reasons: list[str] = field(factory=list)
    limits: dict[str, int] = field(factory=lambda: {"connections": 256, "reply_bytes": 64 << 20})

    def facts(self) -> HostFacts:
        return HostFacts(backend="trio", socket="/none", started="2026-01-01T00:00:00Z", limits=self.limits)

    def gauges(self) -> dict[str, float]:
        return {"connections": 0.0}

    def shutdown(self, reason: str) -> None:
        self.reasons.append(reason)


def connected(uid: int = 0) -> Session:
    """A connection without a socket."""
    return Session(credentials=Credentials(pid=1, uid=uid, gid=uid), number=1)


def whole(result: bytes | list[bytes]) -> bytes:
    """A result that may come in pieces."""
    return result if isinstance(result, bytes) else b"".join(result)


@frozen(kw_only=True)
class Desk:
    """Where requests are handed in."""

    ground: Ground
    host: QuietHost
    service: Service
    engine: Engine
    transactions: Transactions

    async def ask(
        self,
        method: str,
        params: Any = None,
        *,
        uid: int = 0,
        session: Session | None = None,
        descriptors: Sequence[int] = (),
    ) -> Any:
        """One request, of a connection of its own where none is given."""
        session = session or connected(uid)
        try:
            return json.loads(whole(await self.service.handle(session, method, params, descriptors)))
        except StoragedError as error:
            row = METHODS.get(method)
            if row is not None and error.name not in (*row.errors, *COMMON_ERRORS):
                pytest.fail(f"{method} does not declare {error.name}")
            raise


def desk_of(ground: Ground, own_uid: int = OWN_UID) -> Desk:
    """The service of a ground's store; beside root, ``own_uid`` may change it."""
    host = QuietHost()
    engine = Engine(
        cache=ground.cache,
        content=ContentReader(ground.location, ground.metrics),
        metrics=ground.metrics,
        location=ground.location,
        host=host,
        freshness=lambda: ground.reader.freshness,
        began=0.0,
        why_not_writable=lambda: None,
        short_name_flaws=lambda: (),
        transactions=transactions_of(ground),
        sizes=ground.sizes,
        cursors=Cursors(),
        blob_threads=anyio.CapacityLimiter(2),
    )
    service = Service(engine, Access(own_uid=own_uid))
    return Desk(ground=ground, host=host, service=service, engine=engine, transactions=engine.transactions)
