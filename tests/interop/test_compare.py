"""The answers of all programs agree before they are timed, and the page says so (see ``tests.bench.compare``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.compare import commands, document, questions
from tests.bench.compare.figures import SERVICE, STORAGECTL, STORAGED, Figures
from tests.bench.compare.listing import ALL, DANGLING
from tests.bench.compare.required import verdicts
from tests.bench.compare.stage import Run
from tests.support.peers import Peer
from tests.support.report import Report

SCALE = 0.05


@pytest.fixture
def run(podman_58: Peer) -> Run:
    return Run(report=Report(timed=False), figures=Figures(), scale=SCALE, seed=3, podman=podman_58)


def test_podmans_service_and_commands_answer_what_storaged_answers(run: Run, tmp_path: Path) -> None:
    questions.measure(run)
    commands.measure(run)
    assert run.report.violations == []
    assert run.report.held > 10
    place = ("realistic", run.size(800))
    for case in (ALL, DANGLING, questions.EXISTS, questions.USAGE, questions.TAG):
        assert run.figures.ratio(case, place, slow=SERVICE, fast=STORAGED)
    assert run.figures.median(commands.IMAGES, place, STORAGECTL)
    judged = verdicts(run.figures, {size: run.size(size) for size in (100, 200, 400, 800)})
    about = {"command": "", "claims": "", "versions": "", "size": ""}
    page = document.write(tmp_path, run.figures, judged, about, seconds=1, seed=3)
    assert {picture.stem for picture in (tmp_path / "benchmarks").iterdir()} == {"ratios", "commands"}
    assert "### store.usage" in page.read_text()
