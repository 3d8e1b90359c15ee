"""``--help`` and ``help``: what they list is what the commands read, no more and no less."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from storaged_client.cli import commands, exits, help
from storaged_client.cli.flags import ASKING, GLOBAL, OUTPUT, VERSION
from storaged_client.cli.main import main
from tests.support.server import Server

FIRST = list({command.module: command for command in reversed(commands.COMMANDS)}.values())
CLI = Path(help.__file__).parent
FLAG = re.compile(r"^ {2}(?:-\w, | {4})--([a-z-]+)", re.MULTILINE)

HELPERS = ("artifacts", "image_inspect", "list_edits", "removal_plan", "removals")
"""What reads flags on behalf of commands that import it."""


def module_of(command: commands.Command) -> ModuleType:
    return import_module(f"storaged_client.cli.{command.module}")


def shown(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(list(argv)) == exits.DONE
    out, err = capsys.readouterr()
    assert err == ""
    assert max(map(len, out.splitlines())) <= 80
    return out


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.path)
def test_every_command_explains_itself_in_three_ways(
    command: commands.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    words = command.path.split()
    text = shown(capsys, *words, "--help")
    assert text == shown(capsys, "help", *words) == shown(capsys, *words, "-h")
    usage = f"storagectl {command.path} [options] {module_of(command).ARGUMENTS}".rstrip()
    assert f"Usage:\n  {usage}\n" in text
    others = {each.path for each in commands.COMMANDS if each.module == command.module} - {command.path}
    assert set(re.findall(r"^  storagectl (.+)$", text.partition("Aliases:")[2], re.MULTILINE)) == others


def sources(module: ModuleType) -> str:
    """The code that reads a command's flags: its own, and that of the helpers it imports."""
    own = Path(str(module.__file__)).read_text()
    imported = {name for name in HELPERS if re.search(rf"^ *from \. import .*\b{name}\b", own, re.MULTILINE)}
    return own + "".join((CLI / f"{name}.py").read_text() for name in imported)


DECLARED = re.compile(r"Flag\(\s*\"[a-z-]+\"")
READ = re.compile(r"\.(?:on|text|many|given)\(\"([a-z-]+)\"")


@pytest.mark.parametrize("command", FIRST, ids=lambda command: command.path)
def test_help_lists_the_flags_that_the_command_reads_and_no_other(
    command: commands.Command, capsys: pytest.CaptureFixture[str]
) -> None:
    module = module_of(command)
    listed = FLAG.findall(shown(capsys, *command.path.split(), "--help"))
    assert len(listed) == len(set(listed))
    connects = getattr(module, "CONNECTS", True)
    everywhere = [flag.name for flag in GLOBAL if connects or flag.name not in ASKING]
    own = [flag.name for flag in module.FLAGS]
    assert listed == own + [name for name in everywhere if name not in own]
    code = sources(module)
    read = DECLARED.sub("", code)
    for_podman = {flag.name for flag in module.FLAGS if flag.summary.startswith("Accepted for podman's sake")}
    assert {name for name in own if f'"{name}"' not in read} <= for_podman
    mine = Path(str(module.__file__)).read_text()
    refused = {flag.name for kind in ("PODMANS", "IGNORED") for flag in getattr(module, kind, ())}
    assert set(READ.findall(mine)) <= {*own, *(flag.name for flag in GLOBAL), *refused}


@pytest.mark.parametrize("command", FIRST, ids=lambda command: command.path)
def test_a_flag_that_a_command_does_not_read_is_refused_before_and_behind_it(
    command: commands.Command, short_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module = module_of(command)
    taken = {flag.name for flag in (*module.FLAGS, *getattr(module, "PODMANS", ()), *getattr(module, "IGNORED", ()))}
    idle = [flag for flag in OUTPUT if flag.name not in taken]
    if not getattr(module, "CONNECTS", True):
        idle += [flag for flag in GLOBAL if flag.name in ASKING]
    answers: dict[str, Any] = {}
    with Server(short_dir / "s", answers) as daemon:
        for flag in idle:
            given = [f"--{flag.name}", *([] if flag.kind == "bool" else ["x"])]
            for argv in ([*given, *command.path.split()], [*command.path.split(), *given]):
                assert main(argv) == exits.FAILED, argv
                error = f"Error: unknown flag: --{flag.name}\n"
                assert capsys.readouterr().err.startswith(error), argv
        assert daemon.requests == []


def test_the_overview_has_a_place_for_each_command_and_each_flag_of_all(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, "--help")
    assert text == shown(capsys, "help") == shown(capsys, "-h")
    placed = [module for _, modules in help.SECTIONS for module in modules]
    assert len(placed) == len(set(placed))
    assert {command.module for command in commands.COMMANDS} <= set(placed)
    for command in FIRST:
        assert re.search(rf"^  {command.path}  ", text, re.MULTILINE), command.path
    assert sorted(FLAG.findall(text)) == sorted(flag.name for flag in (*GLOBAL, *OUTPUT, VERSION))


@pytest.mark.parametrize("group", commands.GROUPS)
def test_a_group_lists_its_own_commands(group: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, group, "--help")
    assert text == shown(capsys, "help", group)
    inside = [command.path.partition(" ")[2] for command in commands.COMMANDS if command.path.startswith(f"{group} ")]
    assert re.findall(r"^  ([a-z]+)  ", text, re.MULTILINE) == inside


def test_help_of_a_command_with_filters_names_them(capsys: pytest.CaptureFixture[str]) -> None:
    from storaged.operations.filters import SERVED

    for path in ("images", "prune"):
        text = shown(capsys, path, "--help").partition("Filters (")[2].partition("\n\n")[0]
        assert set(re.findall(r"[a-z-]+", text.partition(":\n")[2])) == set(SERVED)
