"""``storaged demo`` plays the whole scenario, and says so when an answer is another."""

from __future__ import annotations

import pytest

from storaged import cmd_demo

STEPS = (
    "An image is made, without a name",
    "A manifest list is made that names it",
    "Everything that dangles is pruned",
    "The list's manifest is lost",
    "The list is removed",
    "A plan is made",
    "prune takes it",
    "The store is whole",
)


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_every_step_is_played_and_proved(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cmd_demo.main(["--images", "40", "--backend", backend]) == 0
    shown, complaints = capsys.readouterr()
    assert complaints == ""
    assert all(step in shown for step in STEPS)
    assert shown.rstrip().endswith("storagectl image prune --dry-run")


def test_another_answer_ends_it_with_status_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cmd_demo, "_dangles", lambda store, image: False)
    assert cmd_demo.main(["--images", "10"]) == 1
    shown, complaints = capsys.readouterr()
    assert "✗ expected: " in complaints
    assert "Every answer was as it must be" not in shown
