"""Daemon and client of different minor versions: what both know works, what one lacks is said with what to do."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

import storaged_client
from storaged_client.contract.version import PROTOCOL, VERSION
from tests.e2e.homes import Home, ended, home, until
from tests.e2e.versions import NEWER, NEWER_PROTOCOL, newer
from tests.support.daemon import STORAGECTL, STORAGED, started
from tests.support.user_unit import enable

pytestmark = pytest.mark.timeout(120)
"""Several processes a test: on a busy machine each start takes seconds."""

OLDER_DAEMON = (
    f"the daemon is storaged {VERSION} (protocol {PROTOCOL}), this client {NEWER} (protocol {NEWER_PROTOCOL})"
)
NEWER_DAEMON = (
    f"the daemon is storaged {NEWER} (protocol {NEWER_PROTOCOL}), this client {VERSION} (protocol {PROTOCOL})"
)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> str:
    return newer(tmp_path_factory.mktemp("newer"))


@pytest.fixture
def user(short_dir: Path) -> Iterator[Home]:
    with home(short_dir) as user:
        user.lay()
        yield user


@pytest.fixture
def older_daemon(user: Home) -> Iterator[None]:
    with started([*STORAGED, "serve", "--socket", user.path], user.path, user.environ) as daemon:
        daemon.await_line("ready: ")
        yield


@pytest.fixture
def newer_daemon(user: Home, copy: str) -> Iterator[None]:
    with started(
        [*STORAGED, "serve", "--socket", user.path], user.path, {**user.environ, "PYTHONPATH": copy}
    ) as daemon:
        daemon.await_line("ready: ")
        yield


_BLOCKING = """
from storaged_client import version_mismatch
version_mismatch.PATIENCE = 30.0  # a busy machine is slow to tell its version
import json, storaged_client
told = {}
with storaged_client.connect() as client:
    for name, ask in {
        "known": lambda: len(client.images.list()),
        "method": lambda: client.call("server.echo"),
        "param": lambda: client.call("images.exists", {"name": "x", "era": "y"}),
        "member": lambda: client.images.exists("x"),
        "mistake": lambda: client.call("images.exists", {"name": 5}),
    }.items():
        try:
            told[name] = str(ask())
        except (storaged_client.StoragedError, storaged_client.MalformedResult) as error:
            told[name] = f"{type(error).__name__}: {error}"
print(json.dumps(told))
"""

_ASYNC = """
from storaged_client import version_mismatch
version_mismatch.PATIENCE = 30.0  # a busy machine is slow to tell its version
import anyio, json, storaged_client, sys
async def main():
    told = {}
    async with storaged_client.aconnect() as client:
        for name, ask in {
            "known": lambda: client.images.list(),
            "method": lambda: client.call("server.echo"),
            "param": lambda: client.call("images.exists", {"name": "x", "era": "y"}),
            "member": lambda: client.images.exists("x"),
            "mistake": lambda: client.call("images.exists", {"name": 5}),
        }.items():
            try:
                answer = await ask()
                told[name] = str(len(answer) if name == "known" else answer)
            except (storaged_client.StoragedError, storaged_client.MalformedResult) as error:
                told[name] = f"{type(error).__name__}: {error}"
    print(json.dumps(told))
anyio.run(main, backend=sys.argv[1])
"""

FORMS = pytest.mark.parametrize("form", ["blocking", "trio", "asyncio"])


def ask(user: Home, form: str, **environ: str) -> Any:
    code = [_BLOCKING] if form == "blocking" else [_ASYNC, form]
    done = ended(user.begin([sys.executable, "-c", *code], environ))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@FORMS
def test_a_newer_client_says_what_an_older_daemon_lacks_and_how_to_replace_it(
    user: Home, older_daemon: None, copy: str, form: str
) -> None:
    told = ask(user, form, PYTHONPATH=copy)
    replace = f"to have the daemon installed here: storaged stop --socket {user.path}"
    assert int(told["known"]) > 0
    assert told["method"] == (
        "MethodNotFound: there is no method 'server.echo'; rpc.discover lists all; "
        f"{OLDER_DAEMON}, and that version does not have it; {replace}"
    )
    assert told["param"] == f"InvalidParams: era is unknown; {OLDER_DAEMON}, which may be why; {replace}"
    assert (
        told["member"] == "MalformedResult: images.exists: no Exists: $.since: is required; "
        f"{OLDER_DAEMON}, which may be why; {replace}"
    )


@FORMS
def test_an_older_client_works_with_a_newer_daemon_and_is_to_be_upgraded_for_the_rest(
    user: Home, newer_daemon: None, form: str
) -> None:
    told = ask(user, form)
    assert int(told["known"]) > 0
    assert "generation" in told["method"]  # a raw call reaches what only the daemon knows
    assert "exists" in told["param"]
    assert told["member"].startswith("Exists(")
    assert "since" not in told["member"]
    assert told["mistake"] == (
        f"InvalidParams: name must be a string; {NEWER_DAEMON}, which may be why; upgrade this client"
    )


@FORMS
def test_of_one_version_nothing_is_said_of_versions(user: Home, older_daemon: None, form: str) -> None:
    told = ask(user, form)
    assert told["method"] == "MethodNotFound: there is no method 'server.echo'; rpc.discover lists all"
    assert told["param"] == "InvalidParams: era is unknown"
    assert told["mistake"] == "InvalidParams: name must be a string"


def test_storagectl_tells_a_person_and_not_a_program_of_an_older_daemon(
    user: Home, older_daemon: None, copy: str
) -> None:
    environ = {"PYTHONPATH": copy}
    assert user.ctl("images", environ=environ).returncode == 0
    lacking = user.ctl("exists", "x", environ=environ)
    assert lacking.returncode == 125
    assert lacking.stderr == (
        f"Error: the daemon's answer has no 'since'; {OLDER_DAEMON}, which may be why; "
        f"to have the daemon installed here: storaged stop --socket {user.path}\n"
    )
    raw = user.ctl("call", "server.echo", environ=environ)
    assert raw.returncode == 125
    assert json.loads(raw.stderr) == {
        "code": -32601,
        "message": "there is no method 'server.echo'; rpc.discover lists all",
        "data": {"name": "MethodNotFound", "method": "server.echo"},
    }
    versions = user.ctl("--version", environ=environ).stdout
    assert f"storagectl version {NEWER} (protocol {NEWER_PROTOCOL})" in versions
    assert f"storaged version {VERSION} (protocol {PROTOCOL})" in versions
    assert f"to have version {NEWER}: storaged stop --socket {user.path}" in versions


def test_of_a_units_daemon_the_restart_command_is_printed_and_it_is_left_alone(
    user: Home, older_daemon: None, copy: str
) -> None:
    before = user.daemons()
    enable(user.folder / "config", user.path)
    # Even where a mark says that a client started it, before the unit was enabled.
    user.mark.write_text(json.dumps({"pid": before[0], "version": VERSION}))
    for arguments in (["--version"], ["info"]):
        done = user.ctl(*arguments, environ={"PYTHONPATH": copy})
        # What is wrong is told by info's status, and another version is.
        assert done.returncode == (1 if arguments == ["info"] else 0), done.stderr
        assert "systemctl --user restart storaged.service" in done.stdout
    assert user.daemons() == before


def test_a_spawned_daemon_of_another_version_is_drained_and_replaced_and_no_read_of_its_clients_is_lost(
    user: Home, copy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in user.environ.items():
        monkeypatch.setenv(name, value)
    old = user.info()
    assert old["version"] == VERSION
    stop = False

    def read(client: storaged_client.Client) -> int:
        count = 0
        while not stop:
            assert client.call("images.list", {"fields": ["id"]})["images"]
            count += 1
        return count

    # It may start a daemon, and loses the old one here: it does not put the new one away for that.
    with storaged_client.connect(spawn=True) as client, ThreadPoolExecutor(4) as pool:
        reading = [pool.submit(read, client) for _ in range(4)]
        try:
            clients = [user.begin([*STORAGECTL, "call", "server.info"], {"PYTHONPATH": copy}) for _ in range(5)]
            replaced = [json.loads(ended(one).stdout) for one in clients]
            assert client.call("server.info")["version"] == NEWER
        finally:
            stop = True
        assert all(one.result(timeout=20) for one in reading)
    assert {one["version"] for one in replaced} == {NEWER}
    (new,) = {one["pid"] for one in replaced}
    assert new != old["pid"]
    assert user.daemons() == [new]
    assert json.loads(user.mark.read_text()) == {"pid": new, "version": NEWER}
    # Only a client that may start one may replace one.
    kept = user.ctl("--no-spawn", "call", "server.info")
    assert json.loads(kept.stdout)["pid"] == new
    until(lambda: user.info()["version"] == VERSION)


def test_an_old_daemon_that_does_not_end_is_told_with_its_pid(user: Home, copy: str) -> None:
    pid = user.info()["pid"]
    code = f"""
import os, signal, storaged_client
os.kill({pid}, signal.SIGSTOP)
try:
    storaged_client.connect(spawn=True, timeout=1)
except storaged_client.ClientError as error:
    print(type(error).__name__, error)
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code],
        env={**user.environ, "PYTHONPATH": copy},
        capture_output=True,
        text=True,
    )
    assert done.stdout == (
        f"DaemonUnavailable the daemon of another version at {user.path} (pid {pid}) does not exit: "
        f"look at {user.log}, or run: kill {pid}\n"
    ), done.stderr
    assert user.daemons() == [pid]
