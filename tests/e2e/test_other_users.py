"""Which store and which daemon a client means under sudo and inside ``podman unshare``: the real ones, on a machine of
their own, where the default stores are nobody else's."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator

import pytest

from tests.e2e.homes import until

from .booted import Machine
from .test_systemd import GRAPHROOT, HOME, machine

__all__ = ["machine"]

pytestmark = pytest.mark.timeout(120)

CTL = f"{HOME}/bin/storagectl"
BASE = f"{sys.base_prefix}/bin"
USER = "dora"
STORE = f"/srv/{USER}/.local/share/containers/storage"


@pytest.fixture(scope="module")
def user(machine: Machine) -> Iterator[str]:
    """A user with subordinate ids, who may do everything as root."""
    if missing := [name for name in ("sudo", "useradd", "newuidmap") if shutil.which(name) is None]:
        pytest.skip(f"not installed: {', '.join(missing)}")
    machine.run("useradd", "--create-home", "--home-dir", f"/srv/{USER}", "--shell", "/bin/sh", USER)
    machine.write(f"/etc/sudoers.d/{USER}", f"{USER} ALL=(ALL) NOPASSWD: SETENV: ALL\n")
    # Where Python lies in a closed home: seen by everybody in there, in the copy.
    machine.run("sh", "-c", 'd=$(dirname "$0"); while [ "$d" != / ]; do chmod o+rx "$d"; d=$(dirname "$d"); done', BASE)
    yield USER
    machine.run("pkill", "-u", USER, check=False)


def info(machine: Machine, *command: str, environ: dict[str, str] | None = None) -> dict:
    return json.loads(machine.run(*command, CTL, "call", "server.info", environ=environ))


def owner(machine: Machine, pid: int) -> str:
    return machine.run("stat", "--format=%U", f"/proc/{pid}").strip()


def test_by_sudo_a_user_asks_the_daemon_of_the_system(machine: Machine, user: str) -> None:
    systems = info(machine)
    for flags in ((), ("-E",), ("-E", f"HOME=/srv/{user}")):
        told = info(machine, "runuser", "-u", user, "--", "sudo", "-n", *flags)
        assert (told["graphroot"], told["pid"]) == (GRAPHROOT, systems["pid"])
    assert info(machine, "runuser", "-u", user, "--")["graphroot"] == STORE


def test_by_sudo_root_asks_the_daemon_of_a_user(machine: Machine, user: str) -> None:
    own = info(machine, "runuser", "-u", user, "--")
    told = info(machine, "sudo", "-n", "-u", user)
    assert (told["graphroot"], told["pid"]) == (STORE, own["pid"])
    assert owner(machine, told["pid"]) == user


def test_by_sudo_a_users_store_is_its_owners_daemons(machine: Machine, user: str) -> None:
    own = info(machine, "runuser", "-u", user, "--")
    asked = [CTL, "call", "server.info", "{}", "--root", STORE]
    told = json.loads(machine.run("runuser", "-u", user, "--", "sudo", "-n", *asked))
    assert told["pid"] == own["pid"]
    assert machine.run("find", f"/srv/{user}", "-uid", "0") == ""


def test_inside_podman_unshare_the_users_daemon_answers(machine: Machine, user: str) -> None:
    # nsenter's working directory is one of outside, which podman does not find.
    inside = ["runuser", "-u", user, "--", "env", "--chdir=/", "podman", "unshare"]
    if shutil.which("podman") is None:
        pytest.skip("podman is not installed")
    if machine.run(*inside, "id", "-u", check=False).strip() != "0":
        said = machine.run("sh", "-c", '"$@" 2>&1', "sh", *inside, "true", check=False)
        pytest.skip(f"no rootless podman here: {said.strip()[-300:]}")
    # That asking made the store. Its daemon guards it from then on, wherever podman has the runtime folder.
    own = info(machine, "runuser", "-u", user, "--")
    guard = machine.root / STORE.lstrip("/") / "storaged" / "daemon.lock"
    until(lambda: guard.exists() and guard.read_text())
    told = info(machine, *inside)
    assert (told["graphroot"], told["pid"]) == (STORE, own["pid"])
