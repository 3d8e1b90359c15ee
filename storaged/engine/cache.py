"""The current snapshot, and what a read is promised: it is proven fresh, and a read never waits for a writer.

Every request checks the stamp (a few system calls, no lock, no open file). If it is unchanged, the snapshot is current,
whoever holds a lock. If it has changed, one reload (``engine.reloads``) serves all requests.

::

    stamp equal, proven ............................ served, stale = null
    stamp differs, no writer at work ............... wait for the reload, stale = null
    stamp differs, a writer at work ................ the first waits 50 ms for it, later ones do not;
                                                     served with stale = locked | incomplete
    the reload found a file it cannot read ......... served with stale = unreadable, or StoreCorrupt
                                                     where there is no earlier generation
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Literal, TypeAlias

import anyio
from anyio.to_thread import run_sync

from storaged.engine.content import ContentSource
from storaged.engine.loading import Current, Loader
from storaged.engine.query_context import ContextWatch, without_leases
from storaged.engine.reloads import RETRY, Reloads
from storaged.engine.views import Staleness, View, generation_of
from storaged.metrics import Metrics
from storaged.snapshot.model import Snapshot
from storaged.snapshot.sizes import NOTHING_MEASURED, KnownSizes
from storaged.store.locks.probe import busy
from storaged.store.reader import StoreReader
from storaged_client.contract.errors import StoragedError, StoreBusy

_log = logging.getLogger(__name__)

Consistency: TypeAlias = Literal["fresh", "strict", "cached"]

PATIENCE = 0.05
"""Seconds that the first reader of a changed but locked store waits for the writer to finish."""


class PendingReadback:
    """Whether the current snapshot shows every change that this daemon made. Belongs to the event loop.

    Between a commit whose result could not be taken over and the next load it does not: what it shows may be gone, and
    a caller that promises to keep something of it must wait.
    """

    def __init__(self, reloads: Reloads) -> None:
        self._reloads = reloads
        self._needed: int | None = None
        """The number of the load that will show our last change; None if it is shown already."""

    @property
    def lasts(self) -> bool:
        """Whether a change of ours is not read back yet."""
        if self._needed is not None and self._reloads.satisfies(self._needed):
            self._needed = None
        return self._needed is not None

    def begin(self) -> None:
        """Note that a change of ours was written and is not read back yet. Returns at once."""
        self._needed = self._reloads.started + 1
        self._reloads.request_reload()

    async def over(self) -> None:
        """Wait until our changes are read back."""
        while self.lasts:
            await self._reloads.round()
            if self.lasts:
                await anyio.sleep(RETRY[1])


class Cache:
    """Keeps the current snapshot; ``run`` must be running for it to change. Belongs to the event loop.

    ``known_sizes`` returns the measured sizes of layers whose records have none.
    """

    def __init__(
        self,
        reader: StoreReader,
        source: ContentSource,
        metrics: Metrics,
        known_sizes: Callable[[], KnownSizes] = lambda: NOTHING_MEASURED,
        context: ContextWatch | None = None,
    ) -> None:
        self._reader = reader
        self._reloads = Reloads(reader, source, metrics, known_sizes)
        self.pending_readback = PendingReadback(self._reloads)
        self._metrics = metrics
        self.context = context or without_leases(metrics)
        self.context.leases.listen(self._reloads.notify)
        self._patience_spent_at = -1
        """``Reloads.succeeded`` when a request last waited for a writer: each writer is waited for once."""
        self._identifying = anyio.CapacityLimiter(1)

    @property
    def generation(self) -> str:
        """The current generation, without checking the store."""
        return generation_of(self._reloads.generation, self.context.now())

    @property
    def current(self) -> Current | None:
        """The current snapshot and its stamp, without checking the store; None before the first load succeeds."""
        return self._reloads.current

    @property
    def loader(self) -> Loader:
        """What makes the snapshots; needed to change the store."""
        return self._reloads.loader

    @property
    def snapshot(self) -> Snapshot | None:
        """The current snapshot, without checking the store; None before the first load succeeds."""
        return self._reloads.current.snapshot if self._reloads.current else None

    async def start(self) -> None:
        """Load for the first time (see ``Reloads.start``). Must be called before ``run``."""
        await self._reloads.start()

    async def run(self) -> None:
        """Reload whenever a request asks for it, until cancelled."""
        await self._reloads.run()

    async def view(self, consistency: Consistency = "fresh", timeout: float = 10.0) -> View:
        """The view to answer from.

        ``timeout`` (seconds) bounds a ``strict`` read, and any wait while no writer is at work.

        Raises:
            StoreBusy: ``strict``, and the store could not be read as one complete state in time; or there is
                no generation yet, and it was not made in time or a writer is at work.
            StoreCorrupt: a table cannot be read and no earlier generation is known, or ``strict``.
        """
        if consistency == "cached" and self._reloads.current is not None:
            return self.known()
        if self._reloads.is_current():
            return self._serve(None)
        if consistency == "strict":
            return await self._strict(timeout)
        return await self._fresh(timeout)

    def view_now(self, consistency: Consistency = "fresh") -> View | None:
        """The view to answer from if it is there without waiting; otherwise None.

        Requests that begin in the same turn of the event loop share one check of the files, except ``strict`` ones.
        """
        if consistency == "cached" and self._reloads.current is not None:
            return self.known()
        reloads = self._reloads
        current = reloads.is_current() if consistency == "strict" else reloads.seen_current()
        return self._serve(None) if current else None

    def known(self) -> View:
        """The current view, without checking the store. A load must have succeeded before."""
        current = self._reloads.current
        return self._serve(None if current is not None and current.snapshot.proven else self._stale())

    async def moved(self, generation: str) -> None:
        """Wait until the current generation differs from this one."""
        while self.generation == generation:
            await self._reloads.notified()

    def adopt(self, current: Current) -> View:
        """Serve the result of our own change from now on; returns its view, or a later one."""
        self._reloads.adopt(current)
        return self._serve(None)

    async def read_back(self, timeout: float) -> View | None:
        """Read our own change back after it was written; returns its view, or None if it cannot be read in time."""
        self.pending_readback.begin()
        try:
            return await self.view("strict", timeout)
        except StoragedError as error:
            _log.warning("own change is not read back yet reason=%s", error.message)
            return None

    def rebuild(self) -> None:
        """Request a snapshot of everything known by now, and return at once."""
        self._reloads.request_reload()

    async def refresh(self, timeout: float = 10.0) -> View:
        """Read the store and all image contents again, whatever the stamp says.

        Raises:
            StoreBusy, StoreCorrupt: as ``strict`` reads do.
        """
        reloads = self._reloads
        reloads.invalidate()
        need = reloads.started + 1
        with anyio.move_on_after(timeout):
            while reloads.succeeded < need:
                await reloads.round()
                # A load that is under way may have read what has been repaired since.
                if reloads.failure is not None and reloads.failure.number >= need:
                    raise reloads.failure.error()
            return self._serve(None)
        raise await self._busy()

    # -------------------------------------------------------------- within

    async def _strict(self, timeout: float) -> View:
        reloads = self._reloads
        need = reloads.started + 1
        with anyio.move_on_after(timeout):
            while True:
                await reloads.round()
                if reloads.satisfies(need):
                    return self._serve(None)
                if reloads.failure is not None:
                    # A half-written table may be complete again within the time allowed.
                    await anyio.sleep(RETRY[1])
        if reloads.failure is not None:
            raise reloads.failure.error()
        raise await self._busy()

    async def _fresh(self, timeout: float) -> View:
        reloads = self._reloads
        need = reloads.started + 1
        if reloads.known_failure() is None:
            if reloads.look_for_writer() is None:
                with anyio.move_on_after(timeout):
                    while reloads.holder is None and reloads.failure is None:
                        await reloads.round()
                        if reloads.satisfies(need):
                            return self._serve(None)
            if reloads.holder is not None:
                await self._be_patient(need)
                if reloads.satisfies(need):
                    return self._serve(None)
        failure = reloads.known_failure()
        if reloads.current is None:
            raise failure.error() if failure is not None else await self._busy()
        if failure is not None:
            return self._serve(
                Staleness(age_ms=self._age_ms(), reason="unreadable", file=failure.cause.data.get("file"))
            )
        return self._serve(self._stale())

    async def _be_patient(self, need: int) -> None:
        reloads = self._reloads
        reloads.request_reload()
        incomplete = reloads.current is not None and not reloads.current.snapshot.proven
        if incomplete or self._patience_spent_at == reloads.succeeded:
            return
        self._patience_spent_at = reloads.succeeded
        with anyio.move_on_after(PATIENCE):
            while reloads.succeeded < need and reloads.failure is None:
                await reloads.round()

    def _serve(self, stale: Staleness | None) -> View:
        current, rows = self._reloads.current, self._reloads.rows
        assert current is not None
        assert rows is not None
        if stale is not None:
            self._metrics.add(f"reads.stale.{stale.reason}")
        return View(snapshot=current.snapshot, rows=rows, context=self.context.now(), stale=stale)

    def _stale(self) -> Staleness:
        current = self._reloads.current
        assert current is not None
        reason: Literal["locked", "incomplete"] = "locked" if current.snapshot.proven else "incomplete"
        return Staleness(age_ms=self._age_ms(), reason=reason, holder=self._reloads.holder)

    def _age_ms(self) -> int:
        return max(0, int((anyio.current_time() - self._reloads.verified) * 1000))

    async def _busy(self) -> StoreBusy:
        holder = self._reloads.holder
        if holder is None:
            return StoreBusy("the store kept changing for the whole time allowed; try again")
        known = holder
        if known.pid is None:
            # This searches all of /proc. One at a time: many requests that give up together must not fill every thread.
            known = await run_sync(lambda: self._reader.identify(holder), limiter=self._identifying)
        return busy(known)
