"""``image prune``: the question, the plan on a screen, what is printed."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import exits, removal_plan
from storaged_client.cli.main import main

from .answerer import Answerer
from .facts import APP, BASE, LIST, report, unremoved

DANGLING = "WARNING! This command removes all dangling images.\nAre you sure you want to continue? [y/N] "
UNUSED = (
    "WARNING! This command removes all images without at least one container associated with them.\n"
    "Are you sure you want to continue? [y/N] "
)
PLANNED = report(
    removed=[
        {
            "id": APP,
            "names": [],
            "freed": 1241247,
            "reasons": [{"code": "dangling", "detail": "no name, no child, in no list", "image": None}],
            "containers": [],
        },
        {
            "id": BASE,
            "names": ["localhost/base:1", "localhost/base:2"],
            "freed": None,
            "reasons": [{"code": "ancestor", "detail": "its last child goes", "image": APP}],
            "containers": ["c" * 64],
        },
    ],
    kept=[
        {
            "id": LIST,
            "names": [],
            "reasons": [{"code": "container", "detail": f"container {n} uses it"} for n in range(5)],
        }
    ],
    freed=1241247,
    plan="p-1",
)


@pytest.fixture
def daemon(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    answers = {"images.prune": lambda params: PLANNED if params.get("dry_run") else report(removed=PLANNED["removed"])}
    with Answerer(short_dir / "s", answers) as answerer:
        monkeypatch.setenv("STORAGED_SOCKET", str(answerer.path))
        yield answerer


def answering(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


@pytest.mark.parametrize("text", [b"y\n", b"Y\n", b"yes\n", b"yikes\n"])
def test_a_word_with_y_removes(
    text: bytes, daemon: Answerer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(text, monkeypatch)
    assert main(["image", "prune"]) == exits.DONE
    assert daemon.requests == [("images.prune", {})]
    assert capsys.readouterr() == (f"{DANGLING}{APP}\n{BASE}\n", "")


@pytest.mark.parametrize("text", [b"\n", b"n\n", b" y\n", b"oy\n", b"\xff\n"])
def test_any_other_word_removes_nothing(
    text: bytes, daemon: Answerer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(text, monkeypatch)
    assert main(["prune", "-a"]) == exits.DONE
    assert daemon.requests == []
    assert capsys.readouterr() == (UNUSED, "")


@pytest.mark.parametrize("text", [b"", b"y"])
def test_an_input_that_ends_before_its_line_is_no_answer(
    text: bytes, daemon: Answerer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(text, monkeypatch)
    assert main(["prune"]) == exits.FAILED
    assert daemon.requests == []
    assert capsys.readouterr() == (DANGLING, "Error: EOF\n")


@pytest.mark.parametrize(
    ("flags", "params"),
    [
        (["-f"], {}),
        (["-af"], {"all": True}),
        (["-f", "--external", "--filter", "label=a", "--filter", "until!=1h"],
         {"external": True, "filters": ["label=a", "until!=1h"]}),
        (["--dry-run"], {"dry_run": True}),
        (["-f", "--plan", "p-1"], {"plan": "p-1"}),
    ],
)  # fmt: skip
def test_flags_become_parameters(flags: list[str], params: Any, daemon: Answerer) -> None:
    assert main(["image", "prune", *flags]) == exits.DONE
    assert daemon.requests == [("images.prune", params)]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["-f", "x"], "`storagectl image prune` takes no arguments"),
        (["-f", "--filter", "x"], "filter input must be in the form of filter=value: x is invalid"),
        (
            ["-f", "--plan", "p", "-a"],
            "a plan says what goes: --plan takes no --all, --dry-run, --external or --filter",
        ),
        (
            ["-f", "--build-cache"],
            "--build-cache is not a flag of storagectl; use: podman image prune -f --build-cache",
        ),
    ],
)
def test_a_wrong_command_line_asks_nothing_and_removes_nothing(
    flags: list[str], text: str, daemon: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "prune", *flags]) == exits.FAILED
    assert daemon.requests == []
    assert capsys.readouterr() == ("", f"Error: {text}\n")


def test_a_dry_run_tells_of_each_image_why_it_goes_or_stays(
    daemon: Answerer, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prune", "--dry-run"]) == exits.DONE
    assert capsys.readouterr().out == (
        f"""\
IMAGE ID      NAMES                              VERDICT     FREED       BECAUSE
{APP[:12]}  <none>                             goes        1.24 MB     no name, no child, in no list
{BASE[:12]}  localhost/base:1,localhost/base:2  goes        -           \
its last child goes; with its containers cccccccccccc
{LIST[:12]}  <none>                             stays       -           \
container 0 uses it; container 1 uses it; container 2 uses it; and 2 more
would remove 2 of 3 images and free 1.24 MB
to remove what goes here and nothing else: storagectl image prune --plan p-1
"""
    )


def test_a_quiet_dry_run_prints_the_ids_that_would_go(daemon: Answerer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-q", "prune", "--dry-run"]) == exits.DONE
    assert capsys.readouterr().out == f"{APP}\n{BASE}\n"


def test_on_a_screen_the_rows_are_cut_to_it_and_painted_by_their_verdict() -> None:
    text = removal_plan.fitted(removal_plan.render(PLANNED), 60)
    head, first, *_, stays, total, hint, end = text.split("\n")
    assert "\x1b" not in head + total + hint + end
    assert first.startswith("\x1b[33m")
    assert stays.startswith("\x1b[32m")
    assert stays.endswith("…\x1b[0m")
    assert len(stays) == 60 + len("\x1b[32m\x1b[0m")
    assert hint.endswith("--plan p-1")


def test_nothing_to_consider_is_one_line() -> None:
    assert removal_plan.render(report()) == "would remove 0 of 0 images and free 0 B\n"


def test_an_unknown_amount_is_not_called_nothing() -> None:
    assert "free an amount still unknown" in removal_plan.render(report(freed=None))


def test_a_failure_leaves_the_list_of_what_went(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = {"id": LIST, "names": [], "reasons": [{"code": "named", "detail": "it is called localhost/x:1 now"}]}
    answer = report(removed=PLANNED["removed"], changed=[kept], failed=[unremoved("ImageInUse", 2001, "in use")])
    with Answerer(short_dir / "s", {"images.prune": lambda _: answer}):
        assert main(["prune", "-f", "--socket", str(short_dir / "s")]) == exits.FAILED
    assert capsys.readouterr() == (
        f"{APP}\n{BASE}\n",
        f"storagectl: {LIST[:12]} was kept: it is called localhost/x:1 now\nError: in use\n",
    )


def in_a_terminal(stream: str, path: Path, *argv: str) -> tuple[int, bytes]:
    """The exit status, and what a terminal behind ``stdout`` or ``stderr`` got."""
    leader, follower = pty.openpty()
    code = "import sys; from storaged_client.cli.main import main; sys.exit(main())"
    streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: follower}
    process = subprocess.Popen(
        [sys.executable, "-c", code, *argv, "--socket", str(path)],
        env={**os.environ, "TERM": "xterm", "NO_COLOR": "", "COLUMNS": "80"},
        **streams,
    )
    os.close(follower)
    shown = b""
    try:
        while data := os.read(leader, 65536):
            shown += data
    except OSError:
        pass  # what Linux says when the last writer has closed a terminal
    os.close(leader)
    return process.wait(20), shown


def test_on_a_terminal_the_plan_is_coloured(daemon: Answerer) -> None:
    status, shown = in_a_terminal("stdout", daemon.path, "prune", "--dry-run")
    assert status == exits.DONE
    assert b"\x1b[33m" in shown
    assert b"would remove 2 of 3 images" in shown


def test_on_a_terminal_a_long_deletion_shows_how_far_it_is_and_clears_the_line(daemon: Answerer) -> None:
    daemon.progress = [
        {"done": done, "total": 340, "unit": "files", "message": "deleting\x1b[2J"} for done in (12, 300)
    ]
    status, shown = in_a_terminal("stderr", daemon.path, "prune", "-f")
    assert status == exits.DONE
    assert b"\r\x1b[Kdeleting\\x1b[2J 300 of 340 files" in shown
    assert shown.endswith(b"\r\x1b[K")


def test_in_a_pipe_no_progress_is_asked_for(daemon: Answerer, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.progress = [{"done": 1, "total": 2, "unit": "files", "message": ""}]
    assert main(["prune", "-f"]) == exits.DONE
    assert daemon.requests == [("images.prune", {})]
    assert capsys.readouterr().err == ""
