"""A client that knows nothing but the written protocol.

It is made of a socket and ``json``: a mistake that the daemon and ``storaged_client`` share cannot hide here, and a
measured time runs from the first byte sent to the last byte received.
"""

from __future__ import annotations

import itertools
import json
import socket
import time
from pathlib import Path
from typing import Any

REPLY = 60.0
"""Seconds until a reply counts as lost."""


class RpcError(Exception):
    """An ``error`` object. ``name`` is its stable name."""

    def __init__(self, error: dict[str, Any]) -> None:
        self.data = error.get("data") or {}
        self.name = self.data.get("name", "")
        super().__init__(f"{self.name or error.get('code')}: {error.get('message')}")


class Client:
    """One blocking connection for one thread."""

    def __init__(self, path: str | Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(REPLY)
        try:
            self.socket.connect(str(path))
        except OSError:
            self.socket.close()
            raise
        self._numbers = itertools.count(1)
        self._rest = b""
        self.elapsed = 0.0
        """Seconds of the last call, from its first byte sent to the last byte received."""
        self.received = 0
        """Bytes of the last reply."""

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The ``result`` of one request. A ``timeout`` among its parameters extends the wait for the reply.

        Raises:
            RpcError: the daemon answered an error.
            ConnectionError: the daemon hung up.
        """
        self.socket.settimeout(max(REPLY, float(params.get("timeout") or 0.0)))
        reply = self.request(method, params, id=next(self._numbers))
        if "error" in reply:
            raise RpcError(reply["error"])
        return dict(reply["result"])

    def request(self, method: str, params: Any = None, id: Any = 1) -> dict[str, Any]:
        """The whole reply to one request, or the next message if others are on their way."""
        return dict(json.loads(self.raw(_request(method, params, id))))

    def raw(self, text: str) -> bytes:
        """Send one text and return the line that answers it."""
        data = text.encode() + b"\n"
        start = time.perf_counter()
        self.socket.sendall(data)
        line = self._line()
        self.elapsed = time.perf_counter() - start
        self.received = len(line) + 1
        return line

    def write(self, data: bytes) -> None:
        self.socket.sendall(data)

    def ask(self, method: str, params: Any = None, id: Any = 1) -> None:
        """Send a request and do not wait for its reply."""
        self.write(_request(method, params, id).encode() + b"\n")

    def line(self) -> Any:
        """The next message.

        Raises:
            ConnectionError: the daemon hung up.
        """
        return json.loads(self._line())

    def lines(self) -> list[Any]:
        """All messages up to the end of the connection."""
        while data := self.socket.recv(1 << 20):
            self._rest += data
        *lines, rest = self._rest.split(b"\n")
        assert not rest, "the daemon ended in the middle of an answer"
        return [json.loads(line) for line in lines]

    def images(self, **params: Any) -> list[dict[str, Any]]:
        """The rows of ``images.list``."""
        return list(self.call("images.list", **params)["images"])

    def dangling(self, **params: Any) -> set[str]:
        """The ids of ``images.list`` with the dangling filter."""
        return {row["id"] for row in self.images(filters=["dangling=true"], **params)}

    def settle(self) -> None:
        """Wait until the daemon has finished the background work of its start."""
        deadline = time.monotonic() + REPLY
        while not self.call("server.stats")["counters"].get("upkeep.ended"):
            assert time.monotonic() < deadline, "the background work of the start did not end"
            time.sleep(0.01)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _line(self) -> bytes:
        parts = [self._rest]
        while b"\n" not in parts[-1]:
            part = self.socket.recv(1 << 20)
            if not part:
                raise ConnectionError("the daemon closed the connection")
            parts.append(part)
        line, _, self._rest = b"".join(parts).partition(b"\n")
        return line


def _request(method: str, params: Any, id: Any) -> str:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params or {}})
