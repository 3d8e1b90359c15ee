"""Real daemons in processes of their own, and a client that sends whatever bytes it likes."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

STORAGED = (sys.executable, "-m", "storaged")
PATIENCE = 15.0


class Daemon:
    def __init__(self, process: subprocess.Popen[str], path: str) -> None:
        self.process = process
        self.path = path
        self.log: list[str] = []

    def await_line(self, start: str, *, anywhere: bool = False) -> str:
        """Read the log up to a line that begins so, or has it anywhere."""
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.log.append(line)
            if line.startswith(start) or (anywhere and start in line):
                return line
        raise AssertionError(f"no line {start!r} in the log:\n{''.join(self.log)}")

    def await_exit(self) -> int:
        """Its exit status; the log is complete then."""
        _, rest = self.process.communicate(timeout=PATIENCE)
        self.log.append(rest or "")
        return self.process.returncode

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def client(self) -> Client:
        return Client(self.path)


class Client:
    """A blocking client of raw lines."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(PATIENCE)
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise
        self._buffer = b""

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def settle(self) -> None:
        """Wait until the daemon is through with what it does in the background after its start."""
        deadline = time.monotonic() + PATIENCE
        while not self.call("server.stats")["result"]["counters"].get("upkeep.ended"):
            assert time.monotonic() < deadline, "the upkeep of the start did not end"
            time.sleep(0.01)

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, method: str, params: Any = None, id: Any = 1) -> None:
        self.write(json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}}).encode() + b"\n")

    def line(self) -> Any:
        while b"\n" not in self._buffer:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError(self._buffer)
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return json.loads(line)

    def call(self, method: str, params: Any = None) -> Any:
        self.ask(method, params)
        return self.line()

    def lines(self) -> list[Any]:
        """Everything up to the end."""
        while data := self.socket.recv(1 << 20):
            self._buffer += data
        *lines, rest = self._buffer.split(b"\n")
        assert not rest, "the daemon ended in the middle of an answer"
        return [json.loads(line) for line in lines]


class Manager:
    """What a service manager hears."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.heard: list[str] = []

    def await_field(self, field: str) -> str:
        """Listen until a datagram has a line that begins so."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            ready, _, _ = select.select([self.socket], [], [], 0.5)
            if ready:
                text = self.socket.recv(4096).decode()
                self.heard.append(text)
                for line in text.splitlines():
                    if line.startswith(field):
                        return line
        raise AssertionError(f"{field!r} was not told, but {self.heard}")

    def close(self) -> None:
        self.socket.close()


def flags(folder: Path, *more: str) -> list[str]:
    root = folder / "root"
    root.mkdir(exist_ok=True)
    return ["--root", str(root), "--runroot", str(folder / "run"), "--driver", "overlay", *more]


@contextmanager
def started(
    command: Sequence[str], path: str, environ: dict[str, str] | None = None, pass_fds: Sequence[int] = ()
) -> Iterator[Daemon]:
    process = subprocess.Popen(
        command,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environ or {})},
        start_new_session=True,
        pass_fds=pass_fds,
    )
    daemon = Daemon(process, path)
    try:
        yield daemon
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stderr is not None
        process.stderr.close()


@contextmanager
def serving(folder: Path, *more: str, environ: dict[str, str] | None = None, socket: str = "s") -> Iterator[Daemon]:
    path = str(folder / socket)
    if "--config" not in more:
        # Not the file of this machine, if it has one.
        (folder / "no-settings.toml").touch()
        more = (*more, "--config", str(folder / "no-settings.toml"))
    with started([*STORAGED, "serve", *flags(folder, "--socket", path, *more)], path, environ) as daemon:
        assert daemon.await_line("ready: ") == f"ready: listening on {path}\n"
        yield daemon
