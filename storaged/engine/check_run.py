"""One way through the store that any number of requests for a check share: it is looked at once for all of them.

What was found stays in the order of the units, so that who comes later, or asks for the next slice, is told what lies
behind the unit named last, however far the run has come meanwhile.
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
"""Findings that are kept for nobody who waits; of a store with more, who comes late gets a run of its own."""


class Told(Struct, frozen=True, kw_only=True):
    """What one unit had to tell."""

    key: Key
    findings: tuple[Finding, ...]
    unsettled: str | None
    note: str | None


@define(kw_only=True, eq=False)
class CheckRun:
    """Belongs to the event loop; its steps run in ``thread``, one turn at a time, whoever asks for the turn."""

    location: StoreLocation
    scope: Scope
    files: Files
    metrics: Metrics
    thread: anyio.CapacityLimiter
    at: Key
    """The last unit that is done; in the beginning the one that it begins after."""
    began: float
    turn: float
    """Seconds of steps in one go; a step that takes longer ends its turn."""
    ended: float | None = None
    """When it came to its end, both on the loop's clock."""
    touched: float = 0.0
    """When somebody last had it go on."""
    done: int = 0
    total: int = 0
    turns: int = 0
    _told: list[Told] = field(factory=list)
    _kept: int = 0
    _floor: Key = field(init=False)
    _finished: bool = field(default=False, init=False)
    _sharers: list[Key] = field(factory=list)
    """Behind which unit each wants to be told; who has enough goes."""
    _steps: Generator[Step, None, None] | None = None
    _lock: anyio.Lock = field(factory=anyio.Lock, init=False)

    def __attrs_post_init__(self) -> None:
        self._floor = self.at
        self.touched = self.began

    @property
    def shared(self) -> bool:
        """Whether anybody waits for it now."""
        return bool(self._sharers)

    def covers(self, at: Key) -> bool:
        """Whether all that lies behind this unit is told here, or will be."""
        return self._floor <= at

    def reached(self, at: Key) -> bool:
        """Whether it has come further than this unit."""
        return self.ended is not None or self.at > at

    def after(self, at: Key, most: int) -> tuple[list[Told], bool]:
        """What was told behind a unit, so much that it has at least ``most`` findings; and whether that is all."""
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
        """Somebody wants to be told what lies behind this unit, which is kept until ``leave``."""
        self._sharers.append(at)

    async def leave(self, at: Key) -> None:
        """One who waited has gone. The last one closes what is open."""
        self._sharers.remove(at)
        self._forget()
        with anyio.CancelScope(shield=True):
            async with self._lock:
                steps = self._steps
                if steps is not None and not self._sharers:
                    self._steps = None
                    await run_sync(steps.close, limiter=self.thread)

    async def go_on(self) -> None:
        """Have it go on by one turn, or wait for the turn of another.

        Raises:
            StoreBusy: the tables cannot be read for want of descriptors or memory.
        """
        seen = self.turns
        async with self._lock:
            if seen != self.turns:
                return
            # A turn that has begun is waited for, cancelled or not: what it found is for all.
            try:
                await run_sync(self._turn, limiter=self.thread)
            finally:
                self.turns += 1
                self.touched = anyio.current_time()
                if self._finished:
                    self.ended = self.touched
                self._forget()

    def _turn(self) -> None:
        """Some steps, one at least: a walk ends with a step that says so."""
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
        """Keep no more than is wanted, or may be."""
        dropped = 0
        for told in self._told:
            if self._kept <= MOST_KEPT or any(at < told.key for at in self._sharers):
                break
            self._floor = told.key
            self._kept -= len(told.findings)
            dropped += 1
        del self._told[:dropped]
