"""The generated stores of the benchmarks have the form of those that podman builds."""

from __future__ import annotations

from tests.bench.real_shapes import measure
from tests.support.peers import Peer
from tests.support.report import Report


def test_podman_builds_the_shapes_that_the_generator_makes(podman_58: Peer) -> None:
    report = Report(timed=False)
    measure(report, podman_58, images=6, seed=3)
    assert report.held == 4
    assert report.violations == []
