"""podman 5.8's own service and the gateway do the same to the same store (see ``rest_changes``)."""

from __future__ import annotations

import pytest

from tests.acceptance.rest_changes import compare
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.parametrize(("driver", "backend", "seed"), [("vfs", "trio", 0), ("overlay", "asyncio", 1)])
def test_a_store_is_changed_as_podmans_service_changes_it(
    podman_58: Peer, driver: str, backend: str, seed: int
) -> None:
    report = Report()
    compare(report, podman_58, driver=driver, backend=backend, seed=seed, steps=40)
    assert report.held
    assert report.violations == []
