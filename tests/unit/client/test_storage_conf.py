"""The plain TOML that needs no tomllib, and whose rules apply."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged_client.errors import StorageConfError
from storaged_client.storage_conf import Flags, toml
from storaged_client.storage_conf import release as releases
from storaged_client.storage_conf.release import NEW, OLD, Release
from storaged_client.storage_conf.resolve import resolve

DEBIAN = """
# This file is the configuration file for all tools that use containers/storage.
[storage]

# Default Storage Driver, Must be set for proper operation.
driver = "overlay"
runroot = "/run/containers/storage"
graphroot = "/var/lib/containers/storage"
# rootless_storage_path = "$HOME/.local/share/containers/storage"

[storage.options]
additionalimagestores = [
]
pull_options = {enable_partial_images = "false", use_hard_links = "false", ostree_repos=""}

[storage.options.overlay]
mountopt = "nodev"

[storage.options.thinpool]
"""


def test_what_distributions_ship_needs_no_other_parser() -> None:
    code = f"""
import sys
from storaged_client.storage_conf import toml
assert toml.loads({DEBIAN!r})["storage"]["options"]["overlay"] == {{"mountopt": "nodev"}}
assert "tomllib" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
    assert toml.loads(DEBIAN) == tomllib.loads(DEBIAN)


LINES = st.sampled_from(
    [
        "", " ", "# c", "[storage]", "[storage.options]", "[storage.options.overlay]", "[a]  # c", "[[a]]", "[a . b]",
        "[", "]", 'driver = "x"', "driver = 'x\\'", 'driver = "a\\u0041"', 'driver = "a\\', 'driver="y" # c',
        "driver = x", "driver", 'driver = "a"b"', 'a = ["x", "y"]', "a = [", '"x",', '"x, y",', "# ]", "]", "]]",
        "a = []", "a = [,]", 'a = ["x",,]', 'a = [["x"]]', "a = [1]", 'a = {b = "c", d = "e"}', "a = {}", "a = {b}",
        'a = {b = "c",}', "a = true", "a = True", "a = 5", "a = 05", "a = -1", "a = 1_0", "a = 1.5", 'storage = "x"',
        "options = {}", 'storage.driver = "x"', '"driver" = "x"', "é = 1", "b = , ", 'b = """', '"""', "a = \x01",
        "a = 99999999999999999999", "c = 'é'", "\t d = 1 \t", "e = \u00a01", "f = '\u2028'", "\r", "g = 1\r",
    ]
)  # fmt: skip


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_it_says_what_tomllib_says(text: str) -> None:
    assert outcome(toml.loads, text) == outcome(tomllib.loads, text)


def outcome(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError as error:
        return str(error)


# ---------------------------------------------------------------- whose rules


class Machine:
    def __init__(self, root: Path) -> None:
        self.root = root
        self.bin = root / "bin"
        self.bin.mkdir()
        self.env = {
            "HOME": str(root / "home"),
            "PATH": str(self.bin),
            "XDG_STATE_HOME": str(root / "state"),
            "XDG_CONFIG_HOME": str(root / "config"),
        }

    def podman(self, version: str) -> Path:
        """A podman of that version, which leaves a mark each time it is run."""
        program = self.bin / "podman"
        program.unlink(missing_ok=True)
        program.write_text(f'#!/bin/sh\necho run >> "{self.root}/runs"\necho "podman version {version}"\n')
        program.chmod(0o755)
        return program

    def runs(self) -> int:
        path = self.root / "runs"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def release(self, *, ask: bool = False, setting: str | None = None) -> Release:
        return releases.release(self.env, 1000, system_root=str(self.root), setting=setting, ask=ask)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_without_podman_the_rules_are_those_of_all_podmans_up_to_5(machine: Machine) -> None:
    assert machine.release(ask=True).rules == OLD


def test_podman_is_run_by_a_daemon_only_and_once_for_one_file(machine: Machine) -> None:
    machine.podman("6.1.0")
    assert machine.release().rules == OLD
    assert machine.runs() == 0
    found = machine.release(ask=True)
    assert (found.rules, found.reason) == (NEW, f"{machine.bin}/podman is version 6.1.0")
    assert machine.release(ask=True).rules == machine.release().rules == NEW
    assert machine.runs() == 1
    machine.podman("5.8.2")
    assert machine.release().rules == OLD  # another file: what was kept is of the one before
    machine.podman("6.0.0")
    assert machine.release(ask=True).rules == NEW
    assert machine.runs() == 2


def test_the_setting_comes_first(machine: Machine) -> None:
    machine.podman("6.1.0")
    config = machine.root / "config" / "storaged" / "storaged.toml"
    config.parent.mkdir(parents=True)
    config.write_text('storage_rules = "1.62"\n[limits]\nin_flight = 7\n')
    found = machine.release(ask=True)
    assert (found.rules, found.set_by_user, found.reason) == (OLD, True, f"storage_rules of {config}")
    assert machine.release(setting=NEW).rules == NEW
    config.write_text('storage_rules = "auto"\n')
    assert machine.release(ask=True).rules == NEW


@pytest.mark.parametrize(
    ("status", "version", "rules"),
    [("install ok installed", "6.0.1+ds1-1", NEW), ("install ok installed", "1:5.4.2+ds1-2", OLD),
     ("deinstall ok config-files", "6.0.1", None)],
)  # fmt: skip
def test_the_package_is_asked_where_the_program_is_its(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, status: str, version: str, rules: str | None
) -> None:
    record = machine.root / "var/lib/dpkg/status"
    record.parent.mkdir(parents=True)
    record.write_text(
        f"Package: podman-docker\nStatus: install ok installed\nVersion: 9\n\n"
        f"Package: podman\nStatus: {status}\nVersion: {version}\n\nPackage: z\nVersion: 1\n"
    )
    if not os.access("/usr/bin/podman", os.X_OK):
        pytest.skip("the package's program is not here")
    machine.env["PATH"] = "/usr/bin"
    found = machine.release()
    assert found.reason == (
        f"podman is the package of version {version}" if rules else "the version of /usr/bin/podman is not known"
    )
    assert found.rules == (rules or OLD)
    machine.env["PATH"] = str(machine.bin)  # another podman comes first
    machine.podman("6.1.0")
    assert machine.release(ask=True).reason.endswith("is version 6.1.0")


# ---------------------------------------------------------------- a user's two answers


class User:
    """A user (the one who runs the tests) on a machine whose file of old has a graphroot for root."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.own = root / "home/.local/share/containers/storage"
        self.system = root / "system"
        conf = root / "etc/containers/storage.conf"
        conf.parent.mkdir(parents=True)
        conf.write_text(f'[storage]\ndriver = "overlay"\ngraphroot = "{self.system}"\n')
        self.conf = conf

    def resolve(self, rules: str, *, set_by_user: bool = False, flags: Flags | None = None) -> str:
        env = {"HOME": str(self.root / "home"), "_CONTAINERS_USERNS_CONFIGURED": "done"}
        env["_CONTAINERS_ROOTLESS_UID"] = "1000"
        found = resolve(
            env,
            os.geteuid(),
            flags or Flags(),
            release=lambda: Release(rules, "so it is", "/the/storaged.toml", set_by_user=set_by_user),
            system_root=str(self.root),
        )
        return found.graphroot


@pytest.fixture
def user(tmp_path: Path) -> User:
    return User(tmp_path)


def test_each_release_has_its_own_answer(user: User) -> None:
    assert user.resolve(OLD) == str(user.own)
    assert user.resolve(NEW) == str(user.system)
    assert user.resolve(NEW, flags=Flags(root=str(user.root / "x"))) == str(user.root / "x")


def test_no_new_store_beside_the_one_that_is_there(user: User) -> None:
    user.own.mkdir(parents=True)
    with pytest.raises(StorageConfError) as caught:
        user.resolve(NEW)
    told = str(caught.value)
    for part in (
        str(user.own),
        str(user.system),
        "1.62",
        "1.63",
        "so it is",
        'storage_rules = "1.62"',
        "/the/storaged",
    ):
        assert part in told
    assert user.resolve(OLD) == str(user.own)
    assert user.resolve(NEW, set_by_user=True) == str(user.system)
    user.system.mkdir()
    assert user.resolve(NEW) == str(user.system)


@pytest.mark.skipif(os.geteuid() != 0, reason="another uid is needed")
def test_a_user_is_never_given_the_systems_store(user: User, monkeypatch: pytest.MonkeyPatch) -> None:
    user.system.mkdir(mode=0o700)
    user.own.mkdir(parents=True)
    os.chown(user.own, 1000, 1000)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(
        StorageConfError, match=r"points users at .*system, which is not this user's .*rootful\.conf\.d"
    ):
        user.resolve(NEW, set_by_user=True)
    assert user.resolve(OLD) == str(user.own)
