"""Reloads of the store: one at a time for all requests, in a worker thread.

::

    request_reload ──▶ load ──▶ complete ......... replace the current snapshot; idle, or reload again if requested
                         ├────▶ a writer at work . look every 20 ms until it ends, load again;
                         │                         after 2 s with shared locks (``starvation``)
                         ├────▶ lost every race .. load again
                         ├────▶ out of resources . keep the failure; load again after 20 ms, then after longer pauses
                         └────▶ unreadable ....... keep the failure; idle

Waiting requests (``round``) are woken at the end of each load, and whenever a look finds a writer: a request must
learn of a writer that came after it began to wait. All state belongs to the event loop; only the ``Loader`` works in
threads.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import anyio
from anyio.to_thread import run_sync
from msgspec import Struct

from storaged.engine.cancellation import set_on_cancel
from storaged.engine.content import Contents, ContentSource
from storaged.engine.disk_errors import reading_error
from storaged.engine.image_texts import ImageTexts
from storaged.engine.loading import Current, Loader
from storaged.engine.loop_turn import LoopTurn
from storaged.engine.row_cache import RowCache
from storaged.engine.starvation import StarvationFallback
from storaged.metrics import Metrics
from storaged.snapshot.difference import difference
from storaged.snapshot.sizes import NOTHING_MEASURED, KnownSizes
from storaged.store.locks.probe import LockHolder
from storaged.store.reader import StoreReader, WriterActive
from storaged.store.stamp import Stamp
from storaged_client.contract.errors import StoreBusy, StoreCorrupt

logger = logging.getLogger(__name__)

RETRY = (0.001, 0.02)
"""Seconds between two looks for the end of a writer: the first pause, the longest."""

_FIRST_TRIES = 10
"""Loads that a starting daemon tries, a longest pause apart, before it takes what it can read."""

_RECHECK = 1.0
"""Seconds for which an unreadable file is not read again while the stamp stays the same."""

_LONGEST_RETRY = 1.0
"""Longest pause, in seconds, between loads that fail for lack of descriptors or memory, or because of the disk."""

_DAMAGE_LOOK = 0.25
"""Seconds between two looks at files that are known to be damaged."""

_UNSETTLED_LOOK = 5.0
"""Seconds between two loads that are made only because a damage is not confirmed."""


class Failure(Struct, frozen=True, kw_only=True):
    """Why the last load, which has this ``number``, could not read the store."""

    number: int
    stamp: Stamp
    when: float
    cause: StoreCorrupt | StoreBusy
    """``StoreBusy``: resources were lacking or the disk failed, which says nothing about the store."""

    @property
    def may_pass(self) -> bool:
        """Whether the same files may be readable later."""
        return isinstance(self.cause, StoreBusy)

    def error(self) -> StoreCorrupt | StoreBusy:
        """A new error for each request to raise: a shared instance would collect all their tracebacks."""
        return type(self.cause)(self.cause.message, self.cause.data)


class Reloads:
    """The current snapshot, and the state of the attempts to renew it."""

    def __init__(
        self,
        reader: StoreReader,
        source: ContentSource,
        metrics: Metrics,
        known_sizes: Callable[[], KnownSizes] = lambda: NOTHING_MEASURED,
    ) -> None:
        self._reader = reader
        self._contents = Contents(source)
        self.loader = Loader(reader, self._contents, metrics, known_sizes)
        self.current: Current | None = None
        self.rows: RowCache | None = None
        self._texts = ImageTexts()
        self._turn = LoopTurn()
        self._seen: Current | None = None
        """What was found current in this turn of the event loop."""
        self.verified = 0.0
        """When the current snapshot was last known to match the files."""
        self.failure: Failure | None = None
        self.holder: LockHolder | None = None
        """The writer that the last look found, if any."""
        self.started = 0
        self.succeeded = 0
        """Number of the last load that succeeded; ``started`` counts them."""
        self._looked_at_damage = 0.0
        self._looked_at_unsettled = 0.0
        self._afresh = False
        self._wanted = anyio.Event()
        self._moved = anyio.Event()
        self._stop = threading.Event()
        self._starvation = StarvationFallback()

    # -------------------------------------------------------------- what requests ask

    @property
    def generation(self) -> str:
        """The generation of the current snapshot, without checking the store."""
        return self.current.snapshot.generation if self.current else self.loader.no_generation

    def is_current(self) -> bool:
        """Whether the files still match the current snapshot: a few system calls, no lock, no open file."""
        current = self.current
        if current is None or not current.snapshot.proven or self._reader.stamp() != current.stamp:
            return False
        now = anyio.current_time()
        if self._contents.damaged and now - self._looked_at_damage >= _DAMAGE_LOOK:
            self._looked_at_damage = now
            if self._contents.repaired():
                return False
            if self._contents.unsettled and now - self._looked_at_unsettled >= _UNSETTLED_LOOK:
                self._looked_at_unsettled = now
                return False
        self.verified = now
        return True

    def seen_current(self) -> bool:
        """The same, by the look of whoever had one in this turn of the event loop."""
        if not self._turn.over and self._seen is self.current:
            return True
        if not self.is_current():
            return False
        self._seen = self.current
        self._turn.begin()
        return True

    def satisfies(self, need: int) -> bool:
        """Whether the current snapshot is of the load with this number, or later, or matches the files."""
        return self.succeeded >= need or self.is_current()

    def known_failure(self) -> Failure | None:
        """The failure of the last load, if another load would fail in the same way."""
        failure = self.failure
        if failure is None:
            return None
        if anyio.current_time() - failure.when > _RECHECK or self._reader.stamp() != failure.stamp:
            self.failure = None
        return self.failure

    def look_for_writer(self) -> LockHolder | None:
        """Look for a process that holds a lock for writing now."""
        self.holder = self._reader.writer()
        return self.holder

    def request_reload(self) -> None:
        """Ask for a reload."""
        self._wanted.set()

    async def round(self) -> None:
        """Ask for a reload and wait until something is known: a load ended, or a writer is at work."""
        moved = self._moved
        self.request_reload()
        await moved.wait()

    async def notified(self) -> None:
        """Wait for the same, or for ``notify``, without asking for a reload."""
        await self._moved.wait()

    def notify(self) -> None:
        """Wake all who wait: something besides the store has changed."""
        self._announce()

    def adopt(self, current: Current) -> None:
        """Serve the result of our own change, unless a later snapshot is there."""
        self._swap(current)
        self._announce()

    def invalidate(self) -> None:
        """Make the next load read everything again."""
        self.failure, self._afresh = None, True

    # -------------------------------------------------------------- the daemon's side

    async def start(self) -> None:
        """Load for the first time; while a writer is at work, take what can be read. Store errors are not raised.

        Must be called before ``run``. If cancelled, it ends at the next step of the load.
        """
        async with set_on_cancel(self._stop):
            for _ in range(_FIRST_TRIES):
                if await self._load(unproven=False):
                    return
                if self.failure is not None and not self.failure.may_pass:
                    return
                await anyio.sleep(RETRY[1])
            await self._load(unproven=True)

    async def run(self) -> None:
        """Reload on request until cancelled; a load under way then ends at its next step."""
        async with set_on_cancel(self._stop):
            while True:
                await self._wanted.wait()
                self._wanted = anyio.Event()
                self._starvation.requested(anyio.current_time())
                await self._persist()
                self._starvation.done()

    # -------------------------------------------------------------- within

    async def _persist(self) -> None:
        """Load until one succeeds, or none can."""
        pause = RETRY[0]
        shared_locks = False
        while not await self._load(unproven=False, shared_locks=shared_locks):
            if self.failure is not None:
                if not self.failure.may_pass:
                    return
                pause = min(max(pause, RETRY[1]) * 2, _LONGEST_RETRY)
                await anyio.sleep(pause)
                continue
            if shared_locks:
                self._starvation.tried(anyio.current_time())
            await anyio.sleep(pause)
            pause = min(pause * 2, RETRY[1])
            while True:
                shared_locks = self._starvation.due(anyio.current_time())
                if shared_locks or self.look_for_writer() is None:
                    break
                self._announce()
                await anyio.sleep(pause)

    async def _load(self, *, unproven: bool, shared_locks: bool = False) -> bool:
        """One attempt. True if there is now a snapshot that was read after this call began."""
        self.started += 1
        number = self.started
        afresh, self._afresh = self._afresh, False
        before = self._reader.stamp()
        try:
            current = await run_sync(
                lambda: self.loader.load(
                    unproven=unproven, afresh=afresh, shared_locks=shared_locks, cancelled=self._stop.is_set
                )
            )
        except (WriterActive, StoreBusy, StoreCorrupt, OSError) as error:
            # An error from a thread is in a reference cycle with its traceback, whose frames hold the tables.
            self._missed(number, before, error.with_traceback(None))
            return False
        else:
            self._swap(current)
            self.succeeded = number
            afresh = False
            return True
        finally:
            self._afresh = self._afresh or afresh
            self._announce()

    def _missed(self, number: int, stamp: Stamp, error: WriterActive | StoreBusy | StoreCorrupt | OSError) -> None:
        """Record why a load failed."""
        match error:
            case WriterActive():
                self.failure, self.holder = None, error.holder
            case StoreBusy():
                logger.info("reload lost every race detail=%s", error.message)
                self.failure = None
                self.look_for_writer()
            case StoreCorrupt():
                self._fail(number, stamp, error)
            case OSError():
                self._fail(number, stamp, reading_error(error))

    def _announce(self) -> None:
        moved, self._moved = self._moved, anyio.Event()
        moved.set()

    def _fail(self, number: int, stamp: Stamp, error: StoreCorrupt | StoreBusy) -> None:
        if self.failure is None or self.failure.cause.message != error.message:
            logger.warning("store unreadable detail=%s", error.message)
        self.failure = Failure(number=number, stamp=stamp, when=anyio.current_time(), cause=error)

    def _swap(self, current: Current) -> None:
        previous = self.current
        if previous is not None and current.number < previous.number:
            # A reload that began before our own commit may end after it; the client that made the change must see it.
            return
        if previous is None or previous.snapshot is not current.snapshot:
            self.rows = RowCache(current.snapshot, self._texts)
            if previous is not None and logger.isEnabledFor(logging.DEBUG):
                logger.debug(
                    "reloaded generation=%s %s",
                    current.snapshot.generation,
                    difference(previous.snapshot, current.snapshot).summary(),
                )
        self.current = current
        self.verified = anyio.current_time()
        self.failure = None
        self.holder = None
