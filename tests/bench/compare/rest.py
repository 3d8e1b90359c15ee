"""As little HTTP as podman's service needs, on one open connection: the time is the service's, not a library's."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.support.peers import ToolError

_PATIENCE = 300.0


class Rest:
    """One connection, one request at a time."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE)
        self._socket.connect(str(path))
        self.elapsed = 0.0
        """Seconds of the last request, from its first byte sent to the last byte received."""
        self.received = 0
        """Bytes of its body."""

    def ask(self, method: str, path: str, **query: Any) -> Any:
        """The JSON of the body, None without one. Names in ``path`` are quoted by ``named``.

        Raises:
            ToolError: a status of 400 and above, or the service hung up.
        """
        text = f"{method} /v5.0.0/libpod{path}?{urlencode(query, doseq=True)} HTTP/1.1\r\nHost: d\r\n"
        data = f"{text}Content-Length: 0\r\n\r\n".encode()
        start = time.perf_counter()
        self._socket.sendall(data)
        answer = bytearray()
        while not complete(answer):
            part = self._socket.recv(1 << 20)
            if not part:
                raise ToolError(f"{method} {path}: podman's service hung up")
            answer += part
        self.elapsed = time.perf_counter() - start
        status, body = parsed(bytes(answer))
        self.received = len(body)
        if status >= 400:
            raise ToolError(f"{method} {path}: {status} {body[:500]!r}")
        return json.loads(body) if body.strip() else None

    def close(self) -> None:
        self._socket.close()


def named(name: str) -> str:
    """A name as part of a path."""
    return quote(name, safe="")


def complete(answer: bytes | bytearray) -> bool:
    """Whether these bytes are a whole answer to one request on a connection that stays open."""
    end = answer.find(b"\r\n\r\n")
    if end < 0:
        return False
    head = bytes(answer[:end]).lower()
    if b"\r\ntransfer-encoding: chunked" in head:
        return answer.endswith(b"\r\n0\r\n\r\n")
    return len(answer) >= end + 4 + _length(head)


def parsed(answer: bytes) -> tuple[int, bytes]:
    """Status and body of a whole answer."""
    head, _, rest = answer.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if b"\r\ntransfer-encoding: chunked" not in head.lower():
        return status, rest
    body = bytearray()
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size.partition(b";")[0], 16)
        body += rest[:length]
        rest = rest[length + 2 :]
    return status, bytes(body)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0
