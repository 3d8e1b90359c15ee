"""The comparison of podman's command lines finds a difference (see ``tests.acceptance.command_lines``)."""

from __future__ import annotations

import pytest

from tests.acceptance.command_line_scenes import SCENES, line
from tests.acceptance.command_lines import twins
from tests.support.peers import Peer


def test_every_difference_on_purpose_has_a_reason() -> None:
    told = [asked for lines in SCENES.values() for asked in lines if asked.ours is not None]
    assert told
    assert [asked.argv for asked in told if not asked.why] == []


@pytest.mark.timeout(120)
def test_stores_that_differ_before_a_line_differ_after_it(podman_58: Peer) -> None:
    with twins(podman_58) as both:
        both.ours.podman("tag", "a:1", "elsewhere:1")
        assert both.compare(line("tag a:1 x")) != []
