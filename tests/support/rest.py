"""A blocking client of podman's REST API, for podman's own service and for the gateway."""

from __future__ import annotations

import http.client
import json
import socket
import time
from pathlib import Path
from typing import Any

from attrs import frozen


@frozen(kw_only=True)
class Reply:
    status: int
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str | Path) -> None:
        super().__init__("d", timeout=120)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class RestClient:
    """One connection, kept open between requests."""

    def __init__(self, path: str | Path) -> None:
        self._connection = _UnixConnection(path)
        self.elapsed = 0.0
        """Seconds of the last request, from its first byte sent to the last byte received."""

    def __enter__(self) -> RestClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the connection; the next request makes another."""
        self._connection.close()

    def ask(self, method: str, target: str, body: bytes | None = None, **headers: str) -> Reply:
        """``headers``: underscores stand for hyphens."""
        if self._connection.sock is None:
            self._connection.connect()
        start = time.perf_counter()
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, target, body, sent)
        answer = self._connection.getresponse()
        data = answer.read()
        self.elapsed = time.perf_counter() - start
        return Reply(
            status=answer.status, headers={name.lower(): value for name, value in answer.getheaders()}, body=data
        )

    def get(self, target: str) -> Reply:
        return self.ask("GET", target)
