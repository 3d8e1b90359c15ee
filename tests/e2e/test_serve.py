"""A daemon with a socket of its own: who it replaces, whom it survives, how it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest

from storaged.cmd_stop import stop_daemon
from storaged.sample import SampleSpec, write_store
from storaged_client import address
from storaged_client.contract.version import PROTOCOL, VERSION
from tests.e2e.manager import Manager
from tests.support.client import Client
from tests.support.daemon import STORAGED, Daemon, flags, serving, started

BACKENDS = pytest.mark.parametrize("backend", ["trio", "asyncio"])


def is_well(daemon: Daemon) -> bool:
    with daemon.client() as client:
        return "result" in client.request("server.ping")


@BACKENDS
def test_the_first_line_typed_is_answered(short_dir: Path, backend: str) -> None:
    with serving(short_dir, "--backend", backend) as daemon, daemon.client() as client:
        answer = client.call("server.info")
        assert answer["pid"] == daemon.process.pid
        assert answer["backend"] == backend
        assert answer["socket"] == daemon.path
        assert stat.S_IMODE(os.stat(daemon.path).st_mode) == 0o600


def test_a_stale_socket_is_replaced(short_dir: Path) -> None:
    with serving(short_dir) as first:
        first.process.kill()
        first.process.wait()
        assert os.path.exists(first.path)
        with serving(short_dir) as second:
            assert is_well(second)


def test_a_second_daemon_of_one_graphroot_exits_75_and_names_the_first(short_dir: Path) -> None:
    with serving(short_dir) as first:
        done = subprocess.run(
            [*STORAGED, "serve", *flags(short_dir, "--socket", str(short_dir / "t"))], capture_output=True, text=True
        )
        assert done.returncode == 75
        assert f"pid {first.process.pid}" in done.stderr
        assert not (short_dir / "t").exists()
        assert is_well(first)


def test_a_daemon_of_another_graphroot_leaves_a_socket_in_use_alone(short_dir: Path) -> None:
    (short_dir / "other").mkdir()
    with serving(short_dir) as first:
        command = [*STORAGED, "serve", *flags(short_dir / "other", "--socket", first.path)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 75
        assert f"process {first.process.pid} already listens" in done.stderr
        assert is_well(first)


BAD = {
    "never_closes": b'{"jsonrpc":"2.0","id":1,"method":"images.list","params":{"a":"' + b"x" * (10 << 20),
    "never_closes_nested": b'{"a":' * (2 << 20),
    "not_utf8": b'{"jsonrpc":"2.0","id":1,"method":"\xff\xfe"}\n',
    "deep": b"[" * 200_000 + b"]" * 200_000 + b"\n",
    "deep_params": b'{"jsonrpc":"2.0","id":1,"method":"images.list","params":' + b"[" * 5000 + b"]" * 5000 + b"}\n",
    "no_json": b"GET / HTTP/1.1\r\n\r\n",
    "empty_batch": b"[]\n",
    "batch_too_long": json.dumps([{"jsonrpc": "2.0", "id": n, "method": "server.ping"} for n in range(101)]).encode(),
    "null": b"null\n",
    "wrong_types": b'{"jsonrpc":"2.0","id":{},"method":7,"params":"x"}\n',
    "unknown_method": b'{"jsonrpc":"2.0","id":1,"method":"images.burn"}\n',
    "unknown_param": b'{"jsonrpc":"2.0","id":1,"method":"images.list","params":{"colour":1}}\n',
    "announced_descriptors": b'{"jsonrpc":"2.0","id":1,"method":"server.ping","fds":3}\n{}',
    "huge_number": b'{"jsonrpc":"2.0","id":' + b"9" * 5000 + b',"method":"server.ping"}\n',
    "infinity": b'{"jsonrpc":"2.0","id":1e999,"method":"server.ping"}\n',
    "lone_surrogate": b'{"jsonrpc":"2.0","id":"\\ud800","method":"images.exists","params":{"name":"\\ud800"}}\n',
}
CODES = {
    "never_closes": -32002,
    "never_closes_nested": -32700,
    "not_utf8": -32700,
    "no_json": -32700,
    "empty_batch": -32600,
    "batch_too_long": -32600,
    "null": -32600,
    "wrong_types": -32600,
    "unknown_method": -32601,
    "unknown_param": -32602,
    "announced_descriptors": -32050,
}


@BACKENDS
def test_bad_input_has_its_answer_and_the_daemon_goes_on_for_everyone_else(short_dir: Path, backend: str) -> None:
    with serving(short_dir, "--backend", backend) as daemon, daemon.client() as bystander:
        for name, data in BAD.items():
            with daemon.client() as client:
                client.write(data)
                client.socket.shutdown(socket.SHUT_WR)
                answers = client.lines()
            assert answers, name
            if name in CODES:
                assert [answer["error"]["code"] for answer in answers] == [CODES[name]], name
            assert "result" in bystander.request("server.ping"), name
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
        assert "Traceback" not in daemon.log


def test_half_a_request_and_a_hang_up_leave_nothing_behind(short_dir: Path) -> None:
    with serving(short_dir) as daemon, daemon.client() as watcher:
        watcher.settle()
        before = watcher.call("server.stats")["gauges"]
        for data in (b'{"jsonrpc":"2.0","id":1,"meth', b'{"a":1', b"", BAD["never_closes"][:500_000]):
            client = daemon.client()
            client.write(data)
            client.socket.close()
        with daemon.client() as last:
            last.request("server.ping")
            gauges = watcher.call("server.stats")["gauges"]
            # A thread closes them: a leak would show as a timeout.
            while any(gauges[what] > before[what] + 1 for what in ("connections", "descriptors")):
                gauges = watcher.call("server.stats")["gauges"]
            assert gauges["requests_in_flight"] == 1


def test_descriptors_sent_without_being_asked_for_are_closed(short_dir: Path) -> None:
    with serving(short_dir) as daemon, daemon.client() as client:
        client.settle()
        before = client.call("server.stats")["gauges"]["descriptors"]
        near, far = socket.socketpair()
        with near, far:
            for _ in range(30):
                socket.send_fds(
                    client.socket, [b'{"jsonrpc":"2.0","id":1,"method":"server.ping","fds":2}\n'], [near.fileno()] * 2
                )
                assert "result" in client.line()
                socket.send_fds(client.socket, [b" "], [far.fileno()])
        assert client.call("server.stats")["gauges"]["descriptors"] == before


@BACKENDS
def test_sigterm_answers_what_was_sent_and_removes_the_socket(short_dir: Path, backend: str) -> None:
    with serving(short_dir, "--backend", backend) as daemon, daemon.client() as client:
        client.write(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"server.ping"}\n' % n for n in range(500)))
        daemon.signal(signal.SIGTERM)
        answers = client.lines()
        assert {answer["id"] for answer in answers} == set(range(500))
        assert all("result" in answer or answer["error"]["data"]["name"] == "ShuttingDown" for answer in answers)
        assert daemon.await_exit() == 0
        assert not os.path.exists(daemon.path)


def test_stop_ends_the_daemon_and_frees_the_store_for_the_next(short_dir: Path) -> None:
    with serving(short_dir) as first:
        assert subprocess.run([*STORAGED, "stop", "--socket", first.path]).returncode == 0
        with serving(short_dir) as second:
            assert is_well(second)
        assert first.await_exit() == 0


def test_stop_waits_as_long_as_the_daemon_may_drain(short_dir: Path) -> None:
    config = short_dir / "storaged.toml"
    config.write_text("[limits]\ndrain_seconds = 8\nstall_seconds = 10000\n")
    with serving(short_dir, "--config", str(config)) as daemon, daemon.client() as client:
        # More than the kernel's buffers hold, and a client that takes no more of it.
        client.write(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"rpc.discover"}\n' % n for n in range(1000)))
        client.line()
        assert stop_daemon(daemon.path, seconds=6) == 0
        assert daemon.await_exit() == 0
        assert "drain timed out" in daemon.log


def test_stop_without_a_daemon_exits_69(short_dir: Path) -> None:
    done = subprocess.run([*STORAGED, "stop", "--socket", str(short_dir / "s")], capture_output=True, text=True)
    assert done.returncode == 69
    assert "no daemon" in done.stderr


@BACKENDS
def test_a_second_sigterm_ends_at_once(short_dir: Path, backend: str) -> None:
    config = short_dir / "storaged.toml"
    config.write_text("[limits]\ndrain_seconds = 10000\nstall_seconds = 10000\n")
    with (
        serving(short_dir, "--backend", backend, "--config", str(config)) as daemon,
        daemon.client() as client,
    ):
        # More than the kernel's buffers hold, and a client that takes no more of it: the drain waits for it.
        client.write(b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"rpc.discover"}\n' % n for n in range(1000)))
        client.line()
        daemon.signal(signal.SIGTERM)
        daemon.await_line("draining", anywhere=True)
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
        assert "stopping at once" in daemon.log


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--socket", "x" * 200], "accepts 107"),
        (["--socket", "@abstract"], "abstract"),
        (["--config", "/nowhere.toml"], "No such file"),
    ],
)
def test_a_setting_that_cannot_be_is_a_clear_error(short_dir: Path, arguments: list[str], said: str) -> None:
    done = subprocess.run([*STORAGED, "serve", *flags(short_dir, *arguments)], capture_output=True, text=True)
    assert done.returncode == 78
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_runtime_folder_that_is_not_there_is_a_clear_error(short_dir: Path) -> None:
    command = [*STORAGED, "serve", "--root", str(short_dir / "none"), "--runroot", str(short_dir / "run")]
    program = (
        "import os, sys; from storaged_client import address; "
        f"address.default = lambda: {str(short_dir / 'missing' / 'storaged' / 's')!r}; "
        "from storaged.cli import main; sys.exit(main(sys.argv[1:]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command[len(STORAGED) :], "--driver", "overlay"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 78
    assert str(short_dir / "missing") in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_that_cannot_be_written_is_named(short_dir: Path) -> None:
    path = "/proc/self/storaged.sock"
    done = subprocess.run([*STORAGED, "serve", *flags(short_dir, "--socket", path)], capture_output=True, text=True)
    assert done.returncode != 0
    assert "/proc/self" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_setting_of_the_file_is_kept(short_dir: Path) -> None:
    config = short_dir / "storaged.toml"
    config.write_text('idle_exit = "10min"\n[limits]\nin_flight = 7\n')
    with serving(short_dir, "--config", str(config)) as daemon, daemon.client() as client:
        assert client.call("server.info")["limits"]["in_flight"] == 7


def runtime_guards() -> list[str]:
    """What the guards in the runtime folder say: a daemon's pid."""
    found = []
    for guard in Path(address.default()).parent.glob("guard-*.lock"):
        with suppress(FileNotFoundError):
            found += guard.read_text().splitlines()[:1]
    return found


def test_a_missing_store_is_served_empty_and_not_made(short_dir: Path) -> None:
    path = str(short_dir / "s")
    command = [
        *STORAGED,
        "serve",
        "--root",
        str(short_dir / "none"),
        "--runroot",
        str(short_dir / "run"),
        "--driver",
        "overlay",
        "--socket",
        path,
    ]
    with started(command, path) as daemon:
        daemon.await_line("ready: ")
        with Client(path) as client:
            assert client.call("images.list")["images"] == []
        pid = str(daemon.process.pid)
        assert pid in runtime_guards()
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
        assert pid not in runtime_guards()
    assert not (short_dir / "none").exists()


def test_a_store_that_appears_later_is_served_and_told_as_writable(short_dir: Path) -> None:
    location = ["--root", str(short_dir / "new"), "--runroot", str(short_dir / "run"), "--driver", "overlay"]
    path = str(short_dir / "s")
    with started([*STORAGED, "serve", "--socket", path, *location], path) as daemon:
        daemon.await_line("ready: ")
        with daemon.client() as client:
            before = client.call("server.info")
            assert (before["writable"], before["freshness"], before["images"]) == (False, "file system", 0)
            sample = write_store(short_dir / "new", short_dir / "run", SampleSpec(images=5, seed=1, driver="overlay"))
            images = client.call("images.list", all=True)
            assert images["stale"] is None
            assert {image["id"] for image in images["images"]} == set(sample.images)
            after = client.call("server.info")
            assert (after["writable"], after["writable_reason"], after["freshness"]) == (True, None, "locks")


@contextmanager
def crowded(short_dir: Path, backend: str) -> Iterator[tuple[Daemon, list[Client]]]:
    """A daemon that has no descriptor for all of its clients."""
    path = str(short_dir / "s")
    command = [*STORAGED, "serve", *flags(short_dir, "--socket", path, "--backend", backend)]
    with started(["bash", "-c", 'ulimit -n 40; exec "$@"', "bash", *command], path) as daemon:
        daemon.await_line("ready: ")
        clients = [daemon.client() for _ in range(60)]
        daemon.await_line("cannot accept", anywhere=True)
        yield daemon, clients


@BACKENDS
def test_a_daemon_out_of_descriptors_serves_the_waiting_client_when_one_is_free(short_dir: Path, backend: str) -> None:
    with crowded(short_dir, backend) as (daemon, clients):
        assert "result" in clients[0].request("server.ping")
        for client in clients[:-1]:
            client.socket.close()
        assert "result" in clients[-1].request("server.ping")
        clients[-1].socket.close()
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0


@BACKENDS
def test_a_drain_without_a_free_descriptor_answers_who_waits_in_the_queue(short_dir: Path, backend: str) -> None:
    with crowded(short_dir, backend) as (daemon, clients):
        for client in clients:
            client.ask("server.ping")
        daemon.signal(signal.SIGTERM)
        for client in clients:
            assert ["result" in answer for answer in client.lines()] == [True]
            client.socket.close()
        assert daemon.await_exit() == 0
        assert "Traceback" not in daemon.log


def test_descriptors_held_by_every_client_leave_the_store_readable(short_dir: Path) -> None:
    config = short_dir / "storaged.toml"
    config.write_text("[limits]\nconnections = 64\nuid_connections = 64\n")
    path = str(short_dir / "s")
    command = [*STORAGED, "serve", *flags(short_dir, "--socket", path, "--config", str(config))]
    with started(["bash", "-c", 'ulimit -Sn 600; exec "$@"', "bash", *command], path) as daemon, ExitStack() as stack:
        daemon.await_line("ready: ")
        honest = stack.enter_context(daemon.client())
        near, far = socket.socketpair()
        with near, far:
            for number in range(60):
                client = stack.enter_context(daemon.client())
                client.request("server.ping")
                socket.send_fds(client.socket, [b'{"jsonrpc":'], [near.fileno()] * 16)
                while honest.call("server.stats")["gauges"]["descriptors"] < 16 * number:
                    pass
        folder = short_dir / "root" / "overlay-images"
        folder.mkdir()
        (folder / "images.json").write_text("[]")
        answer = honest.call("images.list")
        assert (answer["images"], answer["stale"]) == ([], None)


@pytest.mark.parametrize("closed", ["2>&-", "<&- >&- 2>&-"])
def test_a_daemon_started_with_closed_standard_streams_keeps_them_apart(short_dir: Path, closed: str) -> None:
    path = short_dir / "s"
    command = ["bash", "-c", f'exec "$@" {closed}', "bash", *STORAGED, "serve"]
    manager = Manager(short_dir / "n")
    environ = {"NOTIFY_SOCKET": manager.path}
    with started([*command, *flags(short_dir, "--socket", str(path))], str(path), environ) as daemon:
        manager.await_field("READY=")
        streams = [os.readlink(f"/proc/{daemon.process.pid}/fd/{number}") for number in range(3)]
        assert streams[2] == os.devnull
        assert not any(stream.startswith("socket:") for stream in streams)
        assert is_well(daemon)
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
    manager.close()


def test_version_names_the_protocol() -> None:
    done = subprocess.run([*STORAGED, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"storaged {VERSION} (protocol {PROTOCOL})\n"
