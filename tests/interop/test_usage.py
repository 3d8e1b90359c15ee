"""``df``, ``tree`` and ``history`` are podman's (see ``usage``)."""

from __future__ import annotations

import pytest

from tests.acceptance.usage import compare_generated, compare_real, unrecorded
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_generated_store_takes_the_room_podman_says(podman_58: Peer, seed: int) -> None:
    report = Report()
    compare_generated(report, podman_58, seed=seed, images=20)
    assert report.held
    assert report.violations == []


@pytest.mark.timeout(120)
@pytest.mark.parametrize("driver", ["vfs", "overlay"])
def test_a_store_made_by_real_tools_takes_the_room_podman_says(writing_peer: Peer, driver: str) -> None:
    report = Report()
    compare_real(report, writing_peer, driver=driver, seed=0)
    assert report.held
    assert report.violations == []


@pytest.mark.parametrize("driver", ["vfs", "overlay"])
def test_a_layer_without_a_recorded_size_has_the_size_podman_finds(writing_peer: Peer, driver: str) -> None:
    report = Report()
    unrecorded(report, writing_peer, driver=driver)
    assert report.held
    assert report.violations == []
