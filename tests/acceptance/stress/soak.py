"""A daemon under a mixed load, with other tools writing beside it, for a long time: it does not grow and does not err.

    python -m tests.acceptance.stress.soak --minutes 30         30 at full scale

Three clients read in all ways, one tags, lists, leases, prunes and removes; podman, by one resident service, and
buildah build, tag and remove beside them (5.8 where ``STORAGED_SID_ROOT`` names it, else this machine's 4.3, else a
writer of our own). On each back end in turn, half the time each.

*Does not grow* means: the slope of the memory held at quiet moments, by Theil and Sen, makes less than two MiB of the
whole time after the warm-up. That is above what caches that fill and the C library's heap waver by in a minute; and the
least a leak can be, one object of some 50 bytes a request, is more than that at full scale, where each back end answers
60,000 requests and more. Open descriptors do not grow at all.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from attrs import define

from storaged.sample import SampleSpec, SampleWriter, write_store
from tests.support.daemon import BACKENDS, MIB, Daemon, serving
from tests.support.peers import Peer, PeerMissing, podman_43, podman_58, workspace
from tests.support.podman_service import service
from tests.support.report import Report, arguments

from .foreign import RealTools, SampleTool, Tool, Writing
from .soak_load import Asking, Changer, Reader
from .steadiness import Sample, growth

_MINUTES = 30.0
_WARM = 0.25
"""The share of the time after which nothing may grow."""
_MOST = 2.0 * MIB
_READERS = 3
_PAUSE = 0.03
_FIRST = 10.0
"""Seconds of load before anything is counted: what is opened once and kept is open by then, caches are half full."""
_DRIVER = "overlay"


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(
        __doc__ or "",
        argv,
        minutes=(float, 0.0, "how long; by default 30 times the scale"),
        backend=(str, ",".join(BACKENDS), "trio or asyncio"),
        writer=(str, "any", "podman, own, or any: podman where it is"),
    )
    report = Report(timed=not flags.untimed)
    backends = flags.backend.split(",")
    seconds = 60 * (flags.minutes or _MINUTES * flags.scale) / len(backends)
    for number, backend in enumerate(backends):
        run(report, backend, seed=flags.seed + number, seconds=seconds, writer=flags.writer)
    return report.finish()


def run(
    report: Report,
    backend: str,
    *,
    seed: int,
    seconds: float,
    writer: str = "any",
    program: Sequence[str] = ("storaged",),
    most: float = _MOST,
    first: float = _FIRST,
) -> None:
    """One daemon (``program``) on one back end; ``most``: bytes that its memory may grow by; ``first``: seconds of load
    before anything is measured."""
    with _scene(backend, seed=seed, writer=writer, program=program) as (daemon, tool, name):
        report.figure(f"{backend}: beside it writes", name)
        _Load(daemon, tool, seed=seed, first=0).run(first)
        descriptors = daemon.settled_descriptors()
        load = _Load(daemon, tool, seed=seed + 1, first=1_000)
        samples = load.run(seconds)
        load.judge(report, backend)
        _judge_store(report, daemon)
        kept = samples[int(len(samples) * _WARM) :]
        grown = growth(kept)
        report.figure(f"{backend}: memory at first, after the warm-up and in the end, MiB", _told(samples[0], kept))
        report.figure(f"{backend}: growth by the slope, MiB in {kept[-1][0] - kept[0][0]:.0f} s", grown / MIB)
        report.claim(grown <= most, f"{backend}: the daemon grows: {grown / MIB:.2f} MiB")
        left = daemon.settled_descriptors()
        report.figure(f"{backend}: descriptors before and after", f"{descriptors}, {left}")
        report.claim(left <= descriptors, f"{backend}: {left} descriptors are open, {descriptors} before")
        daemon.claim_whole(report)


def _judge_store(report: Report, daemon: Daemon) -> None:
    """Nobody writes any more: the store is whole, and read as it is."""
    with daemon.client() as client:
        answer = client.call("images.list", all=True, consistency="strict", timeout=20.0)
    damaged = [(image["id"], image["damage"]) for image in answer["images"] if image["damage"]]
    report.claim(not damaged, f"{daemon.backend}: images are damaged in the end: {damaged[:3]}")
    report.claim(answer["stale"] is None, f"{daemon.backend}: stale with no writer: {answer['stale']}")
    report.figure(f"{daemon.backend}: images in the end", len(answer["images"]))


def _told(first: Sample, kept: Sequence[Sample]) -> str:
    return ", ".join(f"{held / MIB:.1f}" for _, held in (first, kept[0], kept[-1]))


@contextmanager
def _scene(backend: str, *, seed: int, writer: str, program: Sequence[str]) -> Iterator[tuple[Daemon, Tool, str]]:
    """The daemon, and the tool that writes beside it, with its name.

    Raises:
        PeerMissing: ``writer`` is podman and there is none.
    """
    random = Random(seed)
    peer = None if writer == "own" else _peer(required=writer == "podman")
    if peer is None:
        with TemporaryDirectory(prefix="soak-") as folder:
            root, run = Path(folder) / "root", Path(folder) / "run"
            write_store(root, run, SampleSpec(images=40, seed=seed, contents="files"))
            with serving(Path(folder), backend=backend, program=program) as daemon:
                yield daemon, SampleTool(SampleWriter(root, run, _DRIVER), random), "a writer of our own"
        return
    with workspace(peer, driver=_DRIVER) as store:
        write_store(store.graphroot, store.runroot, SampleSpec(images=40, seed=seed, contents="files"))
        with (
            serving(store.work, "--runroot", str(store.runroot), backend=backend, program=program) as daemon,
            service(store) as theirs,
        ):
            yield daemon, RealTools(store, theirs, random), f"{peer.name} and buildah"


def _peer(*, required: bool) -> Peer | None:
    try:
        return podman_58()
    except PeerMissing:
        try:
            return podman_43()
        except PeerMissing:
            if required:
                raise
            return None


@define
class _Counts:
    answers: Counter[str]
    problems: list[str]


class _Load:
    """All who ask and write, for one stretch of time."""

    def __init__(self, daemon: Daemon, tool: Tool, *, seed: int, first: int) -> None:
        self._daemon = daemon
        kinds: list[type[Asking]] = [Reader] * _READERS + [Changer]
        self._asking = [
            kind(daemon.path, Random(f"{seed} {number}"), pause=_PAUSE) for number, kind in enumerate(kinds)
        ]
        self._writing = Writing(tool, first=first, pause=0.1)

    def run(self, seconds: float) -> list[Sample]:
        """Let them all go for so long; what the daemon held meanwhile, ten times a second at most."""
        threads = [*self._asking, self._writing]
        for thread in threads:
            thread.start()
        samples: list[Sample] = []
        began = time.monotonic()
        try:
            while (passed := time.monotonic() - began) < seconds and self._daemon.alive:
                samples.append((passed, float(self._daemon.memory)))
                time.sleep(max(0.1, seconds / 2_000))
        finally:
            for thread in threads:
                thread.stop()
        return samples

    def judge(self, report: Report, where: str) -> None:
        """No client met an error that is not documented, and everybody was at it."""
        counts = _Counts(answers=Counter(), problems=[])
        for each in self._asking:
            counts.answers.update(each.answers)
            counts.problems += each.problems
        done = self._writing.outcomes
        report.figure(f"{where}: answers", sum(counts.answers.values()))
        report.figure(f"{where}: of each", dict(sorted(counts.answers.items())))
        report.figure(f"{where}: steps of the other tool", f"{dict(done)}, last refused: {self._writing.problems[-1:]}")
        unfinished = counts.answers["ImageDamaged"]
        report.claim(
            unfinished <= max(3.0, sum(counts.answers.values()) / 100), f"{where}: {unfinished} answers ImageDamaged"
        )
        report.claim(not counts.problems, f"{where}: {len(counts.problems)} errors: {counts.problems[:3]}")
        report.claim(done["done"] > done["refused"], f"{where}: the other tool hardly wrote: {self._writing.problems}")
        report.claim(len(counts.answers) > 20, f"{where}: only these were asked: {sorted(counts.answers)}")


if __name__ == "__main__":
    sys.exit(main())
