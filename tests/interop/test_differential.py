"""podman 5.8 and storaged say the same of the same store (see ``differential``)."""

from __future__ import annotations

import pytest

from storaged.sample import SHAPES
from tests.acceptance.differential import compare_generated, compare_real
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("size", [100, 200, 400, 800])
def test_a_realistic_store_is_listed_as_podman_lists_it(podman_58: Peer, size: int, seed: int) -> None:
    report = Report()
    compare_generated(report, podman_58, size=size, seed=seed, shape="realistic", with_daemon=True)
    assert report.held
    assert report.violations == []


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "realistic"])
def test_the_dangling_set_is_podmans_in_every_shape(podman_58: Peer, shape: str) -> None:
    report = Report()
    compare_generated(report, podman_58, size=100, seed=0, shape=shape, with_daemon=True)
    assert report.held
    assert report.violations == []


@pytest.mark.parametrize("driver", ["vfs", "overlay"])
def test_a_store_made_by_podman_and_buildah_is_listed_as_podman_lists_it(
    writing_peer: Peer, podman_58: Peer, driver: str
) -> None:
    report = Report()
    compare_real(report, writing_peer, podman_58, driver=driver, seed=0)
    assert report.held
    assert report.violations == []
