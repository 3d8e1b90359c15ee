"""Random changes by real tools under reading clients (see ``changes``)."""

from __future__ import annotations

import random

from tests.acceptance.changes import run
from tests.support.peers import Peer, workspace
from tests.support.report import Report


def test_no_reply_shows_a_state_that_never_was_and_every_change_shows_at_once(writing_peer: Peer) -> None:
    report = Report()
    with workspace(writing_peer) as store:
        run(report, store, random.Random(20), changes=20, readers=4)
    assert report.held
    assert report.violations == []
