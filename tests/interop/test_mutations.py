"""Every kind of mutation, and a short random sequence of them (see ``mutations``)."""

from __future__ import annotations

import pytest

from tests.acceptance import mutations
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.timeout(300)
@pytest.mark.parametrize(("driver", "seed"), [("overlay", 40), ("vfs", 43)])
def test_every_tool_takes_the_store_for_its_own_after_each_of_our_changes(
    podman_43: Peer, podman_58: Peer, driver: str, seed: int
) -> None:
    report = Report()
    peers = podman_43, podman_58
    with mutations.stage(report, peers, driver, seed=seed) as scene:
        mutations.kinds(scene, peers, thorough=False)
        mutations.sequence(scene, peers, 10, thorough=False)
    assert report.held
    assert report.violations == []
