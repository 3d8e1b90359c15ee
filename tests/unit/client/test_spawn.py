from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import storaged_client
from storaged_client import spawn, spawn_record
from storaged_client.contract.errors import NotPermitted
from storaged_client.contract.version import VERSION
from storaged_client.errors import DaemonUnavailable, SocketForbidden
from tests.support.server import Server
from tests.support.user_unit import enable

ROOT = str(Path(__file__).parents[3])


@pytest.fixture
def path(short_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("XDG_STATE_HOME", str(short_dir / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(short_dir / "config"))
    monkeypatch.setenv("PYTHONPATH", ROOT)
    monkeypatch.delenv("STORAGED_NO_SPAWN", raising=False)
    (short_dir / "run").mkdir(mode=0o700)
    path = str(short_dir / "run" / "s")
    yield path
    try:
        with storaged_client.connect(path) as client:
            client.call("server.shutdown")
    except DaemonUnavailable:
        pass


@pytest.fixture
def daemon(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    def use(how: str) -> None:
        words = how.split(maxsplit=1)
        monkeypatch.setattr(
            spawn, "command", lambda path: [sys.executable, "-m", "tests.unit.client.daemon", path, *words]
        )

    use("")
    return use


def test_the_command_is_the_daemon_of_this_interpreter(path: str) -> None:
    assert spawn.command(path) == [
        sys.executable, "-m", "storaged", "serve", "--socket", path, "--idle-exit", "10min",
    ]  # fmt: skip


def test_a_daemon_is_started_only_when_asked(path: str, daemon: Callable[[str], None]) -> None:
    with pytest.raises(DaemonUnavailable):
        storaged_client.connect(path)
    with storaged_client.connect(path, spawn=True) as client:
        pid = client.call("server.info")["pid"]
    with storaged_client.connect(path, spawn=True) as again:
        assert again.call("server.info")["pid"] == pid
    assert json.loads(Path(path + ".spawned").read_text()) == {"pid": pid, "version": VERSION}
    assert os.getsid(pid) == pid != os.getsid(0)


def test_of_racing_clients_one_starts_the_daemon(path: str, daemon: Callable[[str], None]) -> None:
    code = (
        "import sys, storaged_client; from storaged_client import spawn;"
        "spawn.command = lambda path: [sys.executable, '-m', 'tests.unit.client.daemon', path];"
        f"print(storaged_client.connect({path!r}, spawn=True).call('server.info')['pid'])"
    )
    racing = [
        subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], stdout=subprocess.PIPE, text=True)
        for _ in range(8)
    ]
    pids = {process.communicate(timeout=25)[0] for process in racing}
    assert len(pids) == 1
    assert pids.pop().strip().isdigit()


def test_of_racing_threads_one_starts_the_daemon(path: str, daemon: Callable[[str], None]) -> None:
    def ask(_: int) -> int:
        with storaged_client.connect(path, spawn=True) as client:
            return int(client.call("server.info")["pid"])

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(ask, range(8)))) == 1


def test_a_failed_start_shows_the_last_lines_of_this_starts_log(path: str, daemon: Callable[[str], None]) -> None:
    log = Path(spawn_record.log_path())
    log.parent.mkdir(parents=True)
    log.write_text("a line of another day\n")
    daemon("fail")
    with pytest.raises(DaemonUnavailable, match="the store is not here\nso this daemon ends") as caught:
        storaged_client.connect(path, spawn=True)
    assert "another day" not in str(caught.value)
    assert log.read_text().startswith("a line of another day\n")


def test_a_daemon_that_finds_the_store_served_is_tried_again(
    path: str, daemon: Callable[[str], None], short_dir: Path
) -> None:
    daemon(f"busy {short_dir}/tried")
    with storaged_client.connect(path, spawn=True) as client:
        assert client.call("echo", [1]) == [1]
    assert (short_dir / "tried").exists()


def test_a_daemon_that_never_listens_is_ended(path: str, daemon: Callable[[str], None]) -> None:
    daemon("never")
    with pytest.raises(DaemonUnavailable):
        storaged_client.connect(path, spawn=True, timeout=1.0)
    pid = json.loads(Path(path + ".spawned").read_text())["pid"]
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_starting_can_be_forbidden(path: str, daemon: Callable[[str], None], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGED_NO_SPAWN", "1")
    with pytest.raises(DaemonUnavailable, match="STORAGED_NO_SPAWN"):
        storaged_client.connect(path, spawn=True)
    assert os.listdir(os.path.dirname(path)) == []


def test_an_enabled_unit_is_not_stood_in_for(path: str, daemon: Callable[[str], None], short_dir: Path) -> None:
    enable(short_dir / "config", path)
    with pytest.raises(DaemonUnavailable, match=r"systemctl --user start storaged\.socket"):
        storaged_client.connect(path, spawn=True)


def test_a_daemon_started_by_another_version_is_replaced(path: str, daemon: Callable[[str], None]) -> None:
    mark = Path(path + ".spawned")
    with storaged_client.connect(path, spawn=True) as client:
        old = client.call("server.info")["pid"]
    mark.write_text(json.dumps({"pid": old, "version": "0.0.1"}))
    with storaged_client.connect(path, spawn=True) as client:
        new = client.call("server.info")["pid"]
    assert new != old
    with pytest.raises(ProcessLookupError):
        os.kill(old, 0)
    assert json.loads(mark.read_text()) == {"pid": new, "version": VERSION}


def test_a_daemon_nobody_started_here_is_left_alone(path: str, daemon: Callable[[str], None]) -> None:
    for mark in ('{"pid": 1, "version": "0.0.1"}', "[]", "{", ""):
        Path(path + ".spawned").write_text(mark)
        with Server(path) as server, storaged_client.connect(path, spawn=True) as client:
            assert client.call("echo", [1]) == [1]
        assert server.requests == [("echo", [1])]


def test_a_long_log_is_put_aside(path: str, daemon: Callable[[str], None]) -> None:
    log = Path(spawn_record.log_path())
    log.parent.mkdir(parents=True)
    log.write_bytes(b"x" * (1024 * 1024 + 1))
    with storaged_client.connect(path, spawn=True):
        assert log.stat().st_size < 10_000
    assert log.with_name(log.name + ".1").stat().st_size > 1024 * 1024


# ---------------------------------------------------------------- the mark


def test_a_mark_is_read_as_it_was_written_and_put_back(short_dir: Path) -> None:
    path = str(short_dir / "s")
    assert spawn_record.read(path) == {}
    spawn_record.write(path, 41)
    earlier = spawn_record.read(path)
    assert earlier == {"pid": 41, "version": VERSION}
    spawn_record.write(path, 42)
    assert spawn_record.is_spawned(path, 42)
    assert not spawn_record.is_spawned(path, 41)
    spawn_record.restore(path, earlier)
    assert spawn_record.is_spawned(path, 41)
    spawn_record.restore(path, {})
    assert spawn_record.read(path) == earlier
    assert os.listdir(short_dir) == ["s.spawned"]


def test_only_a_mark_of_another_version_makes_its_own_daemon_old(short_dir: Path) -> None:
    path = str(short_dir / "s")
    spawn_record.write(path, 41)
    assert not spawn_record.is_old(path, 41)
    spawn_record.restore(path, {"pid": 41, "version": "0.0.1"})
    assert spawn_record.is_old(path, 41)
    assert not spawn_record.is_old(path, 42)


def test_a_mark_that_cannot_be_written_costs_no_client_its_daemon(
    path: str, daemon: Callable[[str], None], short_dir: Path
) -> None:
    os.makedirs(path + ".spawned")  # nothing can be renamed over it
    with storaged_client.connect(path, spawn=True) as client:
        assert client.call("echo", [1]) == [1]
    assert spawn_record.read(path) == {}


@pytest.mark.skipif(os.geteuid() != 0, reason="another uid is needed")
def test_a_mark_of_another_user_ends_no_daemon(short_dir: Path) -> None:
    path = str(short_dir / "s")
    spawn_record.restore(path, {"pid": os.getpid(), "version": "0.0.1"})
    with Server(path) as server:
        os.chown(path + ".spawned", 65534, 65534)
        with storaged_client.connect(path, spawn=True) as client:
            assert client.call("echo", [1]) == [1]
    assert server.requests == [("echo", [1])]


def test_a_mark_that_is_a_link_is_none(short_dir: Path) -> None:
    path = str(short_dir / "s")
    spawn_record.write(path, 41)
    os.rename(path + ".spawned", short_dir / "elsewhere")
    os.symlink(short_dir / "elsewhere", path + ".spawned")
    assert spawn_record.read(path) == {}


def test_an_old_daemon_that_refuses_to_end_is_told_by_its_own_words(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(short_dir / "state"))
    monkeypatch.delenv("STORAGED_NO_SPAWN", raising=False)
    path = str(short_dir / "s")
    spawn_record.restore(path, {"pid": os.getpid(), "version": "0.0.1"})
    refusal = NotPermitted("it is not for you to end it")
    with Server(path, {"server.shutdown": refusal}), pytest.raises(DaemonUnavailable, match="not for you to end it"):
        storaged_client.connect(path, spawn=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="another uid is needed")
def test_a_folder_that_takes_no_lock_is_77(path: str, daemon: Callable[[str], None]) -> None:
    for folder in Path(path).parents[:2]:
        folder.chmod(0o755)
    os.seteuid(65534)
    try:
        with pytest.raises(SocketForbidden, match=r"spawn\.lock"):
            storaged_client.connect(path, spawn=True)
    finally:
        os.seteuid(0)
