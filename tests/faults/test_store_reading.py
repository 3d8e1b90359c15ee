"""Each system call of a load and of a content fails in turn: a named error or a right answer, and nothing left open."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from storaged.metrics import Metrics
from storaged.store.content import ContentReader
from storaged.store.files import DISK_FAILED, EXHAUSTED, Files
from storaged.store.reader import StoreReader
from storaged_client.contract.errors import StoragedError, StoreBusy
from tests.support.disk import Disk, hexes
from tests.support.files import FaultyFiles

LIST = b'{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'


CALLS = "open stat fstat read pread"
"""Those that may fail; closing a descriptor always works."""


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path)
    disk.locks()
    disk.write("layers", [{"id": hexes(10)}])
    disk.write("images", [{**disk.big_data(hexes(1), {"manifest": LIST, "instances.json": b"{}"})}])
    return disk


def calls(attempt: Callable[[Files], Any], code: int) -> Iterator[tuple[FaultyFiles, Any, BaseException | None]]:
    """Run the attempt once for each of its system calls, that call failing."""
    number = 0
    while True:
        number += 1
        files = FaultyFiles(CALLS, error=code, at=number, times=1)
        before = sorted(os.listdir("/proc/self/fd"))
        try:
            outcome, error = attempt(files), None
        except StoragedError as raised:
            outcome, error = None, raised
        except OSError as raised:
            # What the machine lacked is no fault of the store: the engine answers StoreBusy and tries again.
            if code not in EXHAUSTED:
                raise
            outcome, error = None, StoreBusy(str(raised))
        assert len(os.listdir("/proc/self/fd")) == len(before), f"call {number} left a descriptor open"
        if not files.failed:
            assert number > 10
            return
        yield files, outcome, error


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ENOENT, errno.EMFILE, errno.ESTALE])
def test_a_load_with_one_failing_call_is_right_or_a_named_error(disk: Disk, code: int) -> None:
    def attempt(files: Files) -> tuple[list[str], list[str]]:
        reader = StoreReader(disk.location, metrics=Metrics(), files=files)
        try:
            tables = reader.load().tables
        finally:
            reader.close()
        return [row.record.id for row in tables.images], [row.record.id for row in tables.layers]

    for _, outcome, error in calls(attempt, code):
        assert error is not None or outcome == ([hexes(1)], [hexes(10)])


@pytest.mark.parametrize("code", [errno.EIO, errno.EACCES, errno.ENOENT, errno.EMFILE])
def test_a_content_with_one_failing_call_is_whole_or_unreadable_evidence_or_none(disk: Disk, code: int) -> None:
    reader = StoreReader(disk.location, metrics=Metrics())
    (row,) = reader.load().tables.images
    reader.close()
    for number in range(1, 30):
        files = FaultyFiles(CALLS, error=code, at=number, times=1)
        try:
            content = ContentReader(disk.location, Metrics(), files).read(row)
        except OSError:
            if code not in EXHAUSTED | DISK_FAILED:
                raise
            continue
        if not files.failed:
            return
        assert content.unreadable_evidence or content.damage == ()
        assert content.unreadable_evidence == bool(content.damage)
    pytest.fail("the read never came to an end of its calls")
