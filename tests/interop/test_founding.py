"""The founding scenario, written by real tools (see ``founding``)."""

from __future__ import annotations

import pytest

from tests.acceptance.founding import play
from tests.support.peers import Peer, workspace
from tests.support.report import Report


@pytest.mark.parametrize("driver", ["vfs", "overlay"])
@pytest.mark.parametrize("tool", ["podman", "buildah"])
def test_each_step_of_the_founding_scenario_shows_in_the_next_read(writing_peer: Peer, tool: str, driver: str) -> None:
    report = Report()
    with workspace(writing_peer, driver=driver) as store:
        play(report, store, tool)
    assert report.held
    assert report.violations == []
