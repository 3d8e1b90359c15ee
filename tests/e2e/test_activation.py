"""The units are right, and the daemon is what they expect: activated, telling, draining, leaving when idle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from .daemons import STORAGED, Client, Daemon, Manager, flags, started

ROOT = Path(__file__).parents[2]
BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])
needs_activate = pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd-socket-activate")
needs_analyze = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd-analyze")


def activated(folder: Path, manager: Manager, *more: str, name: str = "storaged"):
    path = str(folder / "s")
    command = [
        "systemd-socket-activate",
        f"--fdname={name}",
        f"--listen={path}",
        f"--setenv=NOTIFY_SOCKET={manager.path}",
    ]
    return started([*command, *STORAGED, "serve", *flags(folder, *more)], path)


def listening(daemon: Daemon) -> None:
    daemon.await_line("Listening on ")


@needs_activate
@BACKENDS
def test_the_first_client_starts_the_daemon_and_is_served(short_dir: Path, backend: str) -> None:
    manager = Manager(short_dir / "n")
    with activated(short_dir, manager, "--backend", backend) as daemon:
        listening(daemon)
        with Client(daemon.path) as client:
            info = client.call("server.info")["result"]
            assert (info["backend"], info["socket"], info["pid"]) == (backend, daemon.path, daemon.process.pid)
            assert manager.await_field("READY=") == "READY=1"
            status = manager.await_field("STATUS=0 images, generation ")
            while not status.endswith(", 1 clients"):
                status = manager.await_field("STATUS=0 images, generation ")
            client.ask("server.ping", id="last")
            daemon.signal(signal.SIGTERM)
            assert [answer["id"] for answer in client.lines()] == ["last"]
        assert manager.await_field("STOPPING=") == "STOPPING=1"
        assert daemon.await_exit() == 0
        assert os.path.exists(daemon.path)
    manager.close()


@needs_activate
@BACKENDS
def test_an_idle_daemon_leaves_with_0_and_its_socket_stays(short_dir: Path, backend: str) -> None:
    manager = Manager(short_dir / "n")
    with activated(short_dir, manager, "--backend", backend, "--idle-exit", "300ms") as daemon:
        listening(daemon)
        with Client(daemon.path) as client:
            client.call("server.ping")
        assert daemon.await_exit() == 0
        assert any("reason=idle" in line for line in daemon.log)
        assert os.path.exists(daemon.path)
    manager.close()


@needs_activate
def test_the_only_socket_is_served_whatever_its_name(short_dir: Path) -> None:
    manager = Manager(short_dir / "n")
    with activated(short_dir, manager, name="other") as daemon:
        listening(daemon)
        with Client(daemon.path) as client:
            assert "result" in client.call("server.ping")
    manager.close()


@needs_activate
def test_stop_ends_an_activated_daemon(short_dir: Path) -> None:
    manager = Manager(short_dir / "n")
    with activated(short_dir, manager) as daemon:
        listening(daemon)
        with Client(daemon.path) as client:
            client.call("server.ping")
        assert subprocess.run([*STORAGED, "stop", "--socket", daemon.path]).returncode == 0
        assert daemon.await_exit() == 0
    manager.close()


def units(folder: Path, kind: str) -> list[str]:
    """Copies of the units whose command exists on this machine: verify wants to see the executable."""
    command = shutil.which("storaged", path=os.pathsep.join([os.path.dirname(sys.executable), os.environ["PATH"]]))
    assert command, "the package is not installed"
    copies = []
    for source in sorted((ROOT / "systemd" / kind).glob("storaged.*")):
        text = source.read_text()
        if source.suffix == ".service":
            assert "ExecStart=/usr/bin/storaged " in text
        copy = folder / source.name
        copy.write_text(text.replace("/usr/bin/storaged", command))
        copies.append(str(copy))
    assert len(copies) == 2
    return copies


@needs_analyze
@pytest.mark.parametrize("kind", ["", "user"])
def test_verify_has_nothing_to_say_about_the_units(short_dir: Path, kind: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", *(["--user"] if kind else []), "verify", *units(short_dir, kind)],
        capture_output=True,
        text=True,
        env={**os.environ, "XDG_RUNTIME_DIR": str(short_dir)},
    )
    # verify exits 0 for most of what it finds: any word is a finding.
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


@needs_analyze
def test_the_system_unit_is_confined(short_dir: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", *units(short_dir, "")[:1]],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-300:]


def test_the_user_unit_sets_nothing_that_keeps_newuidmap_from_working() -> None:
    for line in (ROOT / "systemd/user/storaged.service").read_text().splitlines():
        key = line.partition("=")[0]
        assert not key.startswith(("Private", "Protect", "Restrict", "NoNew", "System", "Lock", "Memory", "Capability"))
