"""SIGHUP: a real daemon lives by the file as it is now, and tells what it cannot."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from storaged.sample import SampleSpec, write_store
from tests.e2e.manager import Manager
from tests.support.daemon import PATIENCE, Daemon, serving

NOBODY = 65534

_ASK = """
import socket, sys
peer = socket.socket(socket.AF_UNIX)
peer.connect(sys.argv[1])
peer.sendall(b'{"jsonrpc":"2.0","id":1,"method":"server.shutdown"}\\n')
print(peer.makefile().readline())
"""

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])


def reload(daemon: Daemon, config: Path, text: str, said: str) -> str:
    config.write_text(text)
    daemon.signal(signal.SIGHUP)
    return daemon.await_line(said, anywhere=True)


@BACKENDS
def test_the_limits_of_the_changed_file_are_lived_by_and_a_bad_file_changes_nothing(
    short_dir: Path, backend: str
) -> None:
    config = short_dir / "storaged.toml"
    config.write_text("[limits]\nin_flight = 7\n")
    manager = Manager(short_dir / "n")
    with (
        serving(
            short_dir, "--backend", backend, "--config", str(config), environ={"NOTIFY_SOCKET": manager.path}
        ) as daemon,
        daemon.client() as client,
    ):
        limits = client.call("server.info")["limits"]
        manager.await_field("READY=1")
        line = reload(daemon, config, "[limits]\nin_flight = 9\n", "configuration reloaded")
        assert line.endswith("changed=limits.in_flight\n")
        manager.await_field("RELOADING=1")
        manager.await_field("READY=1")
        assert client.call("server.info")["limits"] == {**limits, "in_flight": 9}
        reload(daemon, config, "[limits]\nin_flight = 0\nbatch = true\n", "configuration not reloaded")
        daemon.await_line("configuration not reloaded", anywhere=True)
        line = reload(daemon, config, "[limits]\nin_flight = 9\n", "configuration reloaded")
        assert line.endswith("changed=-\n")
        assert client.call("server.info")["limits"] == {**limits, "in_flight": 9}
    manager.close()


@BACKENDS
def test_an_idle_exit_that_is_set_later_ends_the_daemon(short_dir: Path, backend: str) -> None:
    config = short_dir / "storaged.toml"
    config.write_text("")
    with serving(short_dir, "--backend", backend, "--config", str(config)) as daemon:
        reload(daemon, config, 'idle_exit = "200ms"\n', "changed=idle_exit")
        assert daemon.await_exit() == 0
        assert "reason=idle" in daemon.log


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another uid needs root")
@pytest.mark.skipif(not os.access("/usr/bin/python3", os.X_OK), reason="needs a python that every user may run")
def test_a_uid_that_is_granted_later_may_change_the_store_and_one_that_no_longer_is_may_not(short_dir: Path) -> None:
    write_store(short_dir / "root", short_dir / "run", SampleSpec(images=3, seed=1))
    config = short_dir / "storaged.toml"
    config.write_text("")

    def answer() -> str:
        short_dir.chmod(0o755)
        Path(daemon.path).chmod(0o666)
        return subprocess.run(
            ["/usr/bin/python3", "-c", _ASK, daemon.path],
            user=NOBODY,
            group=NOBODY,
            extra_groups=[],
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=True,
        ).stdout

    with serving(short_dir, "--config", str(config)) as daemon:
        reload(daemon, config, f"[access]\nuids = [{NOBODY}]\n", "changed=access.uids")
        reload(daemon, config, "", "changed=access.uids")
        assert "NotPermitted" in answer()
        reload(daemon, config, f"[access]\nuids = [{NOBODY}]\n", "changed=access.uids")
        assert '"result"' in answer()
        assert daemon.await_exit() == 0


def test_a_log_level_and_a_way_to_read_lists_that_are_set_later_hold(short_dir: Path) -> None:
    config = short_dir / "storaged.toml"
    config.write_text("")
    with serving(short_dir, "--config", str(config)) as daemon, daemon.client() as client:
        before = client.call("server.ping")["generation"]
        reload(daemon, config, 'compat = "podman"\n', "changed=compat")
        assert client.call("server.ping")["generation"] != before
        reload(daemon, config, 'log_level = "error"\n', "changed=log_level,compat")
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
    assert "draining" not in daemon.log
