"""Removals on a full file system (see ``full_disk``)."""

from __future__ import annotations

import pytest

from tests.acceptance.full_disk import baseline, remove_all
from tests.support.peers import Peer
from tests.support.report import Report


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("kind", "driver"), [("bytes", "overlay"), ("inodes", "overlay"), ("bytes", "vfs")])
def test_removals_work_with_nothing_free_and_leave_a_whole_reserve(podman_58: Peer, kind: str, driver: str) -> None:
    report = Report()
    remove_all(report, podman_58, kind, driver=driver, count=15, seed=1)
    assert report.held > 45
    assert report.violations == []


@pytest.mark.timeout(120)
def test_podman_is_tried_on_the_same_full_disk(podman_58: Peer, capsys: pytest.CaptureFixture[str]) -> None:
    baseline(Report(), podman_58, "bytes", seed=1)
    assert "podman rmi removed" in capsys.readouterr().out
