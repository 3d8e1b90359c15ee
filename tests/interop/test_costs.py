"""A question costs the same in a larger store (see ``costs``). Times are printed and not judged here."""

from __future__ import annotations

import pytest

from tests.acceptance.costs import count_instructions, count_system_calls
from tests.support.report import Report


@pytest.mark.usefixtures("valgrind")
def test_a_question_takes_no_more_instructions_in_a_larger_store() -> None:
    report = Report(timed=False)
    count_instructions(report, 60)
    assert report.held
    assert report.violations == []


@pytest.mark.usefixtures("strace")
def test_a_request_makes_no_more_system_calls_in_a_larger_store_and_takes_no_lock() -> None:
    report = Report(timed=False)
    count_system_calls(report, 60, seed=0, rounds=3)
    assert report.held
    assert report.violations == []
