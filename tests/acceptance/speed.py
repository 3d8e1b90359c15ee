"""How fast a warm daemon answers beside podman 5.8's own resident service, and how the time grows.

python -m tests.acceptance.speed --scale 1
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from storaged.sample import Sample, SampleSpec, write_store
from tests.support.client import Client
from tests.support.daemon import daemon
from tests.support.peers import Peer, podman_58, workspace
from tests.support.podman_service import Service, service
from tests.support.report import Report, arguments, median

SIZES = (100, 200, 400, 800)
_RATIO = 200
_LINEAR = 1.5
"""How much dearer a row may be at the largest size than at the smallest."""
_FLAT = 1.5


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    measure(report, podman_58(), seed=flags.seed, rounds=max(20, round(500 * flags.scale)))
    return report.finish()


def measure(report: Report, peer: Peer, *, seed: int, rounds: int) -> None:
    """All sizes; the comparison with podman at the largest."""
    lists: dict[int, float] = {}
    whys: dict[int, float] = {}
    for size in SIZES:
        lists[size], whys[size] = _one(report, peer, size=size, seed=seed, rounds=rounds, rival=size == SIZES[-1])
    small, large = SIZES[0], SIZES[-1]
    dearer = (lists[large] / large) / (lists[small] / small)
    report.figure("time of a row at the largest size over that at the smallest", dearer)
    report.in_time(dearer <= _LINEAR, f"images.list does not grow linearly: {lists}")
    report.figure("images.why at the largest size over that at the smallest", whys[large] / whys[small])
    report.in_time(whys[large] <= _FLAT * whys[small], f"images.why grows: {whys}")


def _one(report: Report, peer: Peer, *, size: int, seed: int, rounds: int, rival: bool) -> tuple[float, float]:
    """Median seconds of a full ``images.list`` and of ``images.why`` at one size."""
    with workspace(peer) as store:
        sample = write_store(store.graphroot, store.runroot, SampleSpec(images=size, seed=seed, driver="vfs"))
        with daemon(store) as ours, ours.client() as client:
            full = _time(client, rounds, "images.list", all=True)
            report.figure(f"{size} images: images.list, ms", full * 1000)
            report.figure(f"{size} images: bytes of the reply", client.received)
            why = _time_why(client, rounds, sample)
            report.figure(f"{size} images: images.why, ms", why * 1000)
            report.figure(f"{size} images: memory of the daemon, MiB", ours.memory / 2**20)
            if rival:
                dangling = _time(client, rounds, "images.list", filters=["dangling=true"])
                with service(store) as theirs:
                    _compare(report, "images.list", full, theirs, len(sample.images), everything=True)
                    _compare(report, "dangling", dangling, theirs, len(sample.podman_dangling), dangling=True)
            return full, why


def _time(client: Client, rounds: int, method: str, **params: object) -> float:
    times = []
    for _ in range(rounds + 5):
        client.call(method, **params)
        times.append(client.elapsed)
    return median(times[5:])


def _time_why(client: Client, rounds: int, sample: Sample) -> float:
    times = []
    for number in range(rounds + 5):
        client.call("images.why", name=sample.images[number * 7 % len(sample.images)])
        times.append(client.elapsed)
    return median(times[5:])


def _compare(report: Report, what: str, ours: float, theirs: Service, rows: int, **query: bool) -> None:
    times = []
    for _ in range(4):
        found = len(theirs.images(**query))
        times.append(theirs.elapsed)
    report.claim(found == rows, f"{what}: podman's service lists {found} rows, the recipe {rows}")
    ratio = median(times[1:]) / ours
    report.figure(f"{what}: podman's service, ms", median(times[1:]) * 1000)
    report.figure(f"{what}: times faster than podman's service", ratio)
    report.in_time(ratio >= _RATIO, f"{what}: only {ratio:.0f} times faster than podman's service")


if __name__ == "__main__":
    sys.exit(main())
