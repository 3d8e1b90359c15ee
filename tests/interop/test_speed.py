"""The rows counted by both services are the same (see ``speed``). Times are printed and not judged here."""

from __future__ import annotations

from tests.acceptance.speed import measure
from tests.support.peers import Peer
from tests.support.report import Report


def test_podmans_service_and_ours_return_the_rows_of_the_recipe(podman_58: Peer) -> None:
    report = Report(timed=False)
    measure(report, podman_58, seed=0, rounds=3)
    assert report.held
    assert report.violations == []
