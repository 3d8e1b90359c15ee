"""What writers lose that break a rule is found (see ``tests.acceptance.lost_updates``)."""

from __future__ import annotations

import pytest

from tests.acceptance import lost_updates
from tests.acceptance.racing_writers import Unlocked
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.timeout(180)
@pytest.mark.parametrize("broken", ["no-token", "no-check"])
def test_what_a_daemon_loses_that_breaks_a_rule_of_writers_is_found(podman_58: Peer, broken: str) -> None:
    report = Report()
    program = ("tests.acceptance.broken_writer", broken)
    lost_updates.run(report, podman_58, "vfs", seed=62, operations=40, program=program)
    assert any("names lost" in violation for violation in report.violations)


@pytest.mark.timeout(180)
def test_what_a_rival_loses_that_writes_without_the_lock_is_found(podman_58: Peer) -> None:
    report = Report()
    with lost_updates.race(podman_58, "vfs", seed=63, operations=40) as scene:
        rival = Unlocked(store=scene.store, image=scene.pool.tagged)
        scene.start(report, scene.writers, {"unlocked": rival})
        scene.check(report)
    assert any("names lost" in violation for violation in report.violations)
