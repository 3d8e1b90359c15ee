"""The daemon under test, and a client that knows nothing but the written protocol.

The client is made of a socket and ``json`` so that a mistake shared by daemon and ``storaged_client``
cannot hide here, and so that a time measured is that from the first byte sent to the last received.
"""

from __future__ import annotations

import itertools
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .peers import Store

_START = 30.0
_REPLY = 60.0


class RpcError(Exception):
    """An ``error`` object. ``name`` is its stable name."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.data = error.get("data") or {}
        self.name = self.data.get("name", "")
        super().__init__(f"{self.name or error.get('code')}: {error.get('message')}")


class Client:
    """One connection, one request at a time. Not for several threads."""

    def __init__(self, path: str | Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_REPLY)
        self._socket.connect(str(path))
        self._numbers = itertools.count(1)
        self._rest = b""
        self.elapsed = 0.0
        """Seconds of the last call, from its first byte sent to the last byte received."""
        self.received = 0
        """Bytes of the last reply."""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The ``result`` of one request; a ``timeout`` among its parameters is waited for as well.

        Raises:
            RpcError: the daemon answered an error.
            ConnectionError: the daemon hung up.
        """
        self._socket.settimeout(max(_REPLY, float(params.get("timeout") or 0.0)))
        text = self.raw(json.dumps({"jsonrpc": "2.0", "id": next(self._numbers), "method": method, "params": params}))
        reply = json.loads(text)
        if "error" in reply:
            raise RpcError(reply["error"])
        return dict(reply["result"])

    def raw(self, text: str) -> bytes:
        """Send one text and return the line that answers it."""
        data = text.encode() + b"\n"
        parts = [self._rest]
        start = time.perf_counter()
        self._socket.sendall(data)
        while b"\n" not in parts[-1]:
            part = self._socket.recv(1 << 20)
            if not part:
                raise ConnectionError("the daemon closed the connection")
            parts.append(part)
        self.elapsed = time.perf_counter() - start
        line, _, self._rest = b"".join(parts).partition(b"\n")
        self.received = len(line) + 1
        return line

    def images(self, **params: Any) -> list[dict[str, Any]]:
        """The rows of ``images.list``."""
        return list(self.call("images.list", **params)["images"])

    def dangling(self, **params: Any) -> set[str]:
        """The ids of ``images.list`` with the dangling filter."""
        return {row["id"] for row in self.images(filters=["dangling=true"], **params)}

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


class Daemon:
    """A daemon for one store on one socket; it can be stopped and started again."""

    def __init__(
        self, store: Store, path: Path, *, backend: str = "trio", program: Sequence[str] = ("storaged",)
    ) -> None:
        self.path = path
        self._program = program
        self._store = store
        self._backend = backend
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._kept: list[str] = []

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def memory(self) -> int:
        """Resident bytes."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def client(self) -> Client:
        return Client(self.path)

    def storagectl(self, *arguments: str) -> str:
        """What ``storagectl`` prints.

        Raises:
            RuntimeError: it failed.
        """
        command = [sys.executable, "-c", _STORAGECTL, "--socket", str(self.path), *arguments]
        environment = {**os.environ, "STORAGED_NO_SPAWN": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=_REPLY)
        if done.returncode != 0:
            raise RuntimeError(f"storagectl {' '.join(arguments)}: exit {done.returncode}: {done.stderr[-1000:]}")
        return done.stdout

    def start(self) -> None:
        """Start it and wait until it says it is ready.

        With additional stores it is told of them by storage.conf, since ``--root`` turns that off.

        Raises:
            RuntimeError: it did not become ready.
        """
        store = self._store
        flags = ["--socket", str(self.path), "--backend", self._backend]
        environment = dict(os.environ)
        if store.additional:
            environment["CONTAINERS_STORAGE_CONF"] = str(store.storage_conf)
        else:
            flags += ["--root", str(store.graphroot), "--runroot", str(store.runroot), "--driver", store.driver]
        self._lines = queue.Queue()
        process = subprocess.Popen(
            [sys.executable, "-m", *self._program, "serve", *flags], stderr=subprocess.PIPE, text=True, env=environment
        )
        self._process = process
        self._reader = threading.Thread(target=_collect, args=(process, self._lines, self._kept), daemon=True)
        self._reader.start()
        self._wait_ready()

    def stop(self) -> None:
        """End it by SIGTERM, if it runs.

        Raises:
            RuntimeError: it did not end, or not with status 0.
        """
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            status = process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = -signal.SIGKILL
        if self._reader is not None:
            self._reader.join(5)
        if status != 0:
            raise RuntimeError(f"the daemon ended with {status}:\n" + "".join(self._kept[-40:]))

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _START
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise RuntimeError(f"the daemon was not ready within {_START} s:\n" + "".join(self._kept)) from None
            if line is None:
                self._process = None
                raise RuntimeError("the daemon ended before it was ready:\n" + "".join(self._kept))
            if "ready: listening on" in line:
                return


_STORAGECTL = "import sys; from storaged_client.cli.main import main; sys.exit(main())"


@contextmanager
def daemon(store: Store, *, backend: str = "trio", program: Sequence[str] = ("storaged",)) -> Iterator[Daemon]:
    """A running daemon while the block lasts, on trio or asyncio. ``program``: a module, and its first arguments.

    Raises:
        RuntimeError: it did not become ready, or did not end well.
    """
    with tempfile.TemporaryDirectory(prefix="rival-") as folder:
        running = Daemon(store, Path(folder) / "s", backend=backend, program=program)
        try:
            running.start()
            yield running
        finally:
            running.stop()


def _collect(process: subprocess.Popen[str], lines: queue.Queue[str | None], kept: list[str]) -> None:
    assert process.stderr is not None
    with process.stderr as stream:
        for line in stream:
            kept.append(line)
            lines.put(line)
    lines.put(None)
