"""The last-writer token: the first 64 bytes of a lock file, renewed by each writer before it replaces the table.

::

    0        8        16    20                                   64
    | time ns | counter | pid | random                            |    little endian

Readers compare only for equality. A new lock file is empty. A short read is a value, too: the file was never written.
Source: containers/storage ``pkg/lockfile/lastwrite.go``.
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
    """The present token, up to 64 bytes. No lock is needed, because tokens are only compared."""
    return files.pread(fd, TOKEN_SIZE, 0)


def make_token() -> bytes:
    """A token that no writer has ever written."""
    head = _HEAD.pack(time.time_ns(), next(_counter), os.getpid() & 0xFFFFFFFF)
    return head + os.urandom(TOKEN_SIZE - len(head))


def write_token(files: Files, fd: int) -> bytes:
    """Write a new token and return it. The exclusive lock must be held on this very descriptor.

    Neither truncates nor flushes, like upstream.

    Raises:
        OSError: it could not be written completely. Then nothing may be renamed into place.
    """
    token = make_token()
    written = files.pwrite(fd, token, 0)
    if written != TOKEN_SIZE:
        raise OSError(f"only {written} of {TOKEN_SIZE} bytes of the token were written")
    return token
