"""The limit of an answer: a process that sends fixed bytes for each line it reads, from and to plain sockets.

python -m tests.bench.compare.echo SOCKET FILE
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.rivals.daemon import Client

_START = 10.0


def main(argv: list[str]) -> int:
    path, file = argv
    data = Path(file).read_bytes()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection:
                _serve(connection, data)


def _serve(connection: socket.socket, data: bytes) -> None:
    while True:
        part = connection.recv(65536)
        if not part:
            return
        # A request is one small line that came in one piece: the client sends the next one after the answer.
        if part.endswith(b"\n"):
            connection.sendall(data)


@contextmanager
def echo(data: bytes) -> Iterator[Client]:
    """A client of an echo of these bytes while the block lasts.

    Raises:
        RuntimeError: it did not start.
    """
    with tempfile.TemporaryDirectory(prefix="echo-") as folder:
        path, file = Path(folder) / "s", Path(folder) / "data"
        file.write_bytes(data)
        process = subprocess.Popen([sys.executable, "-m", "tests.bench.compare.echo", str(path), str(file)])
        try:
            client = _connected(path, process)
            try:
                yield client
            finally:
                client.close()
        finally:
            process.terminate()
            process.wait()


def _connected(path: Path, process: subprocess.Popen[bytes]) -> Client:
    deadline = time.monotonic() + _START
    while True:
        try:
            return Client(path)
        except OSError as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError("the echo did not start") from error
            time.sleep(0.02)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
