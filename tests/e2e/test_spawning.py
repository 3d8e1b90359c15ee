"""A daemon that nobody started: clients start the real one, one for all, whoever dies meanwhile."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from storaged_client.contract.version import VERSION
from tests.e2e.homes import Home, ended, home, kill, until
from tests.e2e.manager import Manager
from tests.support.client import Client
from tests.support.daemon import STORAGECTL, STORAGED, started

pytestmark = pytest.mark.timeout(120)
"""Several processes a test: on a busy machine each start takes seconds."""

CLIENTS = 50
NOBODY = 65534


@pytest.fixture
def user(short_dir: Path) -> Iterator[Home]:
    with home(short_dir) as user:
        user.lay()
        yield user


def race(user: Home) -> list[subprocess.Popen[str]]:
    """Fifty processes that ask at once, each starting a daemon where it finds none."""
    return [user.begin([*STORAGECTL, "call", "server.info"]) for _ in range(CLIENTS)]


def answers(clients: list[subprocess.Popen[str]]) -> set[int]:
    """The pids of the daemons that answered them; none may be without an answer."""
    done = [ended(client) for client in clients]
    assert [one.stderr for one in done if one.returncode] == []
    return {json.loads(one.stdout)["pid"] for one in done}


@pytest.mark.timeout(180)
def test_of_fifty_racing_clients_one_starts_the_daemon_and_all_are_answered(user: Home) -> None:
    pids = answers(race(user))
    assert pids == {user.marked()} == set(user.daemons())
    assert user.log.read_text().count("ready: listening on") == 1
    assert "cannot serve" not in user.log.read_text()


def test_the_client_that_starts_a_daemon_and_info_name_its_log(user: Home) -> None:
    told = user.ctl("--log-level", "info", "images", "-q")
    assert told.returncode == 0
    (line,) = told.stderr.splitlines()
    assert f'level=info msg="a daemon was started, pid {user.marked()}; its log is {user.log}"' in line
    again = user.ctl("--log-level", "info", "images", "-q")
    assert (again.returncode, again.stderr) == (0, "")
    shown = user.ctl("info")
    assert f"\nlog            {user.log}\n" in shown.stdout
    # Where it writes is asked of the daemon's process, not of this client's environment.
    elsewhere = {"XDG_STATE_HOME": str(user.folder / "another")}
    assert json.loads(user.ctl("info", "--format", "json", environ=elsewhere).stdout)["log"] == str(user.log)


@pytest.mark.timeout(180)
def test_a_daemon_killed_at_its_start_and_one_killed_in_service_cost_no_racing_client_its_answer(user: Home) -> None:
    clients = race(user)
    first = until(user.marked, 60)
    kill(first)
    second = until(lambda: user.marked() not in (0, first) and user.marked(), 60)
    until(lambda: served(user) == second, 60)
    kill(second)
    answers(clients)
    third = user.info()["pid"]
    assert third not in (first, second)
    assert user.daemons() == [third]
    assert user.marked() == third


def served(user: Home) -> int:
    """The pid of the daemon that answers; 0 where none does."""
    try:
        with Client(user.path) as client:
            return int(client.call("server.info")["pid"])
    except OSError:
        return 0


def test_a_daemon_whose_client_was_killed_while_it_started_is_the_next_ones_and_keeps_its_mark(user: Home) -> None:
    starter = user.begin([*STORAGECTL, "call", "server.info"])
    first = until(user.marked, 60)
    os.kill(first, signal.SIGSTOP)
    starter.kill()
    ended(starter)
    follower = user.begin([*STORAGECTL, "call", "server.info"])
    second = until(lambda: user.marked() not in (0, first) and user.marked(), 60)  # nobody listens yet
    os.kill(second, signal.SIGSTOP)
    os.kill(first, signal.SIGCONT)
    assert json.loads(ended(follower).stdout)["pid"] == first
    os.kill(second, signal.SIGCONT)
    until(lambda: user.daemons() == [first])
    assert user.marked() == first == user.info()["pid"]


def test_a_daemon_that_is_killed_again_and_again_is_given_up_with_its_log(user: Home) -> None:
    client = user.begin([*STORAGECTL, "images"])
    seen: set[int] = set()
    while client.poll() is None:
        for pid in user.daemons():
            seen.add(pid)
            kill(pid)
    done = ended(client)
    assert done.returncode == 69
    assert "did not start (signal 9)" in done.stderr
    assert str(user.log) in done.stderr
    assert len(seen) == 3


_ASYNC = """
import anyio, sys, storaged_client

async def ask(pids):
    async with storaged_client.aconnect(spawn=True) as client:
        pids.add((await client.server.info()).pid)

async def main():
    pids = set()
    async with anyio.create_task_group() as tasks:
        for _ in range(10):
            tasks.start_soon(ask, pids)
    print(*pids)

anyio.run(main, backend=sys.argv[1])
"""


@pytest.mark.parametrize("backend", ["trio", "asyncio"])
def test_of_racing_async_clients_one_starts_the_daemon(user: Home, backend: str) -> None:
    done = ended(user.begin([sys.executable, "-c", _ASYNC, backend]))
    assert done.returncode == 0, done.stderr
    assert [int(pid) for pid in done.stdout.split()] == user.daemons() == [user.marked()]
    assert "cannot serve" not in user.log.read_text()


def test_a_start_that_fails_says_why_in_the_daemons_own_words(user: Home) -> None:
    os.chmod(os.path.dirname(user.path), 0o777)
    done = user.ctl("images")
    assert done.returncode == 69
    assert "did not start (exit status 78)" in done.stderr
    assert "cannot serve error=" in done.stderr
    assert f"anyone can replace files in {os.path.dirname(user.path)}" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_storage_conf_that_cannot_be_used_is_told_and_nothing_started(user: Home) -> None:
    user.conf.write_text('[storage]\ndriver = "overlay"\ngraphroot = \n')
    done = user.ctl("images")
    assert done.returncode == 125
    assert f"{user.conf}: Invalid value (at line 3" in done.stderr
    assert user.daemons() == []
    assert "Traceback" not in done.stderr


def test_what_a_crash_left_is_harmless(user: Home) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(user.path)
    for name in (".spawn.lock", ".spawned"):
        Path(user.path + name).write_text(f'{{"pid": {os.getpid()}, "version": "0.0.1"}}\n')
    Path(os.path.dirname(user.path), ".storaged-abcdef").touch()
    assert [user.info()["pid"]] == user.daemons() == [user.marked()]


def test_a_daemon_killed_in_service_is_followed_by_another(user: Home) -> None:
    first = user.info()["pid"]
    kill(first)
    assert os.path.exists(user.path)
    second = user.info()["pid"]
    assert second != first
    assert user.daemons() == [second]


def test_a_file_in_the_sockets_place_is_left_as_it_is(user: Home) -> None:
    Path(user.path).write_text("precious")
    done = user.ctl("images")
    assert done.returncode == 69
    assert "is not a socket" in done.stderr
    assert Path(user.path).read_text() == "precious"


@pytest.mark.parametrize("how", ["flag", "variable"])
def test_without_leave_nothing_is_started_and_nothing_made(user: Home, how: str) -> None:
    done = user.ctl(
        *(["--no-spawn"] if how == "flag" else []),
        "images",
        environ={"STORAGED_NO_SPAWN": "1"} if how != "flag" else {},
    )
    assert done.returncode == 69
    assert f"storaged serve --socket {user.path}" in done.stderr
    assert os.listdir(os.path.dirname(user.path)) == []
    assert user.daemons() == []


def test_a_daemon_of_a_service_does_not_speak_to_its_manager(user: Home) -> None:
    manager = Manager(user.folder / "notify")
    try:
        user.info(environ={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "1000000"})
        manager.socket.setblocking(False)
        with pytest.raises(BlockingIOError):
            manager.socket.recv(4096)
    finally:
        manager.close()


def test_a_path_the_kernel_does_not_take_is_told_and_nothing_is_started(user: Home) -> None:
    long = str(user.folder / ("x" * 120))
    done = user.ctl("--socket", long, "images")
    assert done.returncode == 125
    assert "the kernel accepts 107: choose a shorter one" in done.stderr
    served = subprocess.run([*STORAGED, "serve", "--socket", long], env=user.environ, capture_output=True, text=True)
    assert served.returncode == 78
    assert "the kernel accepts 107: choose a shorter one" in served.stderr
    assert not user.log.exists()


# ---------------------------------------------------------------- other users

other_user = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another uid needs root")
"""The code is loaded before the right to read it is given up: not every user may run this interpreter."""


OTHER_STORE = ("STORAGED_SOCKET", "CONTAINERS_STORAGE_CONF", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
"""Without these a process means the default store of its user."""


def as_other(user: Home, uid: int, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in user.environ.items() if name not in OTHER_STORE}
    code = (
        "import os, sys; from storaged_client import address, spawn, sync; import filelock; "
        "from storaged_client.cli import exits, main, invocation, call; "
        "from storaged_client.contract import errors; "
        "from storaged_client import errors as e, systemd_units, version_mismatch; "
        f"os.setgroups([]); os.setgid({uid}); os.setuid({uid}); "
        "sys.exit(main.main(sys.argv[1:]))"
    )
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        env=environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


@other_user
@pytest.mark.parametrize("closed", ["socket", "folder"])
def test_a_socket_of_another_user_is_77_and_starts_nothing(user: Home, closed: str) -> None:
    user.info()
    user.folder.chmod(0o755)
    os.chmod(os.path.dirname(user.path), 0o755 if closed == "socket" else 0o700)
    before = sorted(os.listdir(os.path.dirname(user.path)))
    done = as_other(user, NOBODY, "--socket", user.path, "call", "server.info")
    assert done.returncode == 77, done.stderr
    assert "Permission denied" in done.stderr
    assert sorted(os.listdir(os.path.dirname(user.path))) == before
    assert user.daemons() == [user.marked()]


@other_user
def test_a_folder_in_tmp_that_somebody_else_made_first_is_77_and_starts_nothing(user: Home) -> None:
    uid = 2_000_000_000 + os.getpid()
    folder = Path(f"/tmp/storaged-{uid}")
    folder.mkdir(mode=0o755)
    try:
        done = as_other(user, uid, "call", "server.info")
        assert done.returncode == 77, done.stderr
        assert f"{folder} is not a folder of this user with mode 0700" in done.stderr
        assert list(folder.iterdir()) == []
    finally:
        folder.rmdir()


@other_user
@pytest.mark.parametrize("where", ["/tmp", "/run/user"])
def test_without_a_runtime_variable_daemon_and_client_meet_in_a_folder_of_their_own(user: Home, where: str) -> None:
    uid = 2_000_000_000 + os.getpid()
    base = Path("/run/user", str(uid))
    if where == "/run/user":
        base.mkdir(mode=0o700, parents=True)
        os.chown(base, uid, uid)
        path = f"{base}/storaged/storaged.sock"
    else:
        path = f"/tmp/storaged-{uid}/storaged.sock"
    user.folder.chmod(0o755)
    for name in ("root", "runroot"):
        subprocess.run(["chown", "-R", f"{uid}:{uid}", str(user.folder / name)], check=True)
    environ = {name: value for name, value in user.environ.items() if name not in OTHER_STORE}
    code = (
        "import os, sys; import storaged.cli, storaged.daemon, trio, anyio._backends._trio, encodings.utf_8_sig; "
        f"os.setgroups([]); os.setgid({uid}); os.setuid({uid}); sys.exit(storaged.cli.main(['serve']))"
    )
    try:
        with started([sys.executable, "-c", code], path, environ) as daemon:
            assert daemon.await_line("ready: ") == f"ready: listening on {path}\n"
            assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
            done = as_other(user, uid, "--no-spawn", "call", "server.info")
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["pid"] == daemon.process.pid
            daemon.signal(signal.SIGTERM)
            assert daemon.await_exit() == 0
            assert not os.path.exists(path)
    finally:
        subprocess.run(["rm", "-rf", os.path.dirname(path), *([str(base)] if where == "/run/user" else [])], check=True)


# ---------------------------------------------------------------- whose socket is whose


def test_a_daemon_that_lost_its_path_to_another_leaves_it_alone_at_its_end(user: Home) -> None:
    pid = user.info()["pid"]
    os.rename(user.path, user.path + ".old")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(user.path)
        other.listen(1)
        inode = os.stat(user.path).st_ino
        kill(pid, signal.SIGTERM)
        assert os.stat(user.path).st_ino == inode


def test_a_daemon_started_by_hand_is_not_replaced_whatever_a_mark_says(user: Home) -> None:
    user.mark.write_text(json.dumps({"pid": 1, "version": "0.0.1"}))
    with started([*STORAGED, "serve"], user.path, user.environ) as daemon:
        daemon.await_line("ready: ")
        assert user.info()["pid"] == daemon.process.pid
        with Client(user.path) as client:
            assert client.call("server.info")["version"] == VERSION
