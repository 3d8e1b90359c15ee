"""Runs the check of the store beside everything else: its steps in a worker thread, a fraction of a second at a time.

Between two turns the loop lives, progress is told and a cancelled request ends. All checks share one thread, turn
by turn, so that any number of them load the disk like one. A turn that has begun is waited for: it holds no lock
and keeps nobody waiting, but its descriptors must be closed by the thread that opened them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator

import anyio
from anyio.to_thread import run_sync
from msgspec import Struct

from storaged.metrics import Metrics
from storaged.store.checking.findings import Finding
from storaged.store.checking.look import Scope
from storaged.store.checking.walk import Step, walk
from storaged.store.files import Files
from storaged.store.tables import StoreLocation

_TURN = 0.05
"""Seconds of steps in one go; a step that takes longer ends its turn."""

MOST_FINDINGS = 5_000
"""Findings after which a slice ends although nobody asked: a reply has a limit, a damaged store has none."""


class Checked(Struct, frozen=True, kw_only=True):
    """A slice of a check. ``resume`` goes on after it; None where all units are done."""

    findings: tuple[Finding, ...]
    done: int
    total: int
    resume: str | None
    unsettled: tuple[str, ...]
    """Units that could not be judged: a writer was at work through every look, or they may not be read."""


class Checker:
    """Checks one store. Belongs to the event loop; keeps nothing between slices."""

    def __init__(self, location: StoreLocation, metrics: Metrics, files: Files | None = None) -> None:
        self._location = location
        self._metrics = metrics
        self._files = files or Files()
        self._thread = anyio.CapacityLimiter(1)

    async def run(
        self,
        *,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> Checked:
        """Check until all is done, or for about ``slice`` seconds and one step at least.

        ``progress`` is given units done and all units after each turn.

        Raises:
            InvalidParams: ``resume`` is no token of this scope.
        """
        deadline = None if slice is None else anyio.current_time() + slice
        steps = walk(self._location, scope=scope, resume=resume, files=self._files, metrics=self._metrics)
        findings: list[Finding] = []
        unsettled: list[str] = []
        try:
            while True:
                turn = await run_sync(lambda: _turn(steps), limiter=self._thread)
                for step in turn:
                    findings += step.findings
                    if step.unsettled is not None:
                        unsettled.append(step.unsettled)
                last = turn[-1]
                self._metrics.add("check.steps", len(turn))
                if progress is not None:
                    progress(last.done, last.total)
                over = deadline is not None and anyio.current_time() >= deadline
                if last.resume is None or over or len(findings) >= MOST_FINDINGS:
                    return Checked(
                        findings=tuple(findings),
                        done=last.done,
                        total=last.total,
                        resume=last.resume,
                        unsettled=tuple(unsettled),
                    )
        finally:
            with anyio.CancelScope(shield=True):
                await run_sync(steps.close, limiter=self._thread)


def _turn(steps: Generator[Step, None, None]) -> list[Step]:
    """Some steps, one at least: a walk ends with a step that says so."""
    until = time.monotonic() + _TURN
    taken = [next(steps)]
    while taken[-1].resume is not None and time.monotonic() < until:
        taken.append(next(steps))
    return taken
