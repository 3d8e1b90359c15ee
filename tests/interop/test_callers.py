"""What RamaLama, Ansible, toolbox, distrobox and cleaners ask of podman, storagectl answers alike (see ``callers``)."""

from __future__ import annotations

import pytest

from tests.acceptance.callers import compare
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.timeout(300)
def test_callers_see_no_difference(writing_peer: Peer) -> None:
    report = Report()
    compare(report, writing_peer, driver="overlay", seed=7)
    assert report.held > 150
    assert report.violations == []
