"""podman and we prune the same images, and an image costs the same among many (see ``prune_speed``).

Times are printed and not judged here.
"""

from __future__ import annotations

import pytest

from tests.acceptance.prune_speed import FORMS, Form, alone, beside_podman
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.usefixtures("strace")
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.shape)
def test_podman_and_we_prune_the_same(podman_58: Peer, form: Form) -> None:
    report = Report(timed=False)
    beside_podman(report, podman_58, form, sizes=(5, 10), seed=3, driver="overlay")
    assert report.held
    assert report.violations == []


@pytest.mark.usefixtures("strace")
def test_an_image_takes_no_more_system_calls_among_many() -> None:
    report = Report(timed=False)
    alone(report, FORMS[1], few=20, many=60, seed=3, driver="vfs")
    assert report.held
    assert report.violations == []
