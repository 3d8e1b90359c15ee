"""Short names come from the files that podman reads (see ``configured``)."""

from __future__ import annotations

from tests.support.peers import Peer
from tests.support.report import Report

from . import configured


def test_short_names_come_from_the_files_podman_reads(writing_peer: Peer) -> None:
    report = Report()
    configured.compare(report, writing_peer)
    assert report.violations == []
    assert report.held
