"""The same lines, the same answers: podman 4.3 and 5.8 and storagectl on twin stores."""

from __future__ import annotations

import pytest

from tests.acceptance.command_line_scenes import SCENES, line
from tests.acceptance.command_lines import play, twins
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scene", SCENES)
def test_podmans_lines_are_answered_alike_and_leave_the_same_store(writing_peer: Peer, scene: str) -> None:
    report = Report(timed=False)
    play(report, writing_peer, "vfs", scene)
    assert report.finish() == 0


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scene", ["removals", "prunes", "families"])
def test_on_overlay_as_on_vfs(podman_58: Peer, scene: str) -> None:
    report = Report(timed=False)
    play(report, podman_58, "overlay", scene)
    assert report.finish() == 0


def test_every_difference_on_purpose_has_a_reason() -> None:
    told = [asked for lines in SCENES.values() for asked in lines if asked.ours is not None]
    assert told
    assert [asked.argv for asked in told if not asked.why] == []


@pytest.mark.timeout(120)
def test_stores_that_differ_before_a_line_differ_after_it(podman_58: Peer) -> None:
    with twins(podman_58) as both:
        both.ours.podman("tag", "a:1", "elsewhere:1")
        assert both.compare(line("tag a:1 x")) != []
