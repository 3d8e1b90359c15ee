"""The daemon is what a service manager expects: activated, telling, draining, leaving when idle.

``test_systemd.py`` has the real one; these need no privilege.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from storaged.sample import SampleSpec, write_store
from tests.e2e.manager import Manager
from tests.support.client import Client
from tests.support.daemon import STORAGED, Daemon, flags, serving, started

from .load import under_load

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
            info = client.call("server.info")
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
            client.request("server.ping")
        assert daemon.await_exit() == 0
        assert "reason=idle" in daemon.log
        assert os.path.exists(daemon.path)
    manager.close()


@needs_activate
def test_the_only_socket_is_served_whatever_its_name(short_dir: Path) -> None:
    manager = Manager(short_dir / "n")
    with activated(short_dir, manager, name="other") as daemon:
        listening(daemon)
        with Client(daemon.path) as client:
            assert "result" in client.request("server.ping")
    manager.close()


@needs_activate
def test_stop_ends_an_activated_daemon(short_dir: Path) -> None:
    manager = Manager(short_dir / "n")
    with activated(short_dir, manager) as daemon:
        listening(daemon)
        with Client(daemon.path) as client:
            client.request("server.ping")
        assert subprocess.run([*STORAGED, "stop", "--socket", daemon.path]).returncode == 0
        assert daemon.await_exit() == 0
    manager.close()


@BACKENDS
def test_daemons_that_follow_each_other_on_one_socket_lose_no_answer(short_dir: Path, backend: str) -> None:
    write_store(short_dir / "root", short_dir / "run", SampleSpec(images=20, seed=1))
    path = str(short_dir / "s")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(128)
        # bash puts it where the convention has it, and keeps its own pid.
        script = f'exec 3<&{listener.fileno()} && LISTEN_FDS=1 LISTEN_PID=$$ exec "$@"'
        command = ["bash", "-c", script, "bash", *STORAGED, "serve", *flags(short_dir, "--backend", backend)]
        with under_load(path) as load:
            for last in (False, False, False, True):
                with started(command, path, pass_fds=[listener.fileno()]) as daemon:
                    if last:
                        load.end()
                    else:
                        load.await_another_daemon()
                    daemon.signal(signal.SIGTERM)
                    assert daemon.await_exit() == 0
    assert load.faults == []
    assert len(load.answered) >= 3, "no three daemons answered: nothing is shown"


@BACKENDS
def test_a_manager_that_watches_hears_that_the_daemon_is_well(short_dir: Path, backend: str) -> None:
    manager = Manager(short_dir / "n")
    environ = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "300000"}
    with serving(short_dir, "--backend", backend, environ=environ) as daemon:
        for _ in range(5):
            assert manager.await_field("WATCHDOG=") == "WATCHDOG=1"
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
    manager.close()


def test_a_watch_over_another_process_is_not_kept(short_dir: Path) -> None:
    manager = Manager(short_dir / "n")
    environ = {"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "30000", "WATCHDOG_PID": "1"}
    with serving(short_dir, environ=environ) as daemon:
        with daemon.client() as client:
            manager.await_field("READY=")
            client.settle()
        daemon.signal(signal.SIGTERM)
        manager.await_field("STOPPING=")
        assert daemon.await_exit() == 0
    assert not any("WATCHDOG" in text for text in manager.heard)
    manager.close()


def test_a_daemon_that_cannot_serve_tells_the_manager_why(short_dir: Path) -> None:
    manager = Manager(short_dir / "n")
    with serving(short_dir) as first:
        path = str(short_dir / "t")
        command = [*STORAGED, "serve", *flags(short_dir, "--socket", path)]
        with started(command, path, {"NOTIFY_SOCKET": manager.path}) as second:
            status = manager.await_field("STATUS=cannot serve: ")
            assert f"pid {first.process.pid}" in status
            assert second.await_exit() == 75
    manager.close()


@needs_activate
def test_an_activated_daemon_waits_for_one_that_is_ending_and_then_answers(short_dir: Path) -> None:
    manager = Manager(short_dir / "n")
    with serving(short_dir, socket="first") as first, activated(short_dir, manager) as second:
        listening(second)
        with Client(second.path) as client:
            client.ask("server.info")
            assert f"pid {first.process.pid}" in manager.await_field("STATUS=waiting: ")
            first.signal(signal.SIGTERM)
            assert first.await_exit() == 0
            assert client.line()["result"]["pid"] == second.process.pid
    manager.close()
