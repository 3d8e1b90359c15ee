"""One run of the integrity check, shared by any number of requests: the store is read once for all of them.

Findings are kept in the order of the units. A request that comes later, or asks for the next slice, gets those after
the last unit it knows, however far the run has come.
"""

from __future__ import annotations

import time
from collections.abc import Generator

import anyio
from anyio.to_thread import run_sync
from attrs import define, field
from msgspec import Struct

from storaged.metrics import Metrics
from storaged.store.checking.findings import Finding
from storaged.store.checking.look import Scope
from storaged.store.checking.walk import Key, Step, token_of, walk
from storaged.store.files import Files
from storaged.store.tables import StoreLocation

MOST_KEPT = 10_000
"""Findings that are kept while no request waits for them; if there are more, a late request gets its own run."""


class Told(Struct, frozen=True, kw_only=True):
    """The outcome of one unit."""

    key: Key
    findings: tuple[Finding, ...]
    unsettled: str | None
    note: str | None


@define(kw_only=True, eq=False)
class CheckRun:
    """Belongs to the event loop; its steps run in ``thread``, a turn at a time, for whichever request continues it."""

    location: StoreLocation
    scope: Scope
    files: Files
    metrics: Metrics
    thread: anyio.CapacityLimiter
    at: Key
    """The last unit that is done; at the beginning the one before the first."""
    began: float
    turn: float
    """Seconds of steps in one turn; a step that takes longer ends its turn."""
    ended: float | None = None
    """When it ended, like ``began`` on the event loop's clock."""
    touched: float = 0.0
    """When a request last continued it."""
    done: int = 0
    total: int = 0
    turns: int = 0
    _told: list[Told] = field(factory=list)
    _kept: int = 0
    _floor: Key = field(init=False)
    _finished: bool = field(default=False, init=False)
    _sharers: list[Key] = field(factory=list)
    """The last unit that each waiting request knows."""
    _steps: Generator[Step, None, None] | None = None
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._floor = self.at
        self.touched = self.began

    @property
    def shared(self) -> bool:
        """Whether any request waits for it now."""
        return bool(self._sharers)

    def covers(self, at: Key) -> bool:
        """Whether the run has, or will have, everything after this unit."""
        return self._floor <= at

    def reached(self, at: Key) -> bool:
        """Whether it has come further than this unit."""
        return self.ended is not None or self.at > at

    def after(self, at: Key, most: int) -> tuple[list[Told], bool]:
        """The outcomes after a unit, up to about ``most`` findings; and whether these are all."""
        chosen: list[Told] = []
        count = 0
        for told in self._told:
            if told.key > at:
                if count >= most:
                    return chosen, False
                chosen.append(told)
                count += len(told.findings)
        return chosen, True

    def join(self, at: Key) -> None:
        """A request waits for what comes after this unit; it is kept until ``leave``."""
        self._sharers.append(at)

    async def leave(self, at: Key) -> None:
        """A request no longer waits. The last one closes what is open."""
        self._sharers.remove(at)
        self._forget()
        with anyio.CancelScope(shield=True):
            async with self._lock:
                steps = self._steps
                if steps is not None and not self._sharers:
                    self._steps = None
                    await run_sync(steps.close, limiter=self.thread)

    async def go_on(self) -> None:
        """Continue by one turn, or wait for the turn of another request.

        Raises:
            StoreBusy: the tables cannot be read for lack of descriptors or memory.
        """
        seen = self.turns
        async with self._lock:
            if seen != self.turns:
                return
            # A turn that has begun is waited for even if cancelled: its findings are for all requests.
            try:
                await run_sync(self._turn, limiter=self.thread)
            finally:
                self.turns += 1
                self.touched = anyio.current_time()
                if self._finished:
                    self.ended = self.touched
                self._forget()

    def _turn(self) -> None:
        """Take some steps, at least one: the last step of a walk says so."""
        until = time.monotonic() + self.turn
        if self._steps is None:
            self._steps = walk(
                self.location,
                scope=self.scope,
                resume=token_of(self.scope, self.at),
                files=self.files,
                metrics=self.metrics,
            )
        taken = 0
        try:
            while True:
                step = next(self._steps)
                taken += 1
                self._take(step)
                if step.resume is None or time.monotonic() >= until:
                    return
        except BaseException:
            self._steps = None
            raise
        finally:
            self.metrics.add("check.steps", taken)

    def _take(self, step: Step) -> None:
        self.done, self.total, self.at = step.done, step.total, step.key
        self._finished = step.resume is None
        if step.findings or step.unsettled is not None or step.note is not None:
            told = Told(key=step.key, findings=step.findings, unsettled=step.unsettled, note=step.note)
            self._told.append(told)
            self._kept += len(step.findings)

    def _forget(self) -> None:
        """Drop what no request waits for, beyond the limit."""
        dropped = 0
        for told in self._told:
            if self._kept <= MOST_KEPT or any(at < told.key for at in self._sharers):
                break
            self._floor = told.key
            self._kept -= len(told.findings)
            dropped += 1
        del self._told[:dropped]
