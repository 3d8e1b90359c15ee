"""Every system call of a process while it does one thing, seen from outside."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ITS_OWN = frozenset({"brk", "epoll_ctl", "epoll_wait", "futex", "madvise", "mmap", "mprotect", "mremap", "munmap"})
"""What the interpreter, its threads and its loop do for themselves, as it happens."""

_LOCK = re.compile(r"fcntl\(\d+, F_(?:OFD_)?SETLKW?\b")
_CALL = re.compile(r"^(?:\d+ +)?(?:\[pid +\d+\] )?([a-z_0-9]+)\(")


@contextmanager
def strace(pid: int, *flags: str) -> Iterator[Path]:
    """Follow all threads of a process while the block lasts; the log is whole afterwards, and the caller's to remove.

    Raises:
        RuntimeError: it cannot be followed.
    """
    descriptor, name = tempfile.mkstemp(prefix="rival-strace-")
    os.close(descriptor)
    command = ["strace", "-f", *flags, "-o", name, "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        line = process.stderr.readline()
        if "attached" not in line:
            raise RuntimeError(f"strace: {line}{process.stderr.read()}")
        yield Path(name)
        process.send_signal(signal.SIGINT)
        process.stderr.read()


def calls(log: Path) -> Counter[str]:
    """The calls by name, without the interpreter's own; ``locks`` counts those that take a lock of the store."""
    found: Counter[str] = Counter()
    with log.open() as lines:
        for line in lines:
            call = _CALL.match(line)
            if call is not None and call[1] not in ITS_OWN:
                found[call[1]] += 1
                found["locks"] += bool(_LOCK.search(line))
    return found


def renames_onto(log: Path, name: str) -> int:
    """How often a file of this name was replaced."""
    with log.open() as lines:
        return sum("rename" in line and line.rpartition(" = ")[0].endswith(f'/{name}")') for line in lines)
