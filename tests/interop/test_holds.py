"""Reading beside writers that hold a lock (see ``holds``). Times are printed and not judged here."""

from __future__ import annotations

import pytest

from tests.acceptance.holds import fill, podman_beside_load, read_during_hold, writer_wait
from tests.support.peers import Peer, workspace
from tests.support.report import Report


@pytest.mark.parametrize("kind", ["images", "layers"])
def test_reads_go_on_marked_stale_while_a_writer_holds_a_lock(podman_43: Peer, kind: str) -> None:
    report = Report(timed=False)
    with workspace(podman_43) as store:
        fill(store, 100, seed=0)
        read_during_hold(report, store, kind, reads=200, hold=0.5)
    assert report.held
    assert report.violations == []


def test_a_foreign_writer_takes_every_lock_beside_twenty_readers(podman_43: Peer) -> None:
    report = Report(timed=False)
    with workspace(podman_43) as store:
        fill(store, 100, seed=0)
        writer_wait(report, store, seconds=1.0)
    assert report.held
    assert report.violations == []


def test_podman_lists_images_beside_twenty_readers_of_its_store(podman_43: Peer) -> None:
    report = Report(timed=False)
    podman_beside_load(report, podman_43, images=100, seed=0, rounds=2)
    assert report.violations == []
