"""``storaged demo`` runs the whole scenario and reports a wrong answer."""

from __future__ import annotations

import pytest

from storaged import cmd_demo

STEPS = (
    "Create an image without a name",
    "Create a manifest list that names it",
    "Prune all dangling images",
    "Delete the list's manifest",
    "Remove the list",
    "Make a plan",
    "Remove the name, and prune",
    "Check the store",
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
    assert "Every answer was right" not in shown
