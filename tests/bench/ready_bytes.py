"""A server of answers that are ready: what no server can beat, whoever asks.

    python -m tests.bench.ready_bytes ANSWERS SOCKET

``ANSWERS`` is a JSON object of targets and bodies. A thread each connection, and as little HTTP as clients need.
"""

from __future__ import annotations

import json
import socket
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

_HEAD = (
    b"HTTP/1.1 %s\r\nApi-Version: 1.44\r\nLibpod-Api-Version: 5.8.6\r\nServer: Libpod/5.8.6 (linux)\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)


def main(argv: Sequence[str]) -> int:
    answers: Mapping[str, str] = json.loads(Path(argv[0]).read_text())
    bodies = {target.encode(): body.encode() for target, body in answers.items()}
    ready = {target: _HEAD % (b"200 OK", len(body)) + body for target, body in bodies.items()}
    missing = _HEAD % (b"404 Not Found", 0)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(argv[1])
    listener.listen(64)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection, ready, missing), daemon=True).start()


def _serve(connection: socket.socket, ready: Mapping[bytes, bytes], missing: bytes) -> None:
    waiting = b""
    with connection:
        while True:
            while b"\r\n\r\n" not in waiting:
                data = connection.recv(65536)
                if not data:
                    return
                waiting += data
            head, _, waiting = waiting.partition(b"\r\n\r\n")
            connection.sendall(ready.get(head.split(b" ", 2)[1], missing))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
