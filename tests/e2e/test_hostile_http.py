"""Hostile HTTP does not reach anybody's answer but its own (see ``hostile_http``)."""

from __future__ import annotations

import pytest

from tests.acceptance.hostile_http import attack
from tests.support.daemon import BACKENDS
from tests.support.report import Report


@pytest.mark.parametrize("backend", BACKENDS)
def test_whatever_is_sent_is_answered_or_refused_at_its_place(backend: str) -> None:
    report = Report()
    attack(report, backend=backend, inputs=150, seed=1)
    assert report.held
    assert report.violations == []
