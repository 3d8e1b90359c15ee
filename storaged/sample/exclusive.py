"""Holds a lock file of containers/storage exclusively, and saves a table under it.

Independent of ``storaged.store.locks``, so that tests of those meet another writer.
"""

from __future__ import annotations

import fcntl
import os
import struct
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from msgspec import json

_FLOCK = "hhqqi4x"
"""``struct flock`` on 64-bit Linux; the pid must be zero for locks of the open file."""

_WAIT = 10.0
"""Seconds to wait for a lock before giving up."""


def publish(table: Path, records: list[Any], lock: int) -> None:
    """Write the token, then the table by rename. The exclusive lock behind ``lock`` must be held."""
    os.pwrite(lock, os.urandom(64), 0)
    descriptor, name = tempfile.mkstemp(prefix=f".tmp-{table.name}", dir=table.parent)
    with open(descriptor, "wb") as file:
        file.write(json.encode(records))
        file.flush()
        os.fdatasync(file.fileno())
    os.rename(name, table)


@contextmanager
def exclusive(path: str) -> Iterator[int]:
    """Hold the record lock of a lock file for writing; yields its descriptor.

    A lock file that was replaced during the wait excludes nobody any more: start over.

    Raises:
        TimeoutError: not available within ten seconds.
    """
    deadline = time.monotonic() + _WAIT
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            _wait_for(descriptor, path, deadline)
            held, named = os.fstat(descriptor), os.stat(path)
            if (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _wait_for(descriptor: int, path: str, deadline: float) -> None:
    while True:
        try:
            fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        except (BlockingIOError, PermissionError):  # EAGAIN or EACCES: held by another process
            if time.monotonic() > deadline:
                raise TimeoutError(f"{path} was not free within {_WAIT:.0f} s") from None
            time.sleep(0.005)
        else:
            return
