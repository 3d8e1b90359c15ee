"""A name means to storaged what it means to podman (``resolution``), by the files podman reads (``configured``)."""

from __future__ import annotations

import pytest

from tests.acceptance import resolution
from tests.support.peers import Peer
from tests.support.report import Report

from . import configured


@pytest.mark.parametrize("legacy", [False, True])
def test_every_spelling_of_every_name_means_what_podman_takes_it_for(podman_58: Peer, legacy: bool) -> None:
    report = Report()
    excused = resolution.compare(report, podman_58, seed=0, images=40, asked=250, legacy=legacy)
    assert report.violations == []
    assert report.held > 2 * sum(excused.values())


def test_short_names_come_from_the_files_podman_reads(writing_peer: Peer) -> None:
    report = Report()
    configured.compare(report, writing_peer)
    assert report.violations == []
    assert report.held
