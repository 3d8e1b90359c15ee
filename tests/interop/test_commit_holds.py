"""Every kind of change is one commit, alone and beside a writer (see ``commit_holds``). Times are not judged here."""

from __future__ import annotations

import pytest

from tests.acceptance.commit_holds import hold, lay
from tests.support.peers import Peer, workspace
from tests.support.report import Report


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_every_change_is_one_commit_and_gets_its_turn_beside_a_busy_writer(backend: str) -> None:
    report = Report(timed=False)
    with workspace(Peer(name="sample", version=""), driver="overlay") as store:
        hold(report, store, lay(store, 0.01, seed=2), rounds=2, backend=backend)
    assert report.held
    assert report.violations == []
