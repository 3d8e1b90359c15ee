"""10,000 connections in 10 minutes that stall, half-close, flood, cancel, never read, babble and lie; on each back end.

    python -m tests.acceptance.stress.connections --seed 0 --scale 1

They are of another user where this one is root. Meanwhile honest clients ask at a fixed pace, before, beside and after:
in each window of time the 99th percentile counts, and of idle and of loaded windows the median, so that one hiccup of
the machine decides nothing. In the end the daemon holds what it held before.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from statistics import median

from storaged.sample import Sample
from tests.support.daemon import BACKENDS, MIB, Daemon, on_sample
from tests.support.report import Report, arguments, percentile

from .pace import Paced, Question

_CONNECTIONS = 10_000
_SECONDS = 600.0
_WINDOWS = 12
"""Of the crowd's time."""
_IDLE = 3
"""Before the crowd, and again after it."""
_MEMORY = 5 * MIB
_RATIO = 2.0
_MOST_TURNED = 0.02
"""The part of the crowd that may find no place: its uid has 255."""
_IMAGES = 100
_PATIENCE = 120.0


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, backend=(str, ",".join(BACKENDS), "trio or asyncio"))
    report = Report(timed=not flags.untimed)
    for number, backend in enumerate(flags.backend.split(",")):
        run(report, backend, seed=flags.seed + number, scale=flags.scale)
    return report.finish()


def run(
    report: Report,
    backend: str,
    *,
    seed: int,
    scale: float,
    program: Sequence[str] = ("storaged",),
    hold: float = 1.0,
) -> None:
    """One daemon (``program``), ``scale`` of all connections at the full pace; ``hold``: how long they stay."""
    count, seconds = max(len(_QUESTIONS), round(_CONNECTIONS * scale)), _SECONDS * scale
    window = seconds / _WINDOWS
    with on_sample(_IMAGES, seed=seed, backend=backend, program=program) as (daemon, sample):
        # Every uid of this machine may come in.
        os.chmod(os.path.dirname(daemon.path), 0o755)
        os.chmod(daemon.path, 0o666)
        # So that what it opens once and keeps, and the memory of a first crowd, is there before it is measured.
        _crowd(report, daemon, seed=seed, count=max(64, count // 50), seconds=4.0 * hold, hold=hold).wait_and_judge()
        honest = Paced(daemon.path, questions(sample))
        try:
            honest.window(1.0)
            descriptors, memory = daemon.settled_descriptors(), daemon.settled_memory()
            idle = [honest.window(window) for _ in range(_IDLE)]
            crowd = _crowd(report, daemon, seed=seed + 1, count=count, seconds=seconds, hold=hold)
            loaded = [honest.window(window) for _ in range(_WINDOWS)]
            crowd.wait_and_judge()
            open_after, after = daemon.settled_descriptors(), daemon.settled_memory()
            idle += [honest.window(window) for _ in range(_IDLE)]
        finally:
            honest.close()
        report.claim(not honest.errors, f"{backend}: honest clients: {honest.errors[:3]}")
        _judge_times(report, backend, idle, loaded)
        report.figure(f"{backend}: memory before and after, MiB", f"{memory / MIB:.1f}, {after / MIB:.1f}")
        report.claim(after - memory <= _MEMORY, f"{backend}: grown by {(after - memory) / MIB:.1f} MiB")
        report.figure(f"{backend}: descriptors before and after", f"{descriptors}, {open_after}")
        report.claim(open_after <= descriptors, f"{backend}: {open_after} descriptors are open, {descriptors} before")
        daemon.claim_whole(report)


def questions(sample: Sample) -> list[Question]:
    """What honest clients ask in turn."""
    return [
        (method, dict(params, **({"name": sample.images[7]} if named else {}))) for method, params, named in _QUESTIONS
    ]


_QUESTIONS = (
    ("images.list", {"filters": ["dangling=true"]}, False),
    ("images.exists", {}, True),
    ("images.list", {"limit": 20}, False),
    ("images.why", {}, True),
    ("containers.list", {}, False),
    ("manifests.referenced", {}, False),
)


def _judge_times(report: Report, where: str, idle: list[list[float]], loaded: list[list[float]]) -> None:
    quiet, busy = (median([percentile(window, 0.99) for window in windows]) for windows in (idle, loaded))
    for name, windows in (("idle", idle), ("loaded", loaded)):
        every = [late for window in windows for late in window]
        p99 = ", ".join(f"{percentile(window, 0.99) * 1e3:.1f}" for window in windows)
        report.figure(f"{where}: honest answers, {name}", len(every))
        report.figure(f"{where}: {name}: p50 of all, p99 of each window, ms", f"{median(every) * 1e3:.2f}; {p99}")
    report.figure(f"{where}: p99 loaded over idle", busy / quiet)
    report.in_time(
        busy <= _RATIO * quiet, f"{where}: p99 {busy * 1e3:.1f} ms beside the crowd, {quiet * 1e3:.1f} ms idle"
    )


class _Crowd:
    def __init__(self, report: Report, where: str, count: int, process: subprocess.Popen[str], patience: float) -> None:
        self._report = report
        self._where = where
        self._count = count
        self._process = process
        self._patience = patience

    def wait_and_judge(self) -> None:
        """All were answered as they must be."""
        try:
            printed, _ = self._process.communicate(timeout=self._patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
            self._report.claim(False, f"{self._where}: the crowd does not come to its end")
            return
        found = json.loads(printed or "{}")
        wrong, seen = found.get("wrong", ["it ended by itself"]), found.get("seen", {})
        turned = seen.get("turned away", 0)  # of those who are counted by what they do, too
        came = sum(seen.values()) - turned
        self._report.claim(not wrong, f"{self._where}: {len(wrong)} of the crowd: {wrong[:5]}")
        self._report.claim(came == self._count, f"{self._where}: {came} of {self._count} came")
        self._report.claim(turned <= _MOST_TURNED * self._count, f"{self._where}: {turned} were turned away")
        self._report.figure(f"{self._where}: the crowd", f"{seen} in {found.get('seconds', 0.0):.0f} s")


def _crowd(report: Report, daemon: Daemon, *, seed: int, count: int, seconds: float, hold: float) -> _Crowd:
    command = [sys.executable, "-m", "tests.acceptance.stress.bad_clients", daemon.path, "--seed", str(seed)]
    command += ["--count", str(count), "--seconds", str(seconds), "--hold", str(hold)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    return _Crowd(report, daemon.backend, count, process, seconds + _PATIENCE)


if __name__ == "__main__":
    sys.exit(main())
