"""The lock-free load beside real writers (see ``loads``)."""

from __future__ import annotations

from .loads import load_beside
from .peers import Peer
from .report import Report


def test_no_load_is_mid_transaction_beside_real_tools(writing_peer: Peer) -> None:
    report = Report()
    load_beside(report, writing_peer, seed=0, loads=2_000)
    assert report.held
    assert report.violations == []
