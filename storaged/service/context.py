"""What a handler is given: the request, its view of the store, and the parts of the daemon."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias, TypeVar

import anyio
from anyio import from_thread
from anyio.to_thread import run_sync
from attrs import Factory, frozen
from msgspec import Struct

from storaged.engine.cache import Cache
from storaged.engine.checking import Checker
from storaged.engine.content import ContentSource
from storaged.engine.leases import Leases
from storaged.engine.response_cache import CacheKey
from storaged.engine.sizes import LayerSizes
from storaged.engine.tokens import Cursors, Plans
from storaged.engine.transaction_attempt import Decision
from storaged.engine.transactions import Outcome, Transactions
from storaged.engine.views import View
from storaged.errors import ConfigError
from storaged.metrics import Metrics
from storaged.operations.pruning import PrunePlan
from storaged.operations.query_context import QueryContext
from storaged.service.access import Access
from storaged.service.daemon_status import DaemonStatus
from storaged.service.listing import Listing
from storaged.service.progress import Progress
from storaged.service.session import Session
from storaged.store.checking.loss import LossWatch
from storaged.store.tables import StoreLocation
from storaged_client.contract.params import Common

T = TypeVar("T")

_OF_PASSED = 2
_TOLD = 16 << 20
"""Bytes between two notices of progress."""

Waiting: TypeAlias = Callable[[], Awaitable[T]]
"""What a handler that has to wait returns instead of its result: an async function, called at most once.

A coroutine that is never awaited would be left unfinished; a function that is never called leaves nothing behind.
"""


@frozen(kw_only=True)
class HostFacts:
    """What ``server.info`` tells of the process. ``started`` is RFC 3339, ``limits`` as configured."""

    backend: str
    socket: str
    api_sockets: tuple[str, ...] = ()
    """The gateway's; empty without a gateway."""
    podman_socket: str | None = None
    """What the gateway passes on to; None where it passes nothing on."""
    started: str
    limits: dict[str, int]


class Host(Protocol):
    """The port by which methods reach the process that hosts them (``server.lifecycle`` implements it)."""

    def facts(self) -> HostFacts:
        """The facts that do not change while the daemon lives."""
        ...

    def gauges(self) -> dict[str, float]:
        """Numbers of this moment: ``connections``, ``requests_in_flight``."""
        ...

    def shutdown(self, reason: str) -> None:
        """Begin to drain. Returns at once; the reply of the caller is still sent."""
        ...


def stated(location: StoreLocation) -> dict[str, object]:
    """The store as a client states it in the common parameter ``store``. Blocking."""
    return {
        "graphroot": os.path.realpath(location.graphroot),
        "runroot": os.path.realpath(location.runroot),
        "driver": location.driver,
        "additional_stores": [os.path.realpath(path) for path in location.additional],
    }


@frozen(kw_only=True)
class Engine:
    """The parts of the daemon that the service uses, made once."""

    cache: Cache
    content: ContentSource
    metrics: Metrics
    location: StoreLocation
    host: Host
    freshness: Callable[[], Literal["locks", "file system"]]
    """What the freshness check relies on. Blocking: it may read the mount table."""
    began: float
    """``anyio.current_time()`` of the start."""
    why_not_writable: Callable[[], str | None]
    """None if the store can be written. Blocking; a graphroot may be made at any time."""
    short_name_flaws: Callable[[], tuple[ConfigError, ...]]
    """Files of registries.conf that could not be read the last time."""
    sizes: LayerSizes
    transactions: Transactions
    """The one way to change the store."""
    cursors: Cursors[Listing]
    blob_threads: anyio.CapacityLimiter
    """Limits the worker threads that read big data for requests."""
    passed_threads: anyio.CapacityLimiter = Factory(lambda: anyio.CapacityLimiter(_OF_PASSED))
    """Limits those that read files that clients pass: such a file may never answer."""
    plans: Plans[PrunePlan] = Factory(Plans)
    """Plans from dry runs of ``images.prune``."""
    condition: DaemonStatus = Factory(DaemonStatus)
    """The condition of the daemon itself."""
    losses: LossWatch = Factory(lambda self: LossWatch(self.location), takes_self=True)
    """Finds folders whose records were lost, and records whose folders were. For one thread at a time."""
    checker: Checker = Factory(lambda self: Checker(self.location, self.metrics), takes_self=True)

    served: Mapping[str, object] = Factory(lambda self: stated(self.location), takes_self=True)
    """The store as the common parameter ``store`` states it; its paths are resolved once, when the daemon starts."""

    @property
    def leases(self) -> Leases:
        return self.cache.context.leases

    @property
    def query_context(self) -> QueryContext:
        """The context for a decision, with the leases of this very moment. Callable from any thread."""
        return self.cache.context.query_context()


class Call(Struct, kw_only=True, eq=False):
    """One request being answered, as its handler sees it.

    ``asked`` is the ``params`` as they came. ``current`` is one view for all reads of the request; it is set before a
    handler that reads a view is called. ``key`` is set if the answer may be repeated for this view. ``descriptors``
    came with the request, and are open until it is answered.
    """

    session: Session
    engine: Engine
    access: Access
    common: Common
    asked: object
    progress: Progress
    current: View | None = None
    key: CacheKey | None = None
    descriptors: Sequence[int] = ()

    @property
    def view(self) -> View:
        """The view to read from; only for handlers that read one."""
        assert self.current is not None
        return self.current

    @property
    def query_context(self) -> QueryContext:
        """Platform, short names and leases of the view's generation."""
        return self.view.context.query_context

    @property
    def may_change(self) -> bool:
        """Whether the peer may change anything."""
        return self.access.may_mutate(self.session)

    async def change(self, plan: Decision[T], *, message: str = "deleting") -> Outcome[T]:
        """Change the store within the request's timeout and report progress; see ``Transactions.run``.

        Raises:
            StoragedError: as ``Transactions.run``.
        """

        def tell(done: int, total: int) -> None:
            self.progress.tell(done, total, "folders", message)

        async with self.session.shares.change(self.common.timeout) as left:
            return await self.engine.transactions.run(plan, timeout=left, progress=tell)

    async def in_thread(self, work: Callable[[], T]) -> T:
        """Run blocking work in one of the connection's threads; a cancelled request waits for work that has begun."""
        async with self.session.shares.threads:
            return await run_sync(work, limiter=self.engine.blob_threads)

    async def of_passed(self, work: Callable[[Callable[[int, int], object]], T]) -> T:
        """Read the passed files in one of a few threads reserved for that; a cancelled request ends it soon.

        ``work`` is given a function to call between the pieces, with the bytes read and the bytes in all.
        """

        def tell(done: int, total: int) -> None:
            from_thread.check_cancelled()
            if done == total or done // _TOLD != (done - 1) // _TOLD:
                from_thread.run_sync(self.progress.tell, done, total, "bytes", "reading")

        async with self.session.shares.threads:
            return await run_sync(work, tell, limiter=self.engine.passed_threads)
