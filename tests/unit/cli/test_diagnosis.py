"""What ``storagectl info`` finds wrong, and the command that it names for it."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from storaged_client import systemd_units
from storaged_client.cli import diagnosis, info
from storaged_client.contract.version import VERSION
from tests.support.user_unit import enable

from .facts import APP, LIST, NOW
from .facts import info as facts

SOCKET = "/run/storaged/storaged.sock"
PODMAN = "podman --root /nowhere/storage --runroot /run/containers/storage --storage-driver overlay"
LOCKED = {"age_ms": 1200, "reason": "locked", "lock": "images.lock", "holder": None, "file": None}
FLAW = {"name": "manifest_missing", "detail": "no file", "image": LIST, "file": "/s/m", "command": "podman rmi b6"}


@pytest.fixture(autouse=True)
def its_socket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The one that commands reach without a flag; no unit of this machine takes part."""
    monkeypatch.setenv("STORAGED_SOCKET", SOCKET)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(systemd_units, "_SYSTEM", ())


def told(**members: Any) -> list[str]:
    """The lines below ``Wrong``."""
    return info.render(facts(**members), NOW).partition("\nWrong\n")[2].splitlines()


def test_a_healthy_daemon_has_no_problem() -> None:
    assert diagnosis.problems(facts()) == []
    assert info.render(facts(), NOW).endswith("\nNothing is wrong.\n")


CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "another version": (
        {"version": "0.0.1"},
        [
            f"  the daemon is version 0.0.1, this program {VERSION}",
            f"    to replace it: storaged stop --socket {SOCKET}",
        ],
    ),
    "no store": (
        {"writable": False, "writable_reason": "/nowhere/storage does not exist"},
        [
            "  there is no store yet: /nowhere/storage does not exist",
            f"    to make it: {PODMAN} info",
        ],
    ),
    "a driver that is only read": (
        {"writable": False, "writable_reason": "/s: stores of the driver btrfs are not written to; use podman"},
        [
            "  nothing can be changed here: /s: stores of the driver btrfs are not written to; use podman",
            f"    to change it anyway: {PODMAN} image --help",
        ],
    ),
    "no permission": (
        {"writable": False, "writable_reason": "/nowhere/storage cannot be written"},
        [
            "  nothing can be changed here: /nowhere/storage cannot be written",
            "    to see why: namei -l /nowhere/storage; findmnt -T /nowhere/storage",
        ],
    ),
    "no locks": (
        {"freshness": "file system"},
        [
            "  changes of other tools are noticed by the files' identity alone: "
            "lock files are missing or unreadable, or the file system is remote",
            f"    to see the file system, and create the lock files: findmnt -T /nowhere/storage; {PODMAN} info",
        ],
    ),
    "locked by somebody": (
        {"stale": {**LOCKED, "holder": {"pid": 77, "command": "pod\x1bman", "mode": "write"}}},
        [
            "  showing the state of 1.2 s ago: images.lock is held for writing by pid 77 (pod\\x1bman)",
            "    it resolves itself when the writer is done or the file is valid again",
            "    to see who that is: ps -fp 77",
        ],
    ),
    "locked by nobody known": (
        {"stale": LOCKED},
        [
            "  showing the state of 1.2 s ago: images.lock is held",
            "    it resolves itself when the writer is done or the file is valid again",
            "    to see whether it has: storagectl info",
        ],
    ),
    "a torn table": (
        {"stale": {**LOCKED, "reason": "unreadable", "file": "/s/images.json"}},
        [
            "  showing the state of 1.2 s ago: /s/images.json cannot be read",
            "    it resolves itself when the writer is done or the file is valid again",
            "    to see how to repair it: storagectl check",
        ],
    ),
    "unreadable evidence": (
        {"unreadable_evidence": [FLAW]},
        [
            "  unreadable evidence: until it is gone, no untagged image counts as dangling",
            "  manifest_missing: b61e32bdc307: no file",
            "    file: /s/m",
            "    to repair it: podman rmi b6",
        ],
    ),
    "damage": (
        {"flaws": [{**FLAW, "name": "unknown_layer", "file": None, "command": None, "image": None}]},
        [
            "  unknown_layer: no file",
            "    to see how to repair it: storagectl check",
        ],
    ),
    "half made": (
        {"half_made": [APP]},
        [
            "  incomplete, hidden: f9d7ceee89b7",
            "    a tool is writing them now, or died while writing them",
            "    to look closer if they stay: storagectl check",
        ],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_problem_is_told_with_the_command_to_run_next(case: str) -> None:
    members, lines = CASES[case]
    assert told(**members) == lines
    whole = " ".join(lines)
    for problem in info.podman_form(facts(**members))["problems"]:
        assert problem["text"].replace("\x1b", "\\x1b") in whole
        for command in problem["commands"]:
            assert command in whole
            assert shlex.split(command)


def test_problems_come_together_the_daemons_before_the_stores() -> None:
    everything: dict[str, Any] = {}
    for members, _ in (CASES[name] for name in ("another version", "no permission", "damage")):
        everything |= members
    text = "\n".join(told(**everything))
    assert text.index("version 0.0.1") < text.index("cannot be written") < text.index("unknown_layer")


def test_a_store_that_is_to_be_read_only_is_a_fact_and_no_problem() -> None:
    text = info.render(facts(writable=False, read_only=True, writable_reason="told so"), NOW)
    assert "changes        refused: told so\n" in text
    assert text.endswith("Nothing is wrong.\n")


def test_an_empty_store_without_lock_files_is_no_problem() -> None:
    assert told(freshness="file system", images=0, layers=0, containers=0) == []


def test_a_client_that_got_ahead_of_the_unit_is_told(tmp_path: Path) -> None:
    assert told(started_by="client", socket=SOCKET) == []
    enable(tmp_path / "config", SOCKET)
    assert told(started_by="client", socket=SOCKET) == [
        "  a client started this daemon, though storaged.socket is enabled",
        f"    to let the unit serve: storaged stop --socket {SOCKET} && systemctl --user start storaged.socket",
    ]
    assert told(started_by="systemd", socket=SOCKET) == []


def test_commands_reach_the_same_daemon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STORAGED_SOCKET")
    assert told(half_made=[APP], socket="/tmp/a b/s")[-1] == (
        "    to look closer if they stay: storagectl --socket '/tmp/a b/s' check"
    )
    assert told(version="0", socket="/tmp/a b/s")[-1] == "    to replace it: storaged stop --socket '/tmp/a b/s'"


def test_a_thousand_flaws_are_no_thousand_lines() -> None:
    lines = told(flaws=[FLAW] * 1000)
    assert len(lines) < 70
    assert lines[-2:] == ["  and 980 more", "    to see them all: storagectl check"]


def test_facts_tell_who_started_the_daemon_and_by_which_settings() -> None:
    text = info.render(facts(started_by="systemd", settings_file="/etc/storaged/storaged.toml", compat="podman"), NOW)
    assert ", started 12 minutes ago by systemd\n" in text
    assert "settings       /etc/storaged/storaged.toml, compat = podman\n" in text


def test_a_daemon_that_is_older_than_these_facts_is_shown_all_the_same() -> None:
    old = facts()
    for name in ("read_only", "compat", "settings_file", "started_by"):
        del old[name]
    assert info.render(old, NOW).endswith("Nothing is wrong.\n")
