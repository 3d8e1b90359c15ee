"""The contract's error for a failed system call on the store, or another failure there."""

from __future__ import annotations

import errno
from collections.abc import Sequence

from storaged.store.files import DISK_FAILED, EXHAUSTED, FULL
from storaged_client.contract.errors import DiskFailure, NoSpace, StoragedError, StoreBusy, StoreCorrupt, StoreReadOnly

_FORBIDDEN = frozenset({errno.EROFS, errno.EACCES, errno.EPERM})


def disk_error(error: OSError) -> StoragedError:
    """The error of a refused change: what was refused, and what to do next."""
    file = str(error.filename or error.filename2 or "the store")
    detail = error.strerror or str(error) or type(error).__name__
    if error.errno in EXHAUSTED:
        return _exhausted(file, detail)
    if error.errno in FULL:
        return NoSpace(f"{file}: {detail}: free space on its file system, then try again", file=file, detail=detail)
    if error.errno in _FORBIDDEN:
        return StoreReadOnly(f"{file}: {detail}: the daemon may not write there", file=file, detail=detail)
    return DiskFailure(
        f"{file}: {detail}: the change was abandoned; look at the kernel's log, then at `storagectl check`",
        file=file,
        detail=detail,
    )


def reading_error(error: OSError) -> StoreCorrupt | StoreBusy:
    """The error if the store could not be read; ``StoreBusy`` if that says nothing about the store."""
    file = str(error.filename or error.filename2 or "the store")
    detail = error.strerror or str(error) or type(error).__name__
    if error.errno in EXHAUSTED:
        return _exhausted(file, detail)
    if error.errno in DISK_FAILED:
        text = f"{file}: {detail}: the disk failed and is tried again; the kernel's log says more"
        return StoreBusy(text, file=file, detail=detail)
    return StoreCorrupt(f"{file}: {detail}", file=file, detail=detail)


def _exhausted(file: str, detail: str) -> StoreBusy:
    text = f"{file}: {detail}: the daemon lacks descriptors or memory at the moment; try again"
    return StoreBusy(text, file=file, detail=detail)


def store_error(error: Exception) -> StoragedError:
    """The error if anything else ended the writing of a change."""
    if isinstance(error, StoragedError):
        return error
    if isinstance(error, OSError):
        return disk_error(error)
    detail = f"{type(error).__name__}: {error}".rstrip(": ")
    return DiskFailure(f"{detail}: the daemon's log says more", detail=detail)


def told_left(left: Sequence[str]) -> str | None:
    """What could not be removed, in a few words; None if there is nothing."""
    if not left:
        return None
    return left[0] + (f", and {len(left) - 1} more" if len(left) > 1 else "")


def made_unseen(error: Exception) -> DiskFailure:
    """The error if a change was made but its new state cannot be shown."""
    told = f"{store_error(error).message}; the change is made, but the store cannot be shown now"
    return DiskFailure(f"{told}: check before you try again", partial=True)
