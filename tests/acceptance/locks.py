"""A rival writer in a process of its own: holds a lock of containers/storage as the Go tools do.

python -m tests.acceptance.locks hold LOCK TABLE    replace TABLE under the lock, print "held", keep it until stdin ends
python -m tests.acceptance.locks write LOCK TABLE   change a record of TABLE under LOCK again and again, print the waits
python -m tests.acceptance.locks wait LOCK…         take and free the locks in turn until stdin ends, print the waits
python -m tests.acceptance.locks read SOCKET N      N connections read until stdin ends, print the count

Classic POSIX locks and no others, so that the kernel names their holder.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import select
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def hold(lock: str, table: str) -> None:
    """Take the lock, write the token, replace the table by one with a record more or another name, and sit there."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    fcntl.lockf(descriptor, fcntl.LOCK_EX)
    alter(Path(table), descriptor)
    print("held", flush=True)
    sys.stdin.read()
    os.close(descriptor)


def alter(table: Path, lock: int) -> None:
    """One change in the order of containers/storage from 1.47 on. The lock behind ``lock`` must be held."""
    records = json.loads(table.read_bytes())
    if table.name == "images.json":
        records[0]["names"] = [f"localhost/altered:{os.getpid()}", *records[0].get("names", [])]
    else:
        records.append({"id": random.randbytes(32).hex(), "created": "2024-05-05T05:05:05.123456789Z"})
    os.pwrite(lock, os.urandom(64), 0)
    temporary = table.with_name(f".tmp-{table.name}{os.getpid()}")
    with temporary.open("w") as file:
        json.dump(records, file, separators=(",", ":"))
        file.flush()
        os.fdatasync(file.fileno())
    temporary.rename(table)


def _stdin_ended(seconds: float) -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(ready)


def wait(locks: list[str]) -> None:
    """Measure how long a writer waits for each lock, a hundred times a second."""
    waits: list[float] = []
    while not _stdin_ended(0.005):
        for lock in locks:
            start = time.perf_counter()
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            fcntl.lockf(descriptor, fcntl.LOCK_EX)
            waits.append(time.perf_counter() - start)
            os.pwrite(descriptor, os.urandom(64), 0)
            os.close(descriptor)
    print(json.dumps(waits))


def write(lock: str, table: str) -> None:
    """Change the time of the first record as fast as it goes, a token each time; measure the waits."""
    waits: list[float] = []
    temporary = f"{os.path.dirname(table)}/.tmp-{os.path.basename(table)}{os.getpid()}"
    print("writing", flush=True)
    while not _stdin_ended(0.002):
        start = time.perf_counter()
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        fcntl.lockf(descriptor, fcntl.LOCK_EX)
        waits.append(time.perf_counter() - start)
        data = bytearray(Path(table).read_bytes())
        second = data.index(b'"created":"') + len(b'"created":"YYYY-MM-DDThh:mm:s')
        data[second] = ord("0") + (data[second] - ord("0") + 1) % 10
        Path(temporary).write_bytes(data)
        os.pwrite(descriptor, os.urandom(64), 0)
        os.rename(temporary, table)
        os.close(descriptor)
    print(json.dumps(waits))


def read(path: str, clients: int) -> None:
    """Read as fast as the daemon answers, by as many connections."""
    from tests.support.client import Client

    ended = threading.Event()
    counts = [0] * clients

    def loop(number: int) -> None:
        with Client(path) as client:
            while not ended.is_set():
                client.raw('{"jsonrpc":"2.0","id":1,"method":"images.list","params":{"filters":["dangling=true"]}}')
                counts[number] += 1

    threads = [threading.Thread(target=loop, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    print("reading", flush=True)
    sys.stdin.read()
    ended.set()
    for thread in threads:
        thread.join()
    print(json.dumps(sum(counts)))


class Rival:
    """A running command of this module."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def said(self) -> str:
        """The next line it prints."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def finish(self) -> str:
        """End it; returns the last line it prints."""
        output, _ = self._process.communicate(timeout=60)
        return (output.strip().splitlines() or [""])[-1]


@contextmanager
def rival(*arguments: str) -> Iterator[Rival]:
    """Run ``python -m tests.acceptance.locks …`` while the block lasts."""
    process = subprocess.Popen(
        [sys.executable, "-m", __name__, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        yield Rival(process)
    finally:
        if process.poll() is None:
            process.communicate(timeout=60)


if __name__ == "__main__":
    command, *rest = sys.argv[1:]
    if command == "hold":
        hold(*rest)
    elif command == "write":
        write(*rest)
    elif command == "wait":
        wait(rest)
    elif command == "read":
        read(rest[0], int(rest[1]))
