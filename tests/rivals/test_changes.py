"""Random changes by real tools under reading clients (see ``changes``)."""

from __future__ import annotations

import random

from .changes import run
from .peers import Peer, workspace
from .report import Report


def test_no_reply_shows_a_state_that_never_was_and_every_change_shows_at_once(writing_peer: Peer) -> None:
    report = Report()
    with workspace(writing_peer) as store:
        run(report, store, random.Random(20), changes=20, readers=4)
    assert report.held
    assert report.violations == []
