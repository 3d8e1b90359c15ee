"""The daemon is what a service manager expects: activated, telling, draining, leaving when idle."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

from .daemons import STORAGED, Client, Daemon, Manager, flags, started

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])
needs_activate = pytest.mark.skipif(not shutil.which("systemd-socket-activate"), reason="no systemd-socket-activate")


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
