"""Filters choose the images that podman 5.8 chooses, in its order, with its names (see ``filters``)."""

from __future__ import annotations

import pytest

from tests.acceptance.filters import compare
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_filters_choose_what_podman_chooses(podman_58: Peer, seed: int) -> None:
    report = Report()
    compare(report, podman_58, seed=seed, asked=150, commands=6)
    assert report.violations == []
    assert report.held > 150
