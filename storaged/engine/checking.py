"""Runs the integrity check in the background: its steps in a worker thread, a fraction of a second at a time.

Between two slices of work the event loop runs, progress is reported and a cancelled request ends. All checks share one
thread, so that any number of them load the disk like one. Work that has begun is waited for: it holds no lock and
blocks nobody, but the thread that opened its descriptors must close them.

How often the store is read does not depend on the number of requests::

    a run of this scope is under way ............ all requests join it
    one has ended, the peer may only read ....... its result, if that is no older than ``KEPT``
    one has ended, the peer may change the store  a new run: the peer may have repaired something
    the next slice of a run ..................... what that run found after the last slice
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio
from msgspec import Struct

from storaged.engine.check_run import CheckRun
from storaged.metrics import Metrics
from storaged.store.checking.findings import Finding
from storaged.store.checking.look import Scope
from storaged.store.checking.walk import Key, key_of, token_of
from storaged.store.files import Files
from storaged.store.tables import StoreLocation

_TURN = 0.05
"""Seconds of work at a time."""

KEPT: Final[dict[Scope, float]] = {"records": 0.0, "files": 10.0, "contents": 600.0}
"""Seconds for which peers that may only read get an old result: the more it costs, the longer."""

_RESUMED: Final = 600.0
"""Seconds for which the slices of a finished run are kept."""

_ABANDONED: Final = 30.0
"""Seconds after which a run that no request continued is over, for peers that may change the store."""

MOST_FINDINGS = 5_000
"""Findings after which a slice ends in any case: replies are limited, damage is not."""


class Checked(Struct, frozen=True, kw_only=True):
    """A slice of a check. ``resume`` continues after it; None if all units are done."""

    findings: tuple[Finding, ...]
    done: int
    total: int
    resume: str | None
    unsettled: tuple[str, ...]
    """Units that could not be checked: a writer was always at work, or they may not be read."""
    notes: tuple[str, ...]
    """Not damage, but worth knowing before another tool repairs the store."""
    age: float
    """Seconds since the run with this result ended; 0 if it is under way or ended for this request."""
    begun: float
    """Seconds since that run began."""


class Checker:
    """Checks one store. Belongs to the event loop; keeps the last run of each scope."""

    def __init__(self, location: StoreLocation, metrics: Metrics, files: Files | None = None) -> None:
        self._location = location
        self._metrics = metrics
        self._files = files or Files()
        self._thread = anyio.CapacityLimiter(1)
        self._runs: dict[Scope, CheckRun] = {}

    async def run(
        self,
        *,
        scope: Scope = "files",
        slice: float | None = None,
        resume: str | None = None,
        progress: Callable[[int, int], None] | None = None,
        may_change: bool = True,
    ) -> Checked:
        """Check until all is done, or for about ``slice`` seconds and one step at least.

        ``progress`` is called with the number of units done and of all units. ``may_change``: the peer may change the
        store, so it gets no result of a run that ended before.

        Raises:
            InvalidParams: ``resume`` is not a token of this scope.
            StoreBusy: the tables cannot be read for lack of descriptors or memory.
        """
        now = anyio.current_time()
        deadline = None if slice is None else now + slice
        at = key_of(resume, scope)
        run = self._run_for(scope, at, now, anew=may_change and resume is None)
        ended, ahead, turns = run.ended, run.at < at, run.turns
        run.join(at)
        try:
            while True:
                told, all_told = run.after(at, MOST_FINDINGS)
                moved = run.reached(at) or (ahead and run.turns > turns)
                over = deadline is not None and anyio.current_time() >= deadline and moved
                if run.ended is not None or over or not all_told or sum(len(e.findings) for e in told) >= MOST_FINDINGS:
                    break
                await run.go_on()
                if progress is not None:
                    progress(run.done, run.total)
        finally:
            await run.leave(at)
        behind = max(run.at, at) if all_told else told[-1].key
        now = anyio.current_time()
        return Checked(
            findings=tuple(finding for each in told for finding in each.findings),
            done=run.done,
            total=run.total,
            resume=None if run.ended is not None and all_told else token_of(scope, behind),
            unsettled=tuple(each.unsettled for each in told if each.unsettled is not None),
            notes=tuple(each.note for each in told if each.note is not None),
            age=0.0 if ended is None else now - ended,
            begun=now - run.began,
        )

    def _run_for(self, scope: Scope, at: Key, now: float, *, anew: bool) -> CheckRun:
        for other, kept in list(self._runs.items()):
            if kept.ended is not None and now - kept.ended > _RESUMED:
                del self._runs[other]
        run = self._runs.get(scope)
        if run is not None and run.covers(at) and self._serves(run, now, anew=anew, first=at == key_of(None, scope)):
            self._metrics.add("check.joined")
            return run
        run = CheckRun(
            location=self._location,
            scope=scope,
            files=self._files,
            metrics=self._metrics,
            thread=self._thread,
            at=at,
            began=now,
            turn=_TURN,
        )
        self._runs[scope] = run
        return run

    def _serves(self, run: CheckRun, now: float, *, anew: bool, first: bool) -> bool:
        if run.ended is not None:
            return not anew and now - run.ended <= (KEPT[run.scope] if first else _RESUMED)
        return run.shared or now - run.touched <= (_ABANDONED if anew else _RESUMED)
