"""The environment a service manager sets, and the datagrams it is sent."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from storaged.server.errors import ActivationError
from storaged.server.systemd import Inherited, Notifier, inherited_sockets

_CHILD = """
import os, sys
from storaged.server.errors import ActivationError
from storaged.server.systemd import inherited_sockets
os.environ["LISTEN_PID"] = str(os.getpid())
try:
    found = inherited_sockets(os.environ)
except ActivationError as error:
    print("refused:", error)
else:
    left = sorted(name for name in os.environ if name.startswith("LISTEN"))
    for sock in (found.main, *(found.api or [None])):
        print(sock and (sock.fileno(), sock.getsockname(), sock.get_inheritable()), end=' ')
    print(left)
"""


def activate(sockets: list[socket.socket], **environ: str) -> str:
    """What a process says that has the sockets as descriptors 3, 4, ...: here those numbers are in use."""
    high = [os.dup(sock.fileno()) for sock in sockets]
    moves = "".join(f"exec {3 + n}<&{fd} {fd}<&-; " for n, fd in enumerate(high))
    done = subprocess.run(
        ["bash", "-c", f'{moves} exec "$0" -c "$1"', sys.executable, _CHILD],
        pass_fds=high,
        env={**os.environ, "LISTEN_FDS": str(len(sockets)), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    for descriptor in high:
        os.close(descriptor)
    return done.stdout.strip()


def listening(path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


def test_the_only_socket_is_taken_whatever_its_name(short_dir: Path) -> None:
    with listening(short_dir / "a") as sock:
        assert activate([sock], LISTEN_FDNAMES="other") == f"(3, '{short_dir}/a', False) None []"


def test_of_several_the_one_named_storaged_is_taken(short_dir: Path) -> None:
    with listening(short_dir / "a") as a, listening(short_dir / "b") as b:
        assert activate([a, b], LISTEN_FDNAMES="x:storaged") == f"(4, '{short_dir}/b', False) None []"


@pytest.mark.parametrize("names", ["x:y", "storaged:storaged", ""])
def test_several_of_which_none_or_more_are_named_storaged_are_refused(short_dir: Path, names: str) -> None:
    with listening(short_dir / "a") as a, listening(short_dir / "b") as b:
        assert "FileDescriptorName=storaged" in activate([a, b], LISTEN_FDNAMES=names)


def test_those_named_storaged_api_are_the_gateways(short_dir: Path) -> None:
    with listening(short_dir / "a") as a, listening(short_dir / "b") as b:
        both = f"(4, '{short_dir}/b', False) (3, '{short_dir}/a', False) []"
        assert activate([a, b], LISTEN_FDNAMES="storaged-api:storaged") == both
        assert activate([a, b], LISTEN_FDNAMES="storaged-api:other") == both
        assert activate([a], LISTEN_FDNAMES="storaged-api") == f"None (3, '{short_dir}/a', False) []"
        each = f"None (3, '{short_dir}/a', False) (4, '{short_dir}/b', False) []"
        assert activate([a, b], LISTEN_FDNAMES="storaged-api:storaged-api") == each


def test_a_socket_that_does_not_listen_is_refused() -> None:
    near, far = socket.socketpair()
    with near, far:
        assert "does not listen" in activate([near])


def test_a_socket_of_another_family_or_type_is_refused(short_dir: Path) -> None:
    with socket.socket(socket.AF_INET) as inet:
        assert "not a Unix socket" in activate([inet])
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagram:
        assert "not a stream socket" in activate([datagram])


def test_an_abstract_socket_is_refused() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"\0storaged-test-{os.getpid()}")
        sock.listen()
        assert "abstract" in activate([sock])


def test_a_descriptor_that_is_not_open_is_refused(short_dir: Path) -> None:
    with listening(short_dir / "a") as sock:
        assert "not open" in activate([sock], LISTEN_FDS="2")


def test_another_process_s_sockets_are_not_ours() -> None:
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "storaged"}
    assert inherited_sockets(environ) == Inherited()
    assert environ == {}


@pytest.mark.parametrize(("pid", "fds"), [("x", "1"), ("1", "-1"), ("1", ""), ("1", "99999")])
def test_a_broken_environment_is_refused(pid: str, fds: str) -> None:
    with pytest.raises(ActivationError):
        inherited_sockets({"LISTEN_PID": pid, "LISTEN_FDS": fds})


@pytest.mark.parametrize("abstract", [False, True])
def test_states_arrive_as_one_datagram_each(short_dir: Path, abstract: bool) -> None:
    address = f"@storaged-notify-{os.getpid()}" if abstract else str(short_dir / "n")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(address.replace("@", "\0", 1) if abstract else address)
        environ = {"NOTIFY_SOCKET": address}
        notifier = Notifier.from_environment(environ)
        assert environ == {}
        assert notifier.tell(READY=1, STATUS="two\nlines")
        assert manager.recv(1000) == b"READY=1\nSTATUS=two lines\n"
        notifier.close()


def test_a_manager_whose_queue_is_full_is_told_again_later(short_dir: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(short_dir / "n"))
        notifier = Notifier(str(short_dir / "n"))
        sent = 0
        while notifier.tell(STATUS=sent):
            sent += 1
            assert sent < 100_000
        manager.recv(1000)
        assert notifier.tell(STATUS="again")
        notifier.close()


@pytest.mark.parametrize("address", [None, "", "vsock:2:1234", "/nowhere/at/all"])
def test_no_manager_is_no_error(address: str | None) -> None:
    notifier = Notifier(address)
    assert notifier.tell(READY=1)
    notifier.close()
