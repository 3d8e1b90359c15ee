"""A foreign writer in a process of its own: it changes one table again and again, at fixed moments.

It writes as containers/storage does (lock, token, temporary file, flush, rename), but two states of the table that
were made before: what another tool spends on decoding and encoding would be taken from the daemon's processor.

python -m tests.bench.load_writer '{"table": …, "lock": …, "kind": "tag", "rate": 2, "seconds": 5, "socket": …}'
"""

from __future__ import annotations

import fcntl
import json
import os
import struct
import sys
import time
from pathlib import Path
from typing import Any

from msgspec import Raw
from msgspec import json as msgspec_json

from tests.support.client import Client

_FLOCK = "hhqqi4x"
"""``struct flock`` on 64-bit Linux; the pid must be zero for locks of the open file."""


def two_states(data: bytes, kind: str) -> tuple[bytes, bytes]:
    """The table with one change, and as it is. ``tag``: a name more of an image in the middle; ``layer``: a layer more.

    Raises:
        ValueError: no such kind of change.
    """
    records = msgspec_json.decode(data, type=list[Raw])
    if kind == "layer":
        layer: dict[str, Any] = msgspec_json.decode(records[-1])
        layer["id"] = os.urandom(32).hex()
        return msgspec_json.encode([*records, layer]), data
    if kind != "tag":
        raise ValueError(f"no such change: {kind}")
    middle = len(records) // 2
    image: dict[str, Any] = msgspec_json.decode(records[middle])
    image["names"] = [*(image.get("names") or ()), f"localhost/foreign-{os.urandom(4).hex()}:1"]
    return msgspec_json.encode([*records[:middle], image, *records[middle + 1 :]]), data


class ForeignWriter:
    """Writes the two states in turn."""

    def __init__(self, table: Path, lock: Path, kind: str) -> None:
        self._table = table
        self._lock = lock
        self._states = two_states(table.read_bytes(), kind)
        self._turn = 0

    def write(self) -> float:
        """One change; the seconds it waited for the lock."""
        descriptor = os.open(self._lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            began = time.perf_counter()
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
            waited = time.perf_counter() - began
            os.pwrite(descriptor, os.urandom(64), 0)
            temporary = self._table.with_name(f".tmp-{self._table.name}-bench")
            with open(temporary, "wb") as file:
                file.write(self._states[self._turn % 2])
                file.flush()
                os.fdatasync(file.fileno())
            temporary.rename(self._table)
        finally:
            os.close(descriptor)
        self._turn += 1
        return waited


def run(
    *, table: str, lock: str, kind: str, rate: float, seconds: float, delay: float = 0.0, socket: str | None = None
) -> dict[str, list[float]]:
    """Write at ``rate`` a second for ``seconds``, after ``delay``; an even number of times, so that all is as before.

    With ``socket`` each change is followed by one fresh question of its own. Seconds are returned: what each write
    ``waited`` for its lock, and each question for its answer (``answered``).
    """
    writer = ForeignWriter(Path(table), Path(lock), kind)
    client = Client(socket) if socket is not None else None
    waited: list[float] = []
    answered: list[float] = []
    began = time.monotonic() + delay
    for number in range(2 * max(1, round(rate * seconds / 2))):
        time.sleep(max(0.0, began + number / rate - time.monotonic()))
        waited.append(writer.write())
        if client is not None:
            client.call("images.list", limit=1)
            answered.append(client.elapsed)
    if client is not None:
        client.close()
    return {"waited": waited, "answered": answered}


if __name__ == "__main__":
    print(json.dumps(run(**json.loads(sys.argv[1]))))
