"""On a real systemd, process 1 of namespaces of its own: installed, activated, idle, restarted, reloaded, watched.

Where this machine allows no such namespaces the tests are skipped with what it refused; what a service manager does
is then shown by ``test_activation.py`` only. A missing program fails them where STORAGED_REQUIRE_PEERS=1 (CI).
"""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from storaged.managed_file import put
from storaged.sample import SampleSpec, write_store
from storaged_client.stores import digest
from tests.support.client import Client

from .booted import PATIENCE, CannotBoot, Machine, ProgramMissing, booted
from .load import under_load

pytestmark = pytest.mark.timeout(120)

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])
HOME = "/opt/storaged-test"
COMMAND = f"{HOME}/bin/storaged"
SERVICE, SOCKET, API_SOCKET = "storaged.service", "storaged.socket", "storaged-api.socket"
GRAPHROOT = "/srv/storage"


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    """Booted, with a store of twenty images, and storaged installed by its own command."""
    try:
        with booted() as machine:
            machine.write("/etc/containers/storage.conf", _STORAGE_CONF)
            write_store(
                machine.root / GRAPHROOT.lstrip("/"),
                machine.root / "run/containers/storage",
                SampleSpec(images=20, seed=1, contents="files"),
            )
            install(machine)
            said = machine.run(COMMAND, "install-units", "--executable", COMMAND)
            for step in said.partition("Next, run:\n")[2].splitlines():
                machine.run(*step.partition("#")[0].split())
            yield machine
    except ProgramMissing as missing:
        if os.environ.get("STORAGED_REQUIRE_PEERS") == "1":
            pytest.fail(str(missing))
        pytest.skip(str(missing))
    except CannotBoot as refused:
        pytest.skip(f"this machine boots no systemd in namespaces: {refused}")


def install(machine: Machine) -> None:
    """This Python environment and this source where the unit sees them: /tmp and /var/tmp are private there."""
    for name, path in (("env", sys.prefix), ("source", str(Path(__file__).parents[2]))):
        machine.run("mkdir", "-p", f"{HOME}/{name}", f"{HOME}/bin")
        machine.run("mount", "--bind", path, f"{HOME}/{name}")
    python = f"{HOME}/env/bin/{os.path.basename(sys.executable)}"
    for name, module in (("storaged", "storaged"), ("storagectl", "storaged_client.cli.main")):
        machine.write(
            f"{HOME}/bin/{name}",
            f'#!/bin/sh\nPYTHONPATH={HOME}/source:{HOME}/source/client exec {python} -m {module} "$@"\n',
        )
        machine.run("chmod", "0755", f"{HOME}/bin/{name}")


_STORAGE_CONF = f'[storage]\ndriver = "overlay"\ngraphroot = "{GRAPHROOT}"\nrunroot = "/run/containers/storage"\n'


@pytest.fixture
def path(machine: Machine) -> Iterator[str]:
    """The socket, as it is seen from here. Nothing runs, and no earlier test's settings are left."""
    yield str(machine.root / "run/storaged/storaged.sock")
    machine.run("systemctl", "stop", SOCKET, API_SOCKET, SERVICE)
    for file in (machine.root / "run/systemd/system/storaged.service.d").glob("*"):
        file.unlink()
    (machine.root / "etc/storaged/storaged.toml").unlink(missing_ok=True)
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "reset-failed")
    machine.run("systemctl", "start", SOCKET, API_SOCKET)


def serve_with(machine: Machine, *flags: str, **settings: str) -> None:
    """Another command line, and other settings of the unit, from the next start on."""
    lines = [f"{name}={value}" for name, value in settings.items()]
    command = " ".join([COMMAND, "serve", *flags])
    text = "\n".join(["[Service]", "ExecStart=", f"ExecStart={command}", *lines, ""])
    machine.write("/run/systemd/system/storaged.service.d/test.conf", text)
    machine.run("systemctl", "daemon-reload")


def info(path: str) -> dict:
    with Client(path) as client:
        return client.call("server.info")


# ---------------------------------------------------------------- a life


@BACKENDS
def test_the_first_client_starts_the_daemon_which_tells_how_it_is(machine: Machine, path: str, backend: str) -> None:
    serve_with(machine, "--backend", backend)
    assert machine.show(SOCKET, "ActiveState", "UnitFileState") == ["active", "enabled"]
    assert machine.show(SERVICE, "ActiveState") == ["inactive"]
    with Client(path) as client:
        answer = client.call("server.info")
        assert (answer["backend"], answer["graphroot"], answer["socket"]) == (
            backend,
            GRAPHROOT,
            "/run/storaged/storaged.sock",
        )
        assert machine.show(SERVICE, "ActiveState", "MainPID") == ["active", str(answer["pid"])]
        listed = client.call("images.list", all=True)
        wanted = f"{len(listed['images'])} images, generation {listed['generation']}, 1 clients"
        deadline = time.monotonic() + PATIENCE
        while (status := machine.show(SERVICE, "StatusText")) != [wanted]:
            assert time.monotonic() < deadline, status
            time.sleep(0.05)


def test_root_and_the_group_may_open_the_socket_and_nobody_else(machine: Machine, path: str) -> None:
    groups = (machine.root / "etc/group").read_text().splitlines()
    (number,) = [int(line.split(":")[2]) for line in groups if line.startswith("storaged:")]
    for file, mode in ((Path(path), 0o660), (Path(path).parent, 0o750)):
        seen = file.stat()
        assert (stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid) == (mode, 0, number)
    program = "import socket; socket.socket(socket.AF_UNIX).connect('/run/storaged/storaged.sock')"
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "/usr/bin/python3", "-c", program)
    machine.run(*as_nobody[:3], f"--groups={number}", *as_nobody[3:])
    with pytest.raises(AssertionError, match="PermissionError"):
        machine.run(*as_nobody[:3], "--clear-groups", *as_nobody[3:])


@BACKENDS
def test_an_idle_daemon_leaves_and_the_next_client_starts_another(machine: Machine, path: str, backend: str) -> None:
    serve_with(machine, "--backend", backend, "--idle-exit=200ms")
    first = info(path)["pid"]
    machine.await_state(SERVICE, "inactive")
    assert machine.show(SERVICE, "Result", "ExecMainStatus") == ["success", "0"]
    assert info(path)["pid"] != first
    assert "reason=idle" in machine.journal(SERVICE)


@BACKENDS
def test_a_restart_under_load_loses_no_answer(machine: Machine, path: str, backend: str) -> None:
    serve_with(machine, "--backend", backend)
    with under_load(path) as load:
        for _ in range(3):
            load.await_another_daemon()
            machine.run("systemctl", "restart", SERVICE)
    assert load.faults == []
    assert len(load.answered) >= 3, "no three daemons answered: nothing is shown"
    assert machine.show(SERVICE, "NRestarts", "Result") == ["0", "success"]


def test_a_killed_daemon_is_replaced(machine: Machine, path: str) -> None:
    first = info(path)["pid"]
    machine.run("systemctl", "kill", "--signal=KILL", SERVICE)
    assert info(path)["pid"] != first


def test_twelve_clean_stops_in_a_row_end_neither_service_nor_socket(machine: Machine, path: str) -> None:
    seen = set()
    for _ in range(12):
        seen.add(info(path)["pid"])
        machine.run(COMMAND, "stop")
    assert len(seen) == 12
    assert info(path)["pid"] not in seen
    assert machine.show(SOCKET, "ActiveState", "Result") == ["active", "success"]
    assert machine.show(SERVICE, "ActiveState", "Result") == ["active", "success"]


def test_a_daemon_that_is_killed_again_and_again_is_started_again_each_time_and_not_at_once(
    machine: Machine, path: str
) -> None:
    for times in range(1, 8):
        assert info(path)["pid"]
        machine.run("systemctl", "kill", "--signal=KILL", SERVICE)
        assert info(path)["pid"]
        assert machine.show(SERVICE, "NRestarts") == [str(times)]
    assert machine.show(SERVICE, "RestartUSec") == ["2s"]
    assert machine.show(SOCKET, "ActiveState", "Result") == ["active", "success"]


# ---------------------------------------------------------------- what the manager is told


def test_reload_reads_the_settings_again_and_a_bad_file_changes_nothing(machine: Machine, path: str) -> None:
    with Client(path) as client:
        before = client.call("server.info")
        machine.write("/etc/storaged/storaged.toml", "[limits]\nin_flight = 9\n")
        serve_with(machine, "--config", "/etc/storaged/storaged.toml")
    machine.run("systemctl", "restart", SERVICE)
    with Client(path) as client:
        assert client.call("server.info")["limits"] == {**before["limits"], "in_flight": 9}
        machine.write("/etc/storaged/storaged.toml", "[limits]\nin_flight = 11\n")
        machine.run("systemctl", "reload", SERVICE)
        machine.await_state(SERVICE, "active")
        deadline = time.monotonic() + PATIENCE
        while (limits := client.call("server.info")["limits"])["in_flight"] != 11:
            assert time.monotonic() < deadline, limits
        machine.write("/etc/storaged/storaged.toml", "[limits]\nin_flight = no\n")
        machine.run("systemctl", "reload", SERVICE)
        while "configuration not reloaded" not in machine.journal(SERVICE):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        assert client.call("server.info")["limits"] == limits


@BACKENDS
def test_a_daemon_that_hangs_is_killed_and_replaced(machine: Machine, path: str, backend: str) -> None:
    serve_with(machine, "--backend", backend, WatchdogSec="2")
    first = info(path)["pid"]
    machine.run("systemctl", "kill", "--signal=STOP", SERVICE)
    deadline = time.monotonic() + PATIENCE
    while machine.show(SERVICE, "NRestarts") == ["0"]:
        assert time.monotonic() < deadline, machine.journal(SERVICE)
        time.sleep(0.05)
    assert info(path)["pid"] != first
    assert "watchdog" in machine.journal(SERVICE).lower()


def test_a_daemon_that_is_well_outlives_the_interval_of_the_watchdog(machine: Machine, path: str) -> None:
    serve_with(machine, WatchdogSec="4")
    with Client(path) as client:
        first = client.call("server.info")["pid"]
        # Without a ping the manager would kill it within the interval.
        ended = time.monotonic() + 6.0
        while time.monotonic() < ended:
            client.request("images.list")
            time.sleep(0.1)
        assert client.call("server.info")["pid"] == first
    assert machine.show(SERVICE, "NRestarts") == ["0"]


def test_a_drain_longer_than_the_unit_allows_is_given_the_time_it_asks_for(machine: Machine, path: str) -> None:
    machine.write("/etc/storaged/storaged.toml", "[limits]\ndrain_seconds = 12\nstall_seconds = 60\n")
    serve_with(machine, "--config", "/etc/storaged/storaged.toml", TimeoutStopSec="6")
    with Client(path) as client:
        # More than the kernel's buffers hold, and a client that takes no more of it.
        client.write(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"rpc.discover"}\n' % n for n in range(200)))
        client.line()
        machine.run("systemctl", "stop", SOCKET, SERVICE)
    assert machine.show(SERVICE, "Result", "ExecMainCode", "ExecMainStatus") == ["success", "1", "0"]
    journal = machine.journal(SERVICE)
    assert "drain timed out" in journal
    assert "timed out. Killing" not in journal


# ---------------------------------------------------------------- what the confinement leaves


def test_the_confined_daemon_changes_the_store_and_deletes_layers_of_other_owners(machine: Machine, path: str) -> None:
    with Client(path) as client:
        dangling = client.call("images.list", filters=["dangling=true"])["images"]
        rows = client.call("images.get", names=[image["id"] for image in dangling])["images"]
        image, layer = next((row["name"], top) for row in rows if (top := row["image"]["top_layer"]))
        content = machine.root / GRAPHROOT.lstrip("/") / "overlay" / layer
        assert content.is_dir()
        foreign = content / "diff" / "of somebody else"
        foreign.mkdir(mode=0o700)
        (foreign / "file").write_text("x")
        for item in (foreign / "file", foreign):
            os.chown(item, 100_000, 100_000)
        report = client.call("images.remove", names=[image], force=True)
        assert image in [removed["id"] for removed in report["removed"]], report
        assert report["failed"] == []
        # Renamed away first: not there any more is not gone yet.
        assert not list((machine.root / GRAPHROOT.lstrip("/")).rglob(foreign.name))
    lines = machine.run("journalctl", "--output=json", f"--unit={SERVICE}").splitlines()
    audits = [entry for line in lines if "audit method=images.remove" in (entry := json.loads(line))["MESSAGE"]]
    assert [(entry["PRIORITY"], "result=ok" in entry["MESSAGE"]) for entry in audits] == [("6", True)]


def test_the_confined_daemon_names_who_holds_a_lock(machine: Machine, path: str) -> None:
    with Client(path) as client:
        client.request("images.list")
        lock = f"{GRAPHROOT}/overlay-images/images.lock"
        program = (
            "import fcntl, os, sys; file = open(sys.argv[1], 'r+b'); fcntl.lockf(file, fcntl.LOCK_EX); "
            "file.write(os.urandom(64)); file.flush(); print('held', flush=True); sys.stdin.read()"
        )
        nsenter = ["nsenter", f"--target={machine.init}", "--all", "--", "/usr/bin/python3", "-c", program, lock]
        with subprocess.Popen(nsenter, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            stale = client.call("images.list")["stale"]
            holder.communicate()
        assert stale["reason"] == "locked"
        assert stale["holder"]["command"] == "python3"


# ---------------------------------------------------------------- another store


def test_an_instance_of_the_units_serves_another_store(machine: Machine, path: str) -> None:
    other, run = "/srv/other", "/run/other"
    write_store(
        machine.root / other.lstrip("/"), machine.root / run.lstrip("/"), SampleSpec(images=7, seed=2, contents="files")
    )
    ctl = f"{HOME}/bin/storagectl"
    flags = ["--root", other, "--runroot", run]
    unit = f"storaged@{digest(other)}"
    said = machine.run(COMMAND, "install-units", "--executable", COMMAND, "--store", other, "--runroot", run)
    for step in said.partition("Next, run:\n")[2].splitlines():
        machine.run(*step.partition("#")[0].split())
    try:
        assert machine.show(f"{unit}.socket", "ActiveState", "UnitFileState") == ["active", "enabled"]
        assert machine.show(f"{unit}.service", "ActiveState") == ["inactive"]
        theirs = json.loads(machine.run(ctl, *flags, "call", "server.info"))
        ours = json.loads(machine.run(ctl, "call", "server.info"))
        assert (theirs["graphroot"], theirs["runroot"], theirs["started_by"]) == (other, run, "systemd")
        assert theirs["socket"] == f"/run/storaged/store-{digest(other)}.sock"
        assert machine.show(f"{unit}.service", "MainPID") == [str(theirs["pid"])]
        assert (ours["graphroot"], ours["pid"] != theirs["pid"]) == (GRAPHROOT, True)
        machine.run(COMMAND, "stop", *flags)
        machine.await_state(f"{unit}.service", "inactive")
        machine.run(ctl, *flags, "image", "prune", "-af")
        assert machine.run(ctl, "call", "images.list") != machine.run(ctl, *flags, "call", "images.list")
        assert json.loads(machine.run(ctl, "call", "server.info"))["images"] == ours["images"]
    finally:
        machine.run("systemctl", "disable", "--now", f"{unit}.socket", f"{unit}.service", check=False)


# ---------------------------------------------------------------- the REST API


def steps_of(said: str) -> list[list[str]]:
    """The commands that an installation says to run next."""
    return [step.partition("#")[0].split() for step in said.partition("Next, run:\n")[2].splitlines()]


def ping(machine: Machine, path: str) -> str:
    """The answer to ``_ping`` at a socket."""
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(PATIENCE)
        client.connect(str(machine.root / path.lstrip("/")))
        client.sendall(b"GET /v5.0.0/libpod/_ping HTTP/1.1\r\nHost: d\r\nConnection: close\r\n\r\n")
        with client.makefile("rb") as file:
            return file.read().decode()


def test_the_rest_apis_socket_starts_the_same_daemon(machine: Machine, path: str) -> None:
    assert machine.show(API_SOCKET, "ActiveState", "UnitFileState") == ["active", "enabled"]
    assert "HTTP/1.1 200" in ping(machine, "/run/storaged/api.sock")
    answer = info(path)
    assert answer["api_sockets"] == ["/run/storaged/api.sock"]
    assert machine.show(SERVICE, "MainPID") == [str(answer["pid"])]
    seen = (machine.root / "run/storaged/api.sock").stat()
    assert (stat.S_IMODE(seen.st_mode), seen.st_gid) == (0o660, Path(path).stat().st_gid)


def test_running_units_of_before_the_rest_api_are_upgraded_by_what_is_said(machine: Machine, path: str) -> None:
    units = machine.root / "etc/systemd/system"
    machine.run("systemctl", "disable", "--now", "storaged-api.socket")
    (units / "storaged-api.socket").unlink()
    service = units / "storaged.service"
    new = service.read_text()
    old = "".join(line for line in new.splitlines(keepends=True)[1:] if "storaged-api" not in line)
    # Below the machine's root: of the path alone the link of /proc would be read, which names the root of this one.
    put(service, old, force=True, root=machine.root)
    machine.run("systemctl", "daemon-reload")
    before = info(path)
    assert before["api_sockets"] == []
    for step in steps_of(machine.run(COMMAND, "install-units", "--executable", COMMAND)):
        machine.run(*step)
    assert service.read_text() == new
    assert "HTTP/1.1 200" in ping(machine, "/run/storaged/api.sock")
    after = info(path)
    assert (after["api_sockets"], after["pid"] != before["pid"]) == (["/run/storaged/api.sock"], True)


def test_in_front_of_podman_and_back(machine: Machine, path: str) -> None:
    podman, behind = "/run/podman/podman.sock", "/run/podman/podman-behind.sock"
    if not (machine.root / "usr/lib/systemd/system/podman.socket").exists():
        pytest.skip("podman's units are missing: apt-get install podman")
    machine.run("systemctl", "start", "podman.socket")
    mode = (machine.root / podman.lstrip("/")).stat().st_mode
    info(path)
    command = (COMMAND, "install-units", "--executable", COMMAND, "--in-front-of-podman")
    try:
        for step in steps_of(machine.run(*command)):
            machine.run(*step)
        assert "HTTP/1.1 200" in ping(machine, podman)
        answer = info(path)
        assert sorted(answer["api_sockets"]) == [podman, "/run/storaged/api.sock"]
        assert answer["podman_socket"] == behind
        assert (machine.root / podman.lstrip("/")).stat().st_mode == mode
        # Its owner's commands go on to succeed, whatever runs meanwhile.
        machine.run("systemctl", "restart", "podman.socket")
        machine.run("systemctl", "stop", "podman.socket")
        assert "HTTP/1.1 200" in ping(machine, podman)
        machine.run("systemctl", "start", "podman.socket")
        assert machine.show("podman.socket", "ActiveState", "Listen") == ["active", f"{behind} (Stream)"]
    finally:
        for step in steps_of(machine.run(*command, "--undo")):
            machine.run(*step)
    assert machine.show("podman.socket", "ActiveState", "Listen") == ["active", f"{podman} (Stream)"]
    assert info(path)["api_sockets"] == ["/run/storaged/api.sock"]
    assert machine.show("storaged-podman.socket", "LoadState", "ActiveState") == ["not-found", "inactive"]
    machine.run("systemctl", "stop", "podman.socket")


# ---------------------------------------------------------------- a user's


def test_a_users_unit_is_installed_activated_and_left_the_privileges_that_newuidmap_needs(machine: Machine) -> None:
    uid, runtime, home = 1500, "/run/user/1500", "/srv/one"
    machine.write("/etc/sysusers.d/one.conf", f"u one {uid} - {home} /bin/sh\n")
    machine.run("systemd-sysusers", "one.conf")
    for folder in (runtime, home):
        machine.run("install", "-d", "-m", "0700", "-o", "one", "-g", "one", folder)
    # Where Python lies in root's home: seen by everybody in there, in the copy.
    for folder in Path(sys.base_prefix).parents:
        machine.run("chmod", "o+rx", str(folder))
    machine.write(
        "/run/systemd/system/one.service",
        "[Service]\nType=notify\nUser=one\nDelegate=yes\nExecStart=/lib/systemd/systemd --user\n"
        f"Environment=XDG_RUNTIME_DIR={runtime} HOME={home}\nSlice=user.slice\n",
    )
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "start", "one.service")
    environ = {"XDG_RUNTIME_DIR": runtime, "HOME": home, "PATH": "/usr/bin:/bin"}

    def as_user(*command: str) -> str:
        return machine.run("setpriv", "--reuid=one", "--regid=one", "--clear-groups", *command, environ=environ)

    try:
        # A daemon that a client started holds the socket and the store.
        spawned = json.loads(as_user(f"{HOME}/bin/storagectl", "call", "server.info"))
        said = as_user(COMMAND, "install-units", "--user", "--executable", COMMAND)
        for step in said.partition("Next, run:\n")[2].splitlines():
            if "linger" not in step:
                as_user(*step.partition("#")[0].split())
        answer = json.loads(as_user(f"{HOME}/bin/storagectl", "call", "server.info"))
        assert answer["pid"] != spawned["pid"]
        assert answer["socket"] == spawned["socket"] == f"{runtime}/storaged/storaged.sock"
        assert answer["graphroot"].startswith(home)
        status = (machine.root / f"proc/{answer['pid']}/status").read_text()
        assert "\nNoNewPrivs:\t0\n" in status
        mapping = (machine.root / f"proc/{answer['pid']}/uid_map").read_text().split()
        assert mapping == ["0", "0", "4294967295"]
        shown = as_user("systemctl", "--user", "show", "storaged.service", "--property=ActiveState,Type,StatusText")
        assert "ActiveState=active" in shown
        assert "images, generation" in shown
    finally:
        machine.run("systemctl", "stop", "one.service")
