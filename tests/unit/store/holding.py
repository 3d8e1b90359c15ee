"""Another process that holds a lock file: as containers/storage does, by a classic POSIX record lock; by an OFD lock as
we do; or by flock(2), as composefs-rs does."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_PROGRAM = """
import fcntl, os, struct, sys
path, kind, language = sys.argv[1:]
fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
if language == "flock":
    fcntl.flock(fd, fcntl.LOCK_EX if kind == "write" else fcntl.LOCK_SH)
elif language == "posix":
    fcntl.lockf(fd, fcntl.LOCK_EX if kind == "write" else fcntl.LOCK_SH)
else:
    wanted = fcntl.F_WRLCK if kind == "write" else fcntl.F_RDLCK
    fcntl.fcntl(fd, fcntl.F_OFD_SETLKW, struct.pack("hhqqi4x", wanted, 0, 0, 0, 0))
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def held_elsewhere(path: str, kind: str = "write", language: str = "posix") -> Iterator[subprocess.Popen[str]]:
    """Hold ``path`` in a child process until the block ends or its stdin is closed."""
    child = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, path, kind, language], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        assert child.stdout.readline() == "held\n"
        yield child
    finally:
        child.stdin.close()
        child.wait(60)
        child.stdout.close()
