"""The table of commands, and what becomes of a command line, up to the socket."""

from __future__ import annotations

from importlib import import_module

import pytest

from storaged_client.cli import commands, exits
from storaged_client.cli.main import main
from storaged_client.contract import errors
from storaged_client.contract.methods import METHODS


def test_every_method_has_a_command_or_a_reason_to_have_none() -> None:
    called = {method for command in commands.COMMANDS for method in command.methods}
    assert called | set(commands.CALL_ONLY) == set(METHODS)
    assert not called & set(commands.CALL_ONLY)


@pytest.mark.parametrize("command", commands.COMMANDS, ids=lambda command: command.path)
def test_every_command_has_a_module_that_can_run(command: commands.Command) -> None:
    module = import_module(f"storaged_client.cli.{command.module}")
    assert callable(module.run)
    assert isinstance(module.ARGUMENTS, str)
    own = [flag.name for flag in module.FLAGS]
    assert len(own) == len(set(own))


@pytest.mark.parametrize(
    ("argv", "use"),
    [
        (["ps", "-a"], "podman ps -a"),
        (["pull", "docker.io/library/x"], "podman pull docker.io/library/x"),
        (["run", "--rm", "x", "sh", "-c", "a b"], "podman run --rm x sh -c 'a b'"),
        (["image", "sign", "x"], "podman image sign x"),
        (["manifest", "push", "l", "docker://r/l"], "podman manifest push l docker://r/l"),
        (["container", "ls"], "podman container ls"),
    ],
)
def test_another_command_of_podman_is_named(argv: list[str], use: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == exits.FAILED
    assert use in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "text"),
    [
        (["foo"], "Error: unrecognized command `storagectl foo`\nTry 'storagectl --help' for more information\n"),
        (["image", "foo"], "Error: unrecognized command `storagectl image foo`\nTry 'storagectl image --help'"),
        (
            ["imags"],
            "`storagectl imags`\n\nDid you mean this?\n\timages\n\timage\n\timage ls\n\nTry 'storagectl --help'",
        ),
        (["ls"], "\n\timage ls\n\tmanifest ls\n"),
        (["manifest", "anotate", "x"], "\n\tmanifest annotate\n"),
        (["help", "nonsense"], "Error: unrecognized command `storagectl nonsense`"),
        (["help", "images", "nonsense"], "Error: unrecognized command `storagectl images nonsense`"),
        (["help", "ps"], "use: podman ps --help"),
        (["image"], "Error: missing command 'storagectl image COMMAND'"),
        ([], "Error: missing command 'storagectl COMMAND'"),
        (["--rot", "/x", "images"], "Error: unknown flag: --rot"),
        (["images", "--bogus"], "Error: unknown flag: --bogus\nSee 'storagectl images --help'"),
        (["images", "--format", "{{.ID"], "Error: template: images:1:5: unclosed action"),
        (["exists"], "Error: accepts 1 arg(s), received 0"),
        (["inspect"], "Error: no names or ids specified"),
        (["inspect", "--type", "container", "x"], "podman inspect --type container"),
        (["inspect", "--format", "table", "x"], "use --format json"),
        (["call"], "Error: accepts 1 to 2 arg(s), received 0"),
        (["call", "server.info", "3"], "must be a JSON object or array"),
        (["call", "server.info", "{"], "not JSON"),
        (["call", "server.info", '{"a": NaN}'], "not JSON"),
        (["call", "server.info", "[" * 100_000], "not JSON"),
        (["exists", "caf\udce9"], "not valid UTF-8"),
        (["info", "x"], "Error: accepts no arguments, received 1"),
        (["images", "--timeout", "soon"], "not a duration"),
    ],
)
def test_a_wrong_command_line_is_told_without_a_daemon(
    argv: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == exits.FAILED
    out, err = capsys.readouterr()
    assert (out, text in err) == ("", True), err


def test_the_statuses_of_the_contract_are_those_of_the_table() -> None:
    podmans = {1, 2, exits.FAILED}
    known = {exits.UNAVAILABLE, exits.BUSY, exits.FORBIDDEN} | podmans
    assert {cls.exit_status for cls in errors.BY_NAME.values()} <= known
    assert errors.StoreBusy.exit_status == errors.TooManyRequests.exit_status == exits.BUSY
    assert errors.NotPermitted.exit_status == exits.FORBIDDEN
    assert errors.ShuttingDown.exit_status == exits.UNAVAILABLE
    assert exits.status_of(ValueError("no status of its own")) == exits.FAILED
