"""podman 5.8's own service and the gateway say the same of the same store (see ``rest_reads``)."""

from __future__ import annotations

import pytest

from tests.acceptance.rest_reads import compare_generated, compare_real
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_generated_store_is_read_as_podmans_service_reads_it(podman_58: Peer, seed: int) -> None:
    report = Report()
    compare_generated(report, podman_58, size=60, seed=seed)
    assert report.held
    assert report.violations == []


@pytest.mark.parametrize("driver", ["vfs", "overlay"])
def test_a_store_made_by_podman_and_buildah_is_read_as_podmans_service_reads_it(podman_58: Peer, driver: str) -> None:
    report = Report()
    compare_real(report, podman_58, driver=driver, seed=0)
    assert report.held
    assert report.violations == []
