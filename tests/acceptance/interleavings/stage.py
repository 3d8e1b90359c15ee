"""The daemon's own parts on a store of their own, with points at which another tool goes on.

::

    slot ─ load ─ plan ∙ prepare ∙ claim ∙ locks ─ renames ─ unlock ∙ adopt ∙ finish
                       ╰──┬──────┴───────┴────────────────────────┴───────╯
                          ╰ a step of the rival, or a lease that comes or goes

The points are those between the parts, and now and then any system call of the daemon on the store. What happens
there happens in the daemon's own thread, which stands still meanwhile, so nothing sleeps and every place can be met.
The daemon's reloads are threads of their own beside its changes: one seed gives one mix, not twice the same run.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from typing import Any, TypeVar

from anyio import CapacityLimiter, current_time, from_thread
from attrs import evolve, frozen

from storaged.engine.cache import Cache
from storaged.engine.leases import Leases
from storaged.engine.query_context import ContextWatch
from storaged.engine.sizes import LayerSizes
from storaged.engine.tokens import Cursors, Plans
from storaged.engine.transaction_attempt import Decision
from storaged.engine.transactions import Outcome, Transactions
from storaged.metrics import Metrics
from storaged.operations.query_context import HostPlatform
from storaged.service.access import Access
from storaged.service.context import Engine
from storaged.service.service import Service
from storaged.service.session import Credentials, Session
from storaged.snapshot.model import Snapshot
from storaged.store.changes import Change, ChangeSet
from storaged.store.content import ContentReader
from storaged.store.drivers.measuring import Measurer
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.prepared import Committed, Prepared
from storaged_client.contract.errors import StoragedError
from tests.acceptance.faults.calls import Intercepted
from tests.support.files import Call
from tests.support.service import QuietHost

from .judge import Observer
from .mistakes import CarelessPublisher, DeafLeases, GenerousPlans, Mistake
from .rival import Rival

T = TypeVar("T")

POINTS = ("planned", "prepared", "claimed", "committed", "finishing", "call")

_EAGERNESS = (0.1, 0.2, 0.35)
"""How likely somebody goes on at a point; drawn for each request."""
_CALLS_A_POINT = 25
"""How much less likely at a system call."""
_LEASES = 3


class Steps:
    """Lets the rival and the holders of leases go on; on the thread of the event loop only who holds a lock."""

    def __init__(self, random: Random, rival: Rival, observer: Observer, leases: Leases) -> None:
        self._random = random
        self._rival = rival
        self._observer = observer
        self._leases = leases
        self._loop = threading.get_ident()
        self._patience = 0
        self._eagerness = 0.0
        self._mutex = threading.Lock()
        self.cache: Cache | None = None
        self._armed = False
        self.seen: Counter[str] = Counter()
        self.trace: list[str] = []

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """A request is under way; at its end nobody holds a lock any more."""
        self._eagerness = self._random.choice(_EAGERNESS)
        self._armed = True
        try:
            yield
        finally:
            self._armed = False
            with self._mutex:
                self._rival.let_go()

    def come_to_an_end(self) -> None:
        """Let the rival finish what it is at."""
        with self._mutex:
            self._rival.end()

    @contextmanager
    def still(self) -> Iterator[None]:
        """Nobody goes on meanwhile, on any thread: a reload beside a change is a place for steps of its own."""
        with self._mutex:
            yield

    def at(self, point: str) -> None:
        """Between two parts of the daemon's work."""
        while self._armed and self._random.random() < self._eagerness:
            self.move(point)

    def call(self) -> None:
        """Before a system call of the daemon."""
        if not self._armed or not self._mutex.acquire(blocking=False):
            return
        try:
            moves = self._moves_at_a_call()
        finally:
            self._mutex.release()
        if moves:
            self.move("call")

    def _moves_at_a_call(self) -> bool:
        if self._rival.holding:
            self._patience -= 1
            return self._patience < 0
        return threading.get_ident() != self._loop and self._random.random() < self._eagerness / _CALLS_A_POINT

    def move(self, point: str) -> None:
        """One step of somebody."""
        what: str | None = None
        if self._random.random() < 0.15:
            # Never with the mutex: the loop may be waiting for that.
            what = from_thread.run_sync(self._lease) if threading.get_ident() != self._loop else self._lease()
        with self._mutex:
            if what is None:
                what = self._rival.step()
            if self._rival.holding:
                self._patience = self._random.randrange(8)
            self.seen[f"{point}: {what}"] += 1
            self.trace.append(f"{point}: {what}{' (holding)' if self._rival.holding else ''}")

    def _lease(self) -> str:
        held = self._observer.leases
        if held and (len(held) >= _LEASES or self._random.random() < 0.5):
            name = self._random.choice(list(held))
            self._leases.release(name, owner=self)
            del held[name]
            return "release"
        assert self.cache is not None
        images = [image.id for image in self.cache.known().snapshot.images]
        some = self._random.sample(images, min(len(images), self._random.randrange(1, 3)))
        taken = self._leases.take(some, owner=self, uid=0, ttl=3600.0) if some else None
        if taken is None:
            return "no lease"
        held[taken.lease] = frozenset(taken.images)
        return "lease"


class SteppedFiles(Intercepted):
    """The daemon's system calls: a point before each, and the observer at the rename of a table."""

    def __init__(self, steps: Steps, observer: Observer) -> None:
        self._steps = steps
        self._observer = observer

    def make(self, call: Call, perform: Callable[[], Any]) -> Any:
        if call.name == "rename" and call.arguments["target"] in self._observer.tables:
            with self._steps.still():
                return self._observer.rename(perform)
        self._steps.call()
        return perform()


class SteppedWriter(StoreWriter):
    """The writer, with a point before and after each of its parts."""

    def __init__(
        self, location: StoreLocation, files: SteppedFiles, steps: Steps, observer: Observer, mistake: Mistake
    ):
        metrics = Metrics()
        super().__init__(location, files=files, metrics=metrics)
        self._steps = steps
        self._observer = observer
        self._mistake = mistake
        if mistake in ("stamp", "replaced"):
            self._publisher = CarelessPublisher(location, files, metrics, self._reserve, mistake)

    def prepare(self, change: Change, *given: Any, **named: Any) -> Prepared:
        self._steps.at("planned")
        if self._mistake == "evidence":
            change = evolve(change, evidence=())
        try:
            prepared = super().prepare(change, *given, **named)
        except StoragedError:
            self._steps.at("refused")
            raise
        self._steps.at("prepared")
        return prepared

    def commit(self, *given: Any, **named: Any) -> Committed:
        self._steps.at("claimed")
        try:
            return super().commit(*given, **named)
        finally:
            self._observer.committed()
            self._steps.at("committed")

    def finish(self, *given: Any, **named: Any) -> Any:
        self._steps.at("finishing")
        return super().finish(*given, **named)


class SteppedTransactions(Transactions):
    """The transactions; what is leased when a plan is made is noted."""

    observer: Observer

    async def run(
        self,
        plan: Decision[T],
        *,
        timeout: float,  # noqa: ASYNC109 - that of the method it stands for
        progress: Callable[[int, int], None] | None = None,
    ) -> Outcome[T]:
        def noted(snapshot: Snapshot) -> ChangeSet[T]:
            self.observer.planned_with = self.observer.leased
            return plan(snapshot)

        self.observer.changes += 1
        return await super().run(noted, timeout=timeout, progress=progress)


@frozen(kw_only=True)
class Stage:
    """One store, the daemon on it, and who interferes."""

    rival: Rival
    observer: Observer
    steps: Steps
    cache: Cache
    service: Service
    metrics: Metrics
    session: Session
    close: Callable[[], None]


def stage(location: StoreLocation, random: Random, mistake: Mistake = "none") -> Stage:
    """Put the daemon's parts together as the daemon does; from the event loop."""
    metrics = Metrics()
    rival, observer = Rival(location, random), Observer(location)
    leases = (DeafLeases if mistake == "leases" else Leases)(metrics)
    steps = Steps(random, rival, observer, leases)
    files = SteppedFiles(steps, observer)
    reader = StoreReader(location, metrics=metrics, files=files)
    content = ContentReader(location, metrics, files)
    sizes = LayerSizes(Measurer(location), metrics)
    cache = Cache(
        reader,
        content,
        metrics,
        known_sizes=lambda: sizes.known,
        context=ContextWatch(leases, host=HostPlatform(os="linux", architecture="amd64")),
    )
    steps.cache = cache
    writer = SteppedWriter(location, files, steps, observer, mistake)
    transactions = SteppedTransactions(cache, writer, metrics)
    transactions.observer = observer
    engine = Engine(
        cache=cache,
        content=content,
        metrics=metrics,
        location=location,
        host=QuietHost(),
        freshness=lambda: reader.freshness,
        began=current_time(),
        why_not_writable=lambda: None,
        short_name_flaws=lambda: (),
        transactions=transactions,
        sizes=sizes,
        cursors=Cursors(),
        blob_threads=CapacityLimiter(2),
        plans=GenerousPlans() if mistake == "plan" else Plans(),
    )

    def close() -> None:
        writer.close()
        reader.close()

    return Stage(
        rival=rival,
        observer=observer,
        steps=steps,
        cache=cache,
        service=Service(engine, Access(own_uid=0)),
        metrics=metrics,
        session=Session(credentials=Credentials(pid=1, uid=0, gid=0), number=1),
        close=close,
    )
