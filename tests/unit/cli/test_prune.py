"""``image prune``: the question, the plan on a screen, what is printed."""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import exits, removal_plan
from storaged_client.cli.main import main
from storaged_client.contract.errors import InvalidParams, PlanStale
from tests.support.server import Refusal, Server
from tests.support.terminals import open_terminal

from .facts import APP, BASE, LIST, info, report, unremoved

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
    with Server(short_dir / "s", answers) as server:
        monkeypatch.setenv("STORAGED_SOCKET", server.path)
        yield server


def answering(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(text)))


@pytest.mark.parametrize("text", [b"y\n", b"Y\n", b"yes\n", b"yikes\n"])
def test_a_word_with_y_removes(
    text: bytes, daemon: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(text, monkeypatch)
    assert main(["image", "prune"]) == exits.DONE
    assert daemon.requests == [("images.prune", {})]
    assert capsys.readouterr() == (f"{DANGLING}{APP}\n{BASE}\n", "")


@pytest.mark.parametrize("text", [b"\n", b"n\n", b" y\n", b"oy\n", b"\xff\n"])
def test_any_other_word_removes_nothing(
    text: bytes, daemon: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(text, monkeypatch)
    assert main(["prune", "-a"]) == exits.DONE
    assert daemon.requests == []
    assert capsys.readouterr() == (UNUSED, "")


@pytest.mark.parametrize("text", [b"", b"y"])
def test_an_input_that_ends_before_its_line_is_no_answer(
    text: bytes, daemon: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
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
        (["-f", "--filter", "unique-size>1GB"], {"filters": ["unique-size>1GB"]}),
        (["--dry-run"], {"dry_run": True}),
        (["-f", "--plan", "p-1"], {"plan": "p-1"}),
    ],
)  # fmt: skip
def test_flags_become_parameters(flags: list[str], params: Any, daemon: Server) -> None:
    assert main(["image", "prune", *flags]) == exits.DONE
    assert daemon.requests == [("images.prune", params)]


@pytest.mark.parametrize(
    ("flags", "text"),
    [
        (["-f", "x"], "`storagectl image prune` takes no arguments"),
        (["-f", "--filter", "x"], "filter input must be in the form of filter=value: x is invalid"),
        (
            ["-f", "--plan", "p", "-a"],
            "the plan decides what is removed: --plan takes no --all, --external or --filter",
        ),
        (["-f", "--kept"], "--kept only applies to the table of a dry run: add --dry-run"),
        (["-f", "--no-trunc"], "--no-trunc only applies to the table of a dry run: add --dry-run"),
        (["-fn"], "--noheading only applies to the table of a dry run: add --dry-run"),
        (
            ["-f", "--build-cache"],
            "--build-cache is not a flag of storagectl; use: podman image prune -f --build-cache",
        ),
    ],
)
def test_a_wrong_command_line_asks_nothing_and_removes_nothing(
    flags: list[str], text: str, daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "prune", *flags]) == exits.FAILED
    assert daemon.requests == []
    assert capsys.readouterr() == ("", f"Error: {text}\n")


TOTAL = """
would remove 2 of 3 images and free 1.24 MB
to remove exactly these images:
  storagectl image prune --plan p-1
"""


def test_a_dry_run_tells_of_each_image_why_it_goes_and_sums_up_why_others_stay(
    daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prune", "--dry-run"]) == exits.DONE
    stays = "what stays, and why (--kept lists each)\n  1  a container uses it\n"
    shown = capsys.readouterr().out
    assert [line.split("  ")[0] for line in shown.splitlines()[:3]] == ["IMAGE ID", APP[:12], BASE[:12]]
    assert shown.endswith(f"\n{stays}{TOTAL}")


def test_kept_lists_each_image_that_stays(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["prune", "--dry-run", "--kept"]) == exits.DONE
    shown = capsys.readouterr().out
    reasons = "container 0 uses it; container 1 uses it; container 2 uses it; and 2 more"
    assert shown.endswith(f"\nIMAGE ID      STAYS BECAUSE\n{LIST[:12]}  {reasons}\n{TOTAL}")


def kept(*codes: str) -> Any:
    return {"id": LIST, "names": [], "reasons": [{"code": code, "detail": code} for code in codes]}


def test_thousands_that_stay_are_a_line_for_each_set_of_reasons_the_most_first() -> None:
    staying = [kept("container", "named"), *[kept("named")] * 3996, kept("a newer one"), kept("named", "container")]
    text = removal_plan.render(report(kept=staying), each=False)
    assert text == (
        """\
what stays, and why (--kept lists each)
  3,996  has a name
      1  a container uses it, has a name
      1  a newer one
      1  has a name, a container uses it

would remove none of 3,999 images
"""
    )


def test_no_plan_is_offered_for_nothing(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Server(short_dir / "s", {"images.prune": lambda _: report(kept=[kept("named")], plan="p-2")}):
        assert main(["image", "prune", "--dry-run", "--socket", str(short_dir / "s")]) == exits.DONE
    shown = capsys.readouterr().out
    assert "would remove none of 1 image\n" in shown
    assert "p-2" not in shown


def test_a_plan_is_offered_by_the_command_that_reaches_the_same_daemon(
    daemon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["image", "prune", "--dry-run", "--socket", daemon.path]) == exits.DONE
    path = shlex.quote(daemon.path)
    assert capsys.readouterr().out.endswith(f"\n  storagectl --socket {path} image prune --plan p-1\n")


LONG = [f"registry.example.com/{'x' * 120}/group/app:1", "localhost/b:2"]


def on_80_columns(**members: Any) -> list[str]:
    going = {**PLANNED["removed"][0], **members}
    return removal_plan.render(report(removed=[going], freed=7, plan="p" * 24), width=80).splitlines()


def test_on_80_columns_names_are_shortened_first_to_what_tells_most_and_the_reason_stays_whole() -> None:
    head, row, *_ = lines = on_80_columns(names=LONG)
    assert max(map(len, lines)) <= 80
    assert head.split() == ["IMAGE", "ID", "FREED", "GOES", "BECAUSE", "NAMES"]
    assert "no name, no child, in no list" in row
    assert row.endswith("/group/app:1 +1")
    assert "…" in row


def test_a_reason_that_is_too_long_for_80_columns_beside_short_names_is_cut() -> None:
    reasons = [{"code": "unused", "detail": "r" * 200, "image": None}]
    assert all(len(line) <= 80 for line in on_80_columns(names=LONG, reasons=reasons))
    assert all(len(line) <= 80 for line in on_80_columns(names=[], reasons=reasons))


def test_whatever_has_no_names_has_no_column_of_names() -> None:
    assert on_80_columns()[0] == "IMAGE ID      FREED       GOES BECAUSE"


def test_a_quiet_dry_run_prints_the_ids_that_would_go(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["-q", "prune", "--dry-run"]) == exits.DONE
    assert capsys.readouterr().out == f"{APP}\n{BASE}\n"


def test_rows_are_painted_by_their_verdict_and_nothing_else_is() -> None:
    text = removal_plan.render(PLANNED, colour=True)
    head, first, second, _, title, stays, *rest = text.split("\n")
    assert "\x1b" not in "".join((head, title, *rest))
    assert first.startswith("\x1b[33m")
    assert second.startswith("\x1b[33m")
    assert stays.startswith("\x1b[32m")


def test_nothing_to_consider_is_one_line() -> None:
    assert removal_plan.render(report()) == "would remove nothing: no image was considered\n"


def test_an_unknown_amount_is_not_called_nothing() -> None:
    assert "free an unknown amount" in removal_plan.render(report(removed=PLANNED["removed"], freed=None))


def test_a_plan_is_looked_at_before_anything_is_asked(
    daemon: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(b"y\n", monkeypatch)
    assert main(["image", "prune", "--plan", "p-1"]) == exits.DONE
    assert daemon.requests == [
        ("images.prune", {"plan": "p-1", "dry_run": True}),
        ("images.prune", {"plan": "p-1"}),
    ]
    question = "WARNING! This command removes 2 images and frees 1.24 MB, as planned.\nAre you sure"
    assert capsys.readouterr().out.startswith(question)


def failing(name: str, code: int) -> Any:
    def fail(params: Any) -> Any:
        raise Refusal(code, name, "this plan is not kept")

    return fail


def test_a_plan_that_is_not_kept_is_said_before_anything_is_asked(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(b"y\n", monkeypatch)
    with Server(short_dir / "s", {"images.prune": failing("PlanStale", PlanStale.code)}) as daemon:
        assert main(["image", "prune", "--plan", "bogus", "--socket", daemon.path]) == PlanStale.exit_status
    assert daemon.requests == [("images.prune", {"plan": "bogus", "dry_run": True})]
    assert capsys.readouterr() == ("", "Error: this plan is not kept\n")


def test_a_plan_of_which_nothing_is_left_asks_nothing(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(b"y\n", monkeypatch)
    answer = report(changed=[{**kept("named"), "reasons": [{"code": "named", "detail": "it is called x"}]}], plan="p")
    with Server(short_dir / "s", {"images.prune": lambda _: answer}) as daemon:
        assert main(["image", "prune", "--plan", "p", "--socket", daemon.path]) == exits.DONE
    assert len(daemon.requests) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        f"storagectl: {LIST[:12]} was kept: it is called x\nstoragectl: nothing in this plan can be removed any more\n"
    )


def test_a_daemon_that_cannot_look_at_a_plan_is_asked_to_carry_it_out(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(b"y\n", monkeypatch)
    refuse = failing("InvalidParams", InvalidParams.code)
    answers = {
        "images.prune": lambda params: refuse(params) if params.get("dry_run") else report(),
        "server.info": lambda _: info(),
    }
    with Server(short_dir / "s", answers) as daemon:
        assert main(["image", "prune", "--plan", "p", "--socket", daemon.path]) == exits.DONE
    assert daemon.requests[-1] == ("images.prune", {"plan": "p"})
    assert capsys.readouterr().out.startswith("WARNING! This command removes the images, as planned.\n")


def test_a_failure_leaves_the_list_of_what_went(short_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = {"id": LIST, "names": [], "reasons": [{"code": "named", "detail": "it is called localhost/x:1 now"}]}
    answer = report(removed=PLANNED["removed"], changed=[kept], failed=[unremoved("ImageInUse", 2001, "in use")])
    with Server(short_dir / "s", {"images.prune": lambda _: answer}):
        assert main(["prune", "-f", "--socket", str(short_dir / "s")]) == exits.FAILED
    assert capsys.readouterr() == (
        f"{APP}\n{BASE}\n",
        f"storagectl: {LIST[:12]} was kept: it is called localhost/x:1 now\nError: in use\n",
    )


def in_a_terminal(stream: str, path: Path, *argv: str) -> tuple[int, bytes]:
    """The exit status, and what a terminal behind ``stdout`` or ``stderr`` got."""
    leader, follower = open_terminal()
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


def test_on_a_terminal_the_plan_is_coloured(daemon: Server) -> None:
    status, shown = in_a_terminal("stdout", daemon.path, "prune", "--dry-run")
    assert status == exits.DONE
    assert b"\x1b[33m" in shown
    assert b"would remove 2 of 3 images" in shown


def test_on_a_terminal_a_long_deletion_shows_how_far_it_is_and_clears_the_line(daemon: Server) -> None:
    daemon.progress = [
        {"done": done, "total": 340, "unit": "files", "message": "deleting\x1b[2J"} for done in (12, 300)
    ]
    status, shown = in_a_terminal("stderr", daemon.path, "prune", "-f")
    assert status == exits.DONE
    assert b"\r\x1b[Kdeleting\\x1b[2J 300 of 340 files" in shown
    assert shown.endswith(b"\r\x1b[K")


def test_in_a_pipe_no_progress_is_asked_for(daemon: Server, capsys: pytest.CaptureFixture[str]) -> None:
    daemon.progress = [{"done": 1, "total": 2, "unit": "files", "message": ""}]
    assert main(["prune", "-f"]) == exits.DONE
    assert daemon.requests == [("images.prune", {})]
    assert capsys.readouterr().err == ""
