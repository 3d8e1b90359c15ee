"""Which store a client means: the one podman would use here, or a refusal; never another one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import storaged_client
from storaged.sample import SampleSpec, write_store
from storaged_client import address
from storaged_client.contract.errors import WrongStore
from storaged_client.errors import SocketForbidden
from storaged_client.stores import digest
from tests.e2e.homes import kill
from tests.e2e.versions import older
from tests.support.daemon import STORAGECTL, STORAGED, Daemon, started

other_user = pytest.mark.skipif(os.geteuid() != 0, reason="becoming another uid needs root")
NOBODY = 65534


class Machine:
    """Two stores, ``a`` and ``b``, each with a storage.conf, and a user who calls neither the default one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for number, name in enumerate("ab"):
            write_store(folder / name, folder / f"run-{name}", SampleSpec(images=5, seed=number + 1))
            (folder / f"{name}.conf").write_text(
                f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/{name}"\nrunroot = "{folder}/run-{name}"\n'
            )
        (folder / "run").mkdir()
        self.socket = str(folder / "run" / "s")
        dropped = ("STORAGED_SOCKET", "CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER", "STORAGE_OPTS")
        self.environ = {name: value for name, value in os.environ.items() if name not in dropped} | {
            "HOME": str(folder),
            "XDG_STATE_HOME": str(folder / "state"),
            "PYTHONSAFEPATH": "1",
        }

    def ctl(self, *arguments: str, cwd: Path | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*STORAGECTL, *arguments],
            env={**self.environ, **environ},
            cwd=cwd or self.folder,
            capture_output=True,
            text=True,
            timeout=60,
        )

    def flags(self, name: str) -> list[str]:
        return ["--root", str(self.folder / name), "--runroot", str(self.folder / f"run-{name}")]

    def ids(self, name: str) -> set[str]:
        return {
            image["id"][:12] for image in json.loads((self.folder / name / "overlay-images/images.json").read_text())
        }

    def conf(self, name: str) -> dict[str, str]:
        return {"CONTAINERS_STORAGE_CONF": str(self.folder / f"{name}.conf")}


@pytest.fixture
def machine(short_dir: Path) -> Iterator[Machine]:
    made = Machine(short_dir)
    yield made
    for pid in daemons_of(made):
        kill(pid, signal.SIGTERM)
    for name in "ab":
        for path in Path(address.default()).parent.glob(f"store-{digest(str(short_dir / name))}.sock*"):
            path.unlink()


def daemons_of(machine: Machine) -> list[int]:
    """Daemons of these stores that clients started."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0") if entry.name.isdigit() else []
            environ = (entry / "environ").read_bytes() if b"serve" in words else b""
        except OSError:
            continue
        if os.fsencode(str(machine.folder)) in environ:
            found.append(int(entry.name))
    return found


@pytest.fixture
def served(machine: Machine) -> Iterator[Daemon]:
    """A daemon of store ``a`` at ``machine.socket``."""
    command = [*STORAGED, "serve", "--socket", machine.socket]
    with started(command, machine.socket, {**machine.environ, **machine.conf("a")}) as daemon:
        daemon.await_line("ready: ")
        yield daemon


@pytest.mark.parametrize(
    "command", [["rmi", "-a", "-f"], ["image", "prune", "-a", "-f"], ["images"], ["call", "server.ping"]], ids=" ".join
)
@pytest.mark.parametrize("how", ["file", "flags before", "flags behind"])
def test_a_daemon_of_another_store_answers_and_changes_nothing(
    machine: Machine, served: Daemon, command: list[str], how: str
) -> None:
    before = machine.ids("a"), machine.ids("b")
    named = ["--socket", machine.socket]
    if how == "file":
        done = machine.ctl(*named, *command, **machine.conf("b"))
    elif how == "flags before":
        done = machine.ctl(*named, *machine.flags("b"), *command)
    else:
        done = machine.ctl(*named, *command, *machine.flags("b"))
    assert (done.returncode, done.stdout) == (125, "")
    if command[0] == "call":
        error = json.loads(done.stderr)
        assert error["data"]["name"] == "WrongStore"
        assert error["data"]["asked"]["graphroot"] == str(machine.folder / "b")
        assert error["data"]["serves"]["graphroot"] == str(machine.folder / "a")
    else:
        assert str(machine.folder / "a") in done.stderr
        assert str(machine.folder / "b") in done.stderr
    assert (machine.ids("a"), machine.ids("b")) == before


def test_a_socket_without_a_store_means_what_is_served_there(machine: Machine, served: Daemon) -> None:
    for environ in ({}, machine.conf("a"), {"STORAGE_DRIVER": "vfs"}):
        done = machine.ctl("--socket", machine.socket, "images", "-qa", **environ)
        assert (done.returncode, done.stderr) == (0, "")
        assert set(done.stdout.split()) <= machine.ids("a")
    link = machine.folder / "link"
    link.symlink_to(machine.folder / "a")
    done = machine.ctl("--socket", machine.socket, "--root", str(link), "images", "-q")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("flags", "member"),
    [(["--runroot", "/elsewhere"], "runroot"), (["--storage-driver", "vfs"], "driver"),
     (["--storage-opt", "overlay.imagestore=/ro"], "additional_stores")],
    ids=["runroot", "driver", "options"],
)  # fmt: skip
def test_the_rest_of_a_store_is_compared_where_it_was_chosen(
    machine: Machine, served: Daemon, flags: list[str], member: str
) -> None:
    root = ["--root", str(machine.folder / "a")]
    assert machine.ctl("--socket", machine.socket, *root, "call", "server.ping").returncode == 0
    done = machine.ctl("--socket", machine.socket, *root, *flags, "call", "server.ping")
    assert done.returncode == 125
    data = json.loads(done.stderr.splitlines()[-1])["data"]
    assert data["asked"][member] != data["serves"][member]


def test_each_store_has_a_socket_and_a_daemon_of_its_own_without_a_flag(machine: Machine) -> None:
    """The first of them is named by a file given relative to where the client stands, which the daemon does not."""
    sockets = set()
    for name in "ab":
        done = machine.ctl("call", "server.info", CONTAINERS_STORAGE_CONF=f"{name}.conf")
        assert done.returncode == 0, done.stderr
        info = json.loads(done.stdout)
        assert info["graphroot"] == str(machine.folder / name)
        assert os.path.dirname(info["socket"]) == os.path.dirname(address.default())
        sockets.add(info["socket"])
        by_flags = machine.ctl("call", "server.info", *machine.flags(name))
        assert json.loads(by_flags.stdout)["pid"] == info["pid"], by_flags.stderr
    assert len(sockets) == 2
    assert address.default() not in sockets
    kept = machine.ids("a")
    assert machine.ctl("image", "prune", "-af", **machine.conf("b")).returncode == 0
    assert machine.ids("a") == kept
    stopped = subprocess.run(
        [*STORAGED, "stop"], env={**machine.environ, **machine.conf("b")}, capture_output=True, text=True
    )
    assert stopped.returncode == 0, stopped.stderr
    assert machine.ctl("--no-spawn", "images", **machine.conf("b")).returncode == 69
    assert machine.ctl("--no-spawn", "images", **machine.conf("a")).returncode == 0


def test_a_daemon_without_a_socket_listens_at_its_stores_own(machine: Machine) -> None:
    command = [*STORAGED, "serve", *machine.flags("a")]
    with started(command, "", machine.environ) as daemon:
        ready = daemon.await_line("ready: ")
        assert ready.startswith(f"ready: listening on {os.path.dirname(address.default())}/store-")
        done = machine.ctl("--no-spawn", "call", "server.info", *machine.flags("a"))
        assert json.loads(done.stdout)["pid"] == daemon.process.pid


def test_the_python_clients_take_podmans_flags(machine: Machine, served: Daemon) -> None:
    right, wrong = str(machine.folder / "a"), str(machine.folder / "b")
    with storaged_client.connect(machine.socket, root=right) as store:
        assert store.images.list()
        assert store.call("images.exists", ["none"])["exists"] is False
    with storaged_client.connect(machine.socket, root=wrong) as store:
        for ask in (lambda: store.images.list(), lambda: store.call("images.exists", ["none"])):
            with pytest.raises(WrongStore) as caught:
                ask()
            assert caught.value.data["serves"]["graphroot"] == right


@pytest.mark.anyio
async def test_the_async_client_takes_them_too(machine: Machine, served: Daemon) -> None:
    right, wrong = str(machine.folder / "a"), str(machine.folder / "b")
    async with storaged_client.aconnect(machine.socket, root=right) as store:
        assert await store.images.list()
    async with storaged_client.aconnect(machine.socket, root=wrong) as store:
        with pytest.raises(WrongStore):
            await store.images.prune(all=True)
        with pytest.raises(WrongStore):
            await store.call("images.exists", ["none"])


def test_a_store_served_elsewhere_is_told_at_once(machine: Machine, served: Daemon) -> None:
    """Counted, not timed: one try, and no second daemon."""
    done = machine.ctl("--socket", str(machine.folder / "run" / "other"), "images", **machine.conf("a"))
    assert done.returncode == 69
    assert f"pid {served.process.pid} already serves {machine.folder}/a on {machine.socket}" in done.stderr
    log = (machine.folder / "state" / "storaged" / "spawned.log").read_text()
    assert log.count("already serves") == 1


def test_a_store_served_elsewhere_is_asked_there_where_no_socket_was_given(machine: Machine, served: Daemon) -> None:
    for flags in ((), ("--no-spawn",)):
        done = machine.ctl(*flags, "call", "server.info", **machine.conf("a"))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["pid"] == served.process.pid
    assert not (machine.folder / "state").exists(), "a daemon was started to find the other one"
    with storaged_client.connect(root=str(machine.folder / "a")) as store:
        assert store.call("server.info")["pid"] == served.process.pid
    assert machine.ctl("--no-spawn", "images", **machine.conf("b")).returncode == 69


@pytest.mark.anyio
async def test_an_asynchronous_client_finds_it_as_well(machine: Machine, served: Daemon) -> None:
    async with storaged_client.aconnect(root=str(machine.folder / "a")) as store:
        assert (await store.call("server.info"))["pid"] == served.process.pid


def test_a_read_only_daemon_is_found_by_the_guard_outside_of_the_store(machine: Machine) -> None:
    command = [*STORAGED, "serve", "--read-only", "--socket", machine.socket, *machine.flags("a")]
    with started(command, machine.socket, machine.environ) as daemon:
        daemon.await_line("ready: ")
        done = machine.ctl("--no-spawn", "call", "server.info", *machine.flags("a"))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["pid"] == daemon.process.pid


def test_a_store_by_a_bind_mount_is_the_same_store(machine: Machine, served: Daemon) -> None:
    alias = machine.folder / "alias"
    alias.mkdir()
    mounted = subprocess.run(
        ["mount", "--bind", str(machine.folder / "a"), str(alias)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"nothing can be mounted here: {mounted.stderr.strip()}")
    try:
        done = machine.ctl("call", "server.info", "--root", str(alias))
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["pid"] == served.process.pid
    finally:
        subprocess.run(["umount", str(alias)], check=True)


def test_a_guard_of_a_daemon_that_is_gone_leads_nowhere(machine: Machine, served: Daemon) -> None:
    served.signal(signal.SIGKILL)
    served.await_exit()
    assert machine.ctl("--no-spawn", "images", **machine.conf("a")).returncode == 69
    assert machine.ctl("images", **machine.conf("a")).returncode == 0


def test_stop_takes_the_flags_that_name_a_store(machine: Machine, served: Daemon) -> None:
    def stop(*flags: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*STORAGED, "stop", *flags], env=machine.environ, capture_output=True, text=True)

    root = ["--root", str(machine.folder / "a")]
    wrong = stop("--socket", machine.socket, *machine.flags("b"))
    assert (wrong.returncode, str(machine.folder / "b") in wrong.stderr) == (125, True)
    for more in (["--runroot", "/elsewhere"], ["--storage-driver", "vfs"], ["--storage-opt", "overlay.imagestore=/ro"]):
        assert stop(*root, *more).returncode == 125
    assert served.process.poll() is None
    assert stop(*root, "--storage-driver", "overlay").returncode == 0
    assert served.await_exit() == 0
    assert stop(*root).returncode == 69


def test_info_names_both_places_where_the_rules_of_two_releases_differ(machine: Machine) -> None:
    environ = {**machine.conf("a"), "CONTAINERS_STORAGE_CONF_OVERRIDE": str(machine.folder / "b.conf")}
    told = json.loads(machine.ctl("info", "--format", "json", **environ).stdout)
    assert told["graphroots"] == {"1.62": str(machine.folder / "a"), "1.63": str(machine.folder / "b")}
    shown = machine.ctl("info", **environ).stdout
    for rules, name in (("1.62", "a"), ("1.63", "b")):
        assert f"by the rules   of containers/storage {rules}: {machine.folder}/{name}\n" in shown
    alone = machine.ctl("info", **machine.conf("a")).stdout
    assert "by the rules" not in alone


@pytest.mark.parametrize("path", ["http://x", "none/x"])
def test_no_folder_is_made_for_a_socket_but_the_defaults(machine: Machine, path: str) -> None:
    before = sorted(os.listdir(machine.folder))
    done = machine.ctl("--socket", path, "images", **machine.conf("a"))
    assert done.returncode in (69, 125)
    assert path.partition("/")[0] in done.stderr
    assert [name for name in sorted(os.listdir(machine.folder)) if name != "state"] == before


# ---------------------------------------------------------------- protocol 1.0 did not know the parameter


@pytest.fixture(scope="module")
def protocol_1_0(tmp_path_factory: pytest.TempPathFactory) -> str:
    return older(tmp_path_factory.mktemp("older"))


@pytest.fixture
def served_of_old(machine: Machine, protocol_1_0: str) -> Iterator[Daemon]:
    command = [*STORAGED, "serve", "--socket", machine.socket]
    environ = {**machine.environ, **machine.conf("a"), "PYTHONPATH": protocol_1_0}
    with started(command, machine.socket, environ) as daemon:
        daemon.await_line("ready: ")
        yield daemon


@pytest.mark.parametrize(
    "command", [["rmi", "-a", "-f"], ["images"], ["call", "images.exists", '["none"]']], ids=["rmi", "images", "array"]
)
def test_an_older_daemon_is_compared_by_what_it_says_of_itself(
    machine: Machine, served_of_old: Daemon, command: list[str]
) -> None:
    before = machine.ids("a"), machine.ids("b")
    done = machine.ctl("--socket", machine.socket, *command, **machine.conf("b"))
    assert (done.returncode, done.stdout) == (125, "")
    assert str(machine.folder / "a") in done.stderr
    assert str(machine.folder / "b") in done.stderr
    assert (machine.ids("a"), machine.ids("b")) == before
    right = machine.ctl("--socket", machine.socket, *command, **machine.conf("a"))
    assert right.returncode == 0, right.stderr
    if command[0] == "rmi":
        assert machine.ids("a") < before[0]


@pytest.mark.anyio
async def test_the_async_client_compares_an_older_daemon_too(machine: Machine, served_of_old: Daemon) -> None:
    async with storaged_client.aconnect(machine.socket, root=str(machine.folder / "a")) as store:
        assert await store.images.list()
        assert (await store.call("images.exists", ["none"]))["exists"] is False
    async with storaged_client.aconnect(machine.socket, root=str(machine.folder / "b")) as store:
        for params in ({"names": ["none"]}, [["none"]]):
            with pytest.raises(WrongStore):
                await store.call("images.remove", params)


# ---------------------------------------------------------------- a user's store, asked for by root


@other_user
def test_root_puts_no_files_into_a_users_store(machine: Machine) -> None:
    """Its owner's daemon, or a refusal; also of a daemon that root starts by hand."""
    uid = 2_000_000_000 + os.getpid()
    subprocess.run(["chown", "-R", f"{uid}:{uid}", str(machine.folder / "a")], check=True)
    before = sorted(str(path) for path in (machine.folder / "a").rglob("*"))
    done = machine.ctl("images", **machine.conf("a"))
    assert done.returncode == 69
    assert f"is the store of uid {uid}" in done.stderr
    byhand = subprocess.run(
        [*STORAGED, "serve", "--socket", machine.socket, *machine.flags("a")],
        env=machine.environ, capture_output=True, text=True, timeout=30,
    )  # fmt: skip
    assert byhand.returncode == 78
    assert f"is the store of uid {uid}" in byhand.stderr
    assert sorted(str(path) for path in (machine.folder / "a").rglob("*")) == before
    folder = Path(f"/tmp/storaged-{uid}")
    code = (
        "import os, sys; import storaged.cli, storaged.daemon, trio, anyio._backends._trio, encodings.utf_8_sig; "
        f"os.setgroups([]); os.setgid({uid}); os.setuid({uid}); sys.exit(storaged.cli.main(sys.argv[1:]))"
    )
    machine.folder.chmod(0o755)
    try:
        command = [sys.executable, "-c", code, "serve", *machine.flags("a")]
        with started(["env", "-u", "XDG_RUNTIME_DIR", *command], "", machine.environ) as daemon:
            daemon.await_line("ready: ")
            done = machine.ctl("call", "server.info", **machine.conf("a"))
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["pid"] == daemon.process.pid
            # By its path alone it is nobody's that root trusts.
            refused = machine.ctl("--socket", str(next(folder.glob("*.sock"))), "images")
            assert refused.returncode == SocketForbidden.exit_status
            assert f"uid {uid}" in refused.stderr
    finally:
        subprocess.run(["rm", "-rf", str(folder)], check=True)
    owners = {os.lstat(path).st_uid for path in (machine.folder / "a").rglob("*")}
    assert owners == {uid}


@other_user
@pytest.mark.parametrize("inside", [True, False], ids=["podman unshare", "another namespace"])
def test_root_of_podmans_namespace_means_the_users_store(machine: Machine, inside: bool) -> None:
    uid = 2_000_000_000 + os.getpid()
    home, runtime = machine.folder / "home", machine.folder / "runtime"
    for folder in (home, runtime):
        folder.mkdir(mode=0o700)
        os.chown(folder, uid, uid)
    machine.folder.chmod(0o755)
    environ = {"HOME": str(home), "XDG_RUNTIME_DIR": str(runtime), "XDG_STATE_HOME": str(home), "PATH": os.defpath}
    become = f"os.setgroups([]); os.setgid({uid}); os.setuid({uid}); "
    serve = (
        "import os, sys; import storaged.cli, storaged.daemon, trio, anyio._backends._trio, encodings.utf_8_sig; "
        f"{become} sys.exit(storaged.cli.main(['serve']))"
    )
    ask = (
        "import ctypes, os, sys; from storaged_client import address, spawn, stores, sync; "
        "from storaged_client.storage_conf import resolve, release; "
        "from storaged_client.cli import exits, main, invocation, call; "
        "from storaged_client.contract import errors, store; "
        "from storaged_client import errors as e, systemd_units, version_mismatch; "
        f"{become} libc = ctypes.CDLL(None); libc.prctl(4, 1); assert libc.unshare(0x10000000) == 0; "
        f"open('/proc/self/uid_map', 'w').write('0 {uid} 1'); assert os.geteuid() == 0; "
        "sys.exit(main.main(['--no-spawn', 'call', 'server.info']))"
    )
    with started([sys.executable, "-c", serve], "", environ) as daemon:
        ready = daemon.await_line("ready: ")
        assert ready == f"ready: listening on {runtime}/storaged/storaged.sock\n"
        if inside:
            environ |= {"_CONTAINERS_USERNS_CONFIGURED": "done", "_CONTAINERS_ROOTLESS_UID": str(uid)}
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", ask], env=environ, capture_output=True, text=True, timeout=60
        )
        if not inside:
            # Root of a container: its own default store, and never the user's.
            assert str(daemon.process.pid) not in done.stdout
            return
        assert done.returncode == 0, done.stderr
        info = json.loads(done.stdout)
        assert info["pid"] == daemon.process.pid
        assert info["graphroot"] == str(home / ".local/share/containers/storage")
