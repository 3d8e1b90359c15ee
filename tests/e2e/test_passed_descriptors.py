"""Descriptors whose closing takes as long as their sender likes keep nobody waiting: neither the loop nor an end."""

from __future__ import annotations

import array
import signal
import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, serving

_DAYS = 30 * 86400
_MOST = 253
"""Of one message: SCM_MAX_FD."""


@pytest.fixture(params=["trio", "asyncio"])
def daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Daemon]:
    with serving(tmp_path, "--backend", request.param) as found:
        yield found


class Sleepers:
    """TCP sockets that sleep at their last close for a month, for their other end does not read what is unsent."""

    def __init__(self, daemon: Daemon, stack: ExitStack) -> None:
        self._daemon = daemon
        self._stack = stack
        self._listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=512))

    def one(self) -> socket.socket:
        sleeper = socket.create_connection(self._listener.getsockname())
        self._stack.enter_context(self._listener.accept()[0])
        sleeper.setblocking(False)
        sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, _DAYS))
        try:
            while True:
                sleeper.send(bytes(1 << 20))
        except BlockingIOError:
            return sleeper

    def send(self, channel: socket.socket, text: bytes, count: int) -> None:
        """Pass so many, and close them here: who has them next closes them last."""
        some = [self.one() for _ in range(count)]
        rights = array.array("i", [sleeper.fileno() for sleeper in some])
        passed = False
        # Else it may have closed some before they are closed here, and it is here that is slept.
        self._daemon.signal(signal.SIGSTOP)
        try:
            with suppress(BrokenPipeError, ConnectionResetError):
                channel.sendmsg([text], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
                passed = True
        finally:
            for sleeper in some:
                if not passed:
                    sleeper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sleeper.close()
            self._daemon.signal(signal.SIGCONT)


@pytest.fixture
def sleepers(daemon: Daemon) -> Iterator[Sleepers]:
    with ExitStack() as stack:
        yield Sleepers(daemon, stack)


def _answers(daemon: Daemon) -> None:
    with daemon.client() as honest:
        assert "result" in honest.request("server.ping")


@pytest.mark.parametrize("count", [1, 16, 40], ids=["one", "as-many-as-may-come", "more"])
def test_sockets_that_linger_do_not_stop_the_loop(daemon: Daemon, sleepers: Sleepers, count: int) -> None:
    with daemon.client() as hostile:
        sleepers.send(hostile.socket, b'{"jsonrpc":"2.0","id":1,"method":"server.ping","params":{},"fds":1}\n', count)
        _answers(daemon)
        # Its own sleepers it has to wait for, a second each at most.
        assert "result" in hostile.request("server.ping")


def test_nor_do_those_that_the_daemon_has_no_number_left_for(daemon: Daemon, sleepers: Sleepers) -> None:
    import resource

    resource.prlimit(daemon.process.pid, resource.RLIMIT_NOFILE, (24, 24))
    with daemon.client() as honest, daemon.client() as hostile:
        assert "result" in honest.request("server.ping")
        sleepers.send(hostile.socket, b" ", 60)
        for _ in range(20):
            assert "result" in honest.request("server.ping")


def test_nor_do_those_in_a_connection_that_ends_unread(daemon: Daemon, sleepers: Sleepers) -> None:
    for _ in range(3):
        with daemon.client() as hostile:
            hostile.write(b"?\n")  # from here on nothing is understood
            for _ in range(3):
                sleepers.send(hostile.socket, b"x", 2)
        _answers(daemon)


def test_nor_do_those_of_who_is_turned_away(daemon: Daemon, sleepers: Sleepers) -> None:
    with ExitStack() as stack:
        full = []
        while "error" not in (client := stack.enter_context(daemon.client())).request("server.ping"):
            full.append(client)
        for _ in range(5):
            daemon.signal(signal.SIGSTOP)
            late = stack.enter_context(daemon.client())
            sleepers.send(late.socket, b" ", 2)
        for client in full:
            assert "result" in client.request("server.ping")


def test_and_the_daemon_ends_when_it_is_told_to(daemon: Daemon, sleepers: Sleepers) -> None:
    with daemon.client() as hostile:
        sleepers.send(hostile.socket, b'{"jsonrpc":"2.0","id":1,"method":"server.ping","params":{},"fds":1}\n', 40)
        _answers(daemon)
        daemon.signal(signal.SIGTERM)
        assert daemon.await_exit() == 0
