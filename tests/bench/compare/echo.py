"""The limit of an answer: a process that sends fixed bytes for each line it reads.

    python -m tests.bench.compare.echo plain|trio|asyncio SOCKET FILE

``plain`` is two system calls for each request; the others do the same by anyio on that event loop, which is what
any daemon built on it pays before it has done anything.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from tests.support.client import Client

Kind = Literal["plain", "trio", "asyncio"]
_ROOT = Path(__file__).parents[3]
_MOST = 65_536


def main(argv: list[str]) -> int:
    kind, path, file = argv
    data = Path(file).read_bytes()
    if kind == "plain":
        _plain(path, data)
    else:
        import anyio

        anyio.run(_looped, path, data, backend=kind)
    return 0


def _plain(path: str, data: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        print("ready", flush=True)
        while True:
            connection, _ = listener.accept()
            with connection:
                # A request is one small line that came in one piece: the client sends the next one after the answer.
                while part := connection.recv(_MOST):
                    if part.endswith(b"\n"):
                        connection.sendall(data)


async def _looped(path: str, data: bytes) -> None:
    import anyio
    from anyio.abc import SocketStream

    async def serve(stream: SocketStream) -> None:
        async with stream:
            while True:
                try:
                    part = await stream.receive(_MOST)
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return
                if part.endswith(b"\n"):
                    await stream.send(data)

    listener = await anyio.create_unix_listener(path)
    print("ready", flush=True)
    await listener.serve(serve)


@contextmanager
def echo(data: bytes, kind: Kind = "plain") -> Iterator[Client]:
    """A client of an echo of these bytes while the block lasts.

    Raises:
        RuntimeError: it did not start.
    """
    with tempfile.TemporaryDirectory(prefix="echo-") as folder:
        path, file = Path(folder) / "s", Path(folder) / "data"
        file.write_bytes(data)
        command = [sys.executable, "-m", "tests.bench.compare.echo", kind, str(path), str(file)]
        process = subprocess.Popen(command, cwd=_ROOT, stdout=subprocess.PIPE)
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError(f"the echo did not start: exit {process.wait()}")
            with Client(path) as client:
                yield client
        finally:
            process.terminate()
            process.communicate()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
