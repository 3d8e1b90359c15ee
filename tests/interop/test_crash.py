"""Stores as a crash leaves them, opened by podman (see ``crash``)."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from tests.acceptance.crash import open_all, states
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Each of the hundreds of failures is logged by what fails."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_podman_opens_what_a_crash_leaves_and_what_recovery_makes_of_it(writing_peer: Peer, driver: str) -> None:
    report = Report()
    open_all(report, writing_peer, driver, list(states(driver, seed=1, most=6)))
    assert report.held > 12
    assert report.violations == []
