"""The lock-free load beside real writers (see ``loads``)."""

from __future__ import annotations

from tests.acceptance.loads import load_beside
from tests.support.peers import Peer
from tests.support.report import Report


def test_no_load_is_mid_transaction_beside_real_tools(writing_peer: Peer) -> None:
    report = Report()
    load_beside(report, writing_peer, seed=0, loads=2_000)
    assert report.held
    assert report.violations == []
