"""Colour is for terminals: a real one, by util-linux ``script``, and a pipe beside it."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storaged_client.cli import check, why
from tests.support.server import Server
from tests.support.terminals import open_terminal

from .facts import APP

STATE = {"generation": "g", "stale": None}
LAYER = {"id": APP, "parent": None, "size": 5, "images": [], "containers": [], "siblings": False, "depth": 1}
TREE = {"id": APP, "names": ["localhost/app:1"], "size": 5, "top_layer": APP, "layers": [LAYER], "damage": None}
USAGE: dict[str, Any] = {
    **{"images": [], "containers": [], "volumes": [], "images_size": 9, "images_reclaimable": 3},
    **{"containers_size": 0, "volumes_size": 0, "sizes_pending": 0},
}
FINDING = {
    **{"name": "LayerWithoutRecord", "severity": "damage", "endangers": "one image", "kind": "layer", "id": APP},
    **{"detail": "no record", "file": None, "images": [], "mend": "podman system check", "store": None},
}
CHECK = {"findings": [FINDING], "unsettled": [], "done": 1, "total": 1, "resume": None}
REASON = {"code": "named", "detail": "localhost/app:1", "file": None, "command": "podman untag localhost/app:2"}
WHY = {"id": APP, "dangling": False, "intermediate": False, "prunable": False, "removable": True, "reasons": [REASON]}

COMMANDS = ["tree app", "df", "why app", "check"]


@pytest.fixture
def environment(short_dir: Path) -> Iterator[dict[str, str]]:
    answers = {"images.tree": TREE, "store.usage": USAGE, "store.check": CHECK, "images.why": WHY}
    with Server(short_dir / "s", {name: lambda _, it=it: {**STATE, **it} for name, it in answers.items()}):
        yield {"PATH": os.environ["PATH"], "STORAGED_SOCKET": str(short_dir / "s"), "TERM": "xterm-256color"}


def _argv(command: str) -> list[str]:
    code = "import sys; from storaged_client.cli.main import main; sys.exit(main())"
    return [sys.executable, "-c", code, *command.split()]


def _on_a_terminal(command: str, environment: dict[str, str]) -> str:
    if shutil.which("script") is None:
        pytest.skip("no script (util-linux) on this machine")
    for end in open_terminal():  # there can be one
        os.close(end)
    argv = ["script", "-qec", shlex.join(_argv(command)), "/dev/null"]
    done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    return done.stdout


def _painted(shown: str) -> bool:
    # What check writes over its own progress is no colour.
    return "\x1b[" in shown.replace("\x1b[K", "")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_terminal_is_painted(command: str, environment: dict[str, str]) -> None:
    assert _painted(_on_a_terminal(command, environment))


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("against", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_that_wants_none_gets_none(
    command: str, against: dict[str, str], environment: dict[str, str]
) -> None:
    shown = _on_a_terminal(command, {**environment, **against})
    assert shown
    assert not _painted(shown)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_gets_none(command: str, environment: dict[str, str]) -> None:
    done = subprocess.run(_argv(command), env=environment, capture_output=True, text=True, check=False)
    assert done.stdout
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("flag", [["--color=always"], []])
@pytest.mark.parametrize("command", COMMANDS)
def test_a_pipe_that_is_to_be_painted_is(command: str, flag: list[str], environment: dict[str, str]) -> None:
    forced = environment if flag else {**environment, "FORCE_COLOR": "1"}
    done = subprocess.run([*_argv(command), *flag], env=forced, capture_output=True, text=True, check=False)
    assert _painted(done.stdout)


@pytest.mark.parametrize("flag", [["--color", "never"], ["--color=never"]])
def test_the_flag_counts_before_the_environment(flag: list[str], environment: dict[str, str]) -> None:
    forced = {**environment, "FORCE_COLOR": "1"}
    done = subprocess.run([*_argv("why app"), *flag], env=forced, capture_output=True, text=True, check=False)
    assert done.stdout
    assert not _painted(done.stdout)
    refused = {**environment, "NO_COLOR": "1"}
    argv = [*_argv("--color=always why app")]
    done = subprocess.run(argv, env=refused, capture_output=True, text=True, check=False)
    assert _painted(done.stdout)


def test_no_color_counts_before_force_color(environment: dict[str, str]) -> None:
    both = {**environment, "NO_COLOR": "1", "FORCE_COLOR": "1"}
    assert not _painted(_on_a_terminal("why app", both))


@pytest.mark.parametrize("command", ["tree app", "df", "why app", "check"])
def test_json_is_never_painted(command: str, environment: dict[str, str]) -> None:
    assert not _painted(_on_a_terminal(f"{command} --format json", environment))


def test_paint_changes_no_text() -> None:
    def plain(text: str) -> str:
        for code in ("0", "1", "2", "31", "32", "33", "36"):
            text = text.replace(f"\x1b[{code}m", "")
        return text

    for text, painted in (
        (shown := why.render("app", WHY), why.paint(shown)),  # type: ignore[arg-type]
        (shown := check.render({**CHECK, "scope": "files"}), check.paint(shown)),
    ):
        assert plain(painted) == text != painted
