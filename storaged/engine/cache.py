"""The current snapshot, and the promise that goes with it: fresh by proof, never waiting for a writer.

A request looks at the stamp (a few system calls, no lock, no open file). Equal: the snapshot is current,
whoever holds a lock. Different: one reload in a worker thread serves everybody.

::

    stamp equal, proven ............................ served, stale = null
    stamp differs, no writer at work ............... wait for the reload, stale = null
    stamp differs, a writer at work ................ the first waits 50 ms for it, later ones do not;
                                                     served with stale = locked | incomplete
    the reload found a file it cannot read ......... served with stale = unreadable, or StoreCorrupt
                                                     where there is no earlier generation

All state here belongs to the event loop; only ``Loader.load`` runs in a thread.
"""

from __future__ import annotations

import logging
import threading
from typing import Literal, TypeAlias

import anyio
from anyio.to_thread import run_sync
from attrs import frozen

from storaged.engine.content import Contents, ContentSource
from storaged.engine.loading import Current, Loader
from storaged.engine.rows import Rows
from storaged.errors import StoreBusy, StoreCorrupt
from storaged.metrics import Metrics
from storaged.snapshot.difference import difference
from storaged.snapshot.model import Snapshot
from storaged.store.locks.probe import LockHolder
from storaged.store.reader import StoreReader, WriterActive
from storaged.store.stamp import Stamp

logger = logging.getLogger(__name__)

Consistency: TypeAlias = Literal["fresh", "strict", "cached"]

PATIENCE = 0.05
"""Seconds the first reader of a changed but locked store waits for the writer to finish."""

_RETRY = (0.001, 0.02)
"""Seconds between two looks for the end of a writer's hold: first, longest."""

_FIRST_TRIES = 10
"""Loads that a starting daemon tries, one longest pause apart, before it takes what it can read."""

_RECHECK = 1.0
"""Seconds for which a file found unreadable is not read again while the stamp stays the same."""

_DAMAGE_LOOK = 0.25
"""Seconds between two looks at the files of known damages."""


@frozen(kw_only=True)
class Staleness:
    """Why the snapshot served is not that of the files, and for how many milliseconds that may be so."""

    age_ms: int
    reason: Literal["locked", "unreadable", "incomplete"]
    holder: LockHolder | None = None
    file: str | None = None


@frozen(kw_only=True)
class View:
    """What one request is answered from."""

    snapshot: Snapshot
    rows: Rows
    stale: Staleness | None = None


class Cache:
    """Holds the current snapshot; ``run`` must be running for it to change."""

    def __init__(self, reader: StoreReader, source: ContentSource, metrics: Metrics) -> None:
        self._reader = reader
        self._contents = Contents(source)
        self._loader = Loader(reader, self._contents, metrics)
        self._metrics = metrics
        self._current: Current | None = None
        self._rows: Rows | None = None
        self._verified = 0.0
        self._looked_at_damage = 0.0
        self._failed: tuple[Stamp, float, StoreCorrupt] | None = None
        self._holder: LockHolder | None = None
        self._patience_spent = False
        self._afresh = False
        self._started = 0
        self._succeeded = 0
        self._wanted = anyio.Event()
        self._finished = anyio.Event()
        self._stop = threading.Event()

    # -------------------------------------------------------------- what requests call

    @property
    def generation(self) -> str:
        """The generation of the current snapshot, without a look at the store."""
        return self._current.snapshot.generation if self._current else self._loader.no_generation

    @property
    def snapshot(self) -> Snapshot | None:
        """The current snapshot, without a look at the store; None before the first load succeeded."""
        return self._current.snapshot if self._current else None

    async def view(self, consistency: Consistency = "fresh", timeout: float = 10.0) -> View:
        """The snapshot to answer from.

        ``timeout`` (seconds) bounds a ``strict`` read and the wait for the very first load.

        Raises:
            StoreBusy: ``strict``, and the store could not be read as one complete state in time.
            StoreCorrupt: a table cannot be read and no earlier generation is known, or ``strict``.
        """
        if consistency == "cached" and self._current is not None:
            return self._serve(None)
        if self._is_current():
            return self._serve(None)
        if consistency == "strict":
            return await self._strict(timeout)
        return await self._fresh(timeout)

    async def refresh(self, timeout: float = 10.0) -> View:
        """Read the store again whatever the stamp says, and every content with it.

        Raises:
            StoreBusy, StoreCorrupt: as ``strict`` reads do.
        """
        self._failed, self._afresh = None, True
        need = self._started + 1
        with anyio.move_on_after(timeout):
            while self._succeeded < need:
                await self._round()
                if self._failed is not None:
                    raise self._failed[2]
            return self._serve(None)
        raise self._busy()

    # -------------------------------------------------------------- the daemon's side

    async def start(self) -> None:
        """Load for the first time; beside a writer at work take what can be read. Never raises for the store's sake.

        Must be called before ``run``.
        """
        for _ in range(_FIRST_TRIES):
            if await self._load(unproven=False) or self._failed is not None:
                return
            await anyio.sleep(_RETRY[1])
        await self._load(unproven=True)

    async def run(self) -> None:
        """Serve wishes for a reload until cancelled: one at a time, again while a writer is at work."""
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            pause = _RETRY[0]
            while not await self._load(unproven=False) and self._failed is None:
                await anyio.sleep(pause)
                pause = min(pause * 2, _RETRY[1])
                while (holder := self._reader.writer()) is not None:
                    self._holder = holder
                    await anyio.sleep(pause)

    def close(self) -> None:
        """Make a load under way end early. Call before ``run`` is cancelled: a worker thread is waited for."""
        self._stop.set()

    # -------------------------------------------------------------- within

    def _serve(self, stale: Staleness | None) -> View:
        assert self._current is not None
        assert self._rows is not None
        if stale is not None:
            self._metrics.add(f"reads.stale.{stale.reason}")
        return View(snapshot=self._current.snapshot, rows=self._rows, stale=stale)

    def _is_current(self) -> bool:
        current = self._current
        if current is None or not current.snapshot.proven or self._reader.stamp() != current.stamp:
            return False
        now = anyio.current_time()
        if self._contents.damaged and now - self._looked_at_damage >= _DAMAGE_LOOK:
            self._looked_at_damage = now
            if self._contents.repaired():
                return False
        self._verified = now
        return True

    def _known_failure(self) -> StoreCorrupt | None:
        """The failure of the last reload, where reading again would only meet it again."""
        if self._failed is None:
            return None
        stamp, when, error = self._failed
        if anyio.current_time() - when > _RECHECK or self._reader.stamp() != stamp:
            self._failed = None
            return None
        return error

    async def _round(self) -> None:
        """Ask for a reload and wait until one attempt, this or one under way, has ended."""
        finished = self._finished
        self._wanted.set()
        await finished.wait()

    async def _strict(self, timeout: float) -> View:
        need = self._started + 1
        with anyio.move_on_after(timeout):
            while True:
                await self._round()
                if self._succeeded >= need or self._is_current():
                    return self._serve(None)
                if self._failed is not None:
                    # A torn table may be whole again within the time allowed.
                    await anyio.sleep(_RETRY[1])
        if self._failed is not None:
            raise self._failed[2]
        raise self._busy()

    async def _fresh(self, timeout: float) -> View:
        need = self._started + 1
        if self._known_failure() is None:
            self._holder = self._reader.writer()
            if self._holder is None:
                with anyio.move_on_after(timeout):
                    while not self._hindered():
                        await self._round()
                        if self._succeeded >= need or self._is_current():
                            return self._serve(None)
            if self._holder is not None:
                await self._be_patient(need)
                if self._succeeded >= need or self._is_current():
                    return self._serve(None)
        return self._serve_stale()

    def _hindered(self) -> bool:
        """Whether the last attempt met a writer or a file it could not read."""
        return self._holder is not None or self._failed is not None

    async def _be_patient(self, need: int) -> None:
        self._wanted.set()
        if self._patience_spent:
            return
        self._patience_spent = True
        with anyio.move_on_after(PATIENCE):
            while self._succeeded < need and self._failed is None:
                await self._round()

    def _serve_stale(self) -> View:
        error = self._known_failure()
        if self._current is None:
            raise error or self._busy()
        age = max(0, int((anyio.current_time() - self._verified) * 1000))
        if error is not None:
            return self._serve(Staleness(age_ms=age, reason="unreadable", file=error.evidence.get("file")))
        reason: Literal["locked", "incomplete"] = "locked" if self._current.snapshot.proven else "incomplete"
        return self._serve(Staleness(age_ms=age, reason=reason, holder=self._holder))

    def _busy(self) -> StoreBusy:
        holder = self._holder
        if holder is None:
            return StoreBusy("the store kept changing for the whole time allowed; try again")
        who = f"pid {holder.pid} ({holder.command})" if holder.pid is not None else "another process"
        return StoreBusy(
            f"{holder.lock} is held for writing by {who}; wait for it to end, or allow a longer timeout",
            lock=holder.lock,
            holder={"pid": holder.pid, "command": holder.command, "mode": holder.mode},
        )

    async def _load(self, *, unproven: bool) -> bool:
        """One attempt. True where a snapshot stands that was read after this call began."""
        self._started += 1
        number = self._started
        afresh, self._afresh = self._afresh, False
        before = self._reader.stamp()
        try:
            current = await run_sync(
                lambda: self._loader.load(unproven=unproven, afresh=afresh, cancelled=self._stop.is_set)
            )
        except WriterActive as active:
            self._failed, self._holder = None, active.holder
            return False
        except StoreBusy as busy:
            logger.info("reload lost every race detail=%s", busy.text)
            self._failed, self._holder = None, self._reader.writer()
            return False
        except StoreCorrupt as error:
            self._fail(before, error)
            return False
        except OSError as error:
            self._fail(before, StoreCorrupt(f"{error.filename}: {error.strerror}", file=error.filename))
            return False
        else:
            self._swap(current)
            self._succeeded = number
            afresh = False
            return True
        finally:
            self._afresh = self._afresh or afresh
            finished, self._finished = self._finished, anyio.Event()
            finished.set()

    def _fail(self, stamp: Stamp, error: StoreCorrupt) -> None:
        if self._failed is None or self._failed[2].text != error.text:
            logger.warning("store unreadable detail=%s", error.text)
        self._failed = (stamp, anyio.current_time(), error)

    def _swap(self, current: Current) -> None:
        previous = self._current
        if previous is None or previous.snapshot is not current.snapshot:
            self._rows = Rows(current.snapshot)
            if previous is not None and logger.isEnabledFor(logging.DEBUG):
                logger.debug(
                    "reloaded generation=%s %s",
                    current.snapshot.generation,
                    difference(previous.snapshot, current.snapshot).summary(),
                )
        self._current = current
        self._verified = anyio.current_time()
        self._failed = None
        self._holder = None
        self._patience_spent = not current.snapshot.proven
