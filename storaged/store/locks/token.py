"""The last-writer token: the first 64 bytes of a lock file, renewed by each writer before it replaces the table.

::

    0        8        16    20                                   64
    | time ns | counter | pid | random                            |    little endian

Readers compare for equality only. A new lock file is empty, and a short read is a value of its own: the
file was never written. Source: containers/storage ``pkg/lockfile/lastwrite.go``.
"""

from __future__ import annotations

import itertools
import os
import struct
import time
from typing import Final

from storaged.store.files import Files

TOKEN_SIZE: Final = 64

_HEAD: Final = struct.Struct("<QQI")
_counter = itertools.count(1)


def read_token(files: Files, fd: int) -> bytes:
    """The token as it is, up to 64 bytes. No lock need be held: it is compared, never trusted alone."""
    return files.pread(fd, TOKEN_SIZE, 0)


def make_token() -> bytes:
    """A token that no writer ever wrote before."""
    head = _HEAD.pack(time.time_ns(), next(_counter), os.getpid() & 0xFFFFFFFF)
    return head + os.urandom(TOKEN_SIZE - len(head))


def write_token(files: Files, fd: int) -> bytes:
    """Write a new token, and return it. The exclusive lock must be held on this very descriptor.

    Neither truncates nor flushes, as upstream.

    Raises:
        OSError: it could not be written whole. Nothing may be renamed into place then.
    """
    token = make_token()
    written = files.pwrite(fd, token, 0)
    if written != TOKEN_SIZE:
        raise OSError(f"only {written} of {TOKEN_SIZE} bytes of the token were written")
    return token
