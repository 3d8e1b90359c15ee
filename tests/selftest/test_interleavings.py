"""Prune, remove and plans with another tool stepping in between (see ``interleavings``), at a small scale."""

from __future__ import annotations

import pytest
from blockbuster import BlockBuster

from tests.acceptance.interleavings.__main__ import found_out, run
from tests.acceptance.interleavings.mistakes import Mistake
from tests.acceptance.interleavings.stage import POINTS
from tests.support.report import Report


@pytest.fixture(autouse=True)
def on_the_loop_too(blocking_calls_fail: BlockBuster) -> None:
    """The other tool works in whatever thread of the daemon stands at a point."""
    blocking_calls_fail.deactivate()


@pytest.mark.parametrize("seed", [11, 12])
def test_nothing_protected_at_the_instant_of_the_commit_goes_and_reports_are_true(seed: int) -> None:
    report = Report()
    seen = run(report, seed=seed, requests=100)
    assert report.violations == []
    assert report.held == seen["requests"] >= 100
    assert seen["images removed"] > 20
    assert [point for point in POINTS if not any(what.startswith(f"{point}: ") for what in seen)] == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mistake", ["stamp", "evidence", "leases", "plan"])
def test_a_daemon_that_leaves_out_one_look_is_found_out(mistake: Mistake) -> None:
    assert found_out(mistake, seed=21) is not None
