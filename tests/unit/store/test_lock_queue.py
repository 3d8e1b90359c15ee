"""Waiting for a lock in the kernel's queue: in turn, and without a trace where it was given up."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import Timeout

from storaged.store.files import Files
from storaged.store.locks.lock_queue import LockWaiter
from storaged.store.locks.record_lock import RecordLock
from tests.unit.store.holding import held_elsewhere
from tests.unit.store.test_locks import try_posix

FILES = Files()


@pytest.fixture
def lock_file(tmp_path: Path) -> str:
    path = tmp_path / "images.lock"
    path.write_bytes(b"t" * 64)
    return str(path)


def waiting(path: str, seconds: float = 20.0) -> tuple[threading.Thread, list[RecordLock]]:
    """A thread that waits for the lock, and what it got."""
    had: list[RecordLock] = []

    def wait() -> None:
        lock = RecordLock(path, mode_held="exclusive", files=FILES, in_turn=True)
        lock.acquire(timeout=seconds)
        had.append(lock)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread, had


def blocked(path: str) -> int:
    """How many wait for locks of this file, by the kernel."""
    inode = os.stat(path).st_ino
    return sum("->" in line and f":{inode} " in line for line in Path("/proc/locks").read_text().splitlines())


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


def turns(path: str) -> int:
    """How many threads wait for locks of this file."""
    return sum(thread.name == f"storaged-turn-{os.stat(path).st_ino}" for thread in threading.enumerate())


def give_up(path: str) -> None:
    with pytest.raises(Timeout):
        RecordLock(path, mode_held="exclusive", files=FILES, in_turn=True).acquire(timeout=0.03)


def test_who_came_first_has_the_lock_first(lock_file: str) -> None:
    program = (
        "import fcntl,sys\nf=open(sys.argv[1],'r+b')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint('had',flush=True)\n"
        "sys.stdin.read()\n"
    )
    with held_elsewhere(lock_file) as first:
        thread, had = waiting(lock_file)
        until(lambda: blocked(lock_file) == 1)
        with subprocess.Popen(
            [sys.executable, "-c", program, lock_file], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as later:
            assert later.stdin is not None
            assert later.stdout is not None
            until(lambda: blocked(lock_file) == 2)
            assert first.stdin is not None
            first.stdin.close()
            thread.join(20)
            assert had[0].still_named()
            assert blocked(lock_file) == 1
            had[0].release()
            assert later.stdout.readline() == b"had\n"
            later.stdin.close()


def test_a_wait_that_was_given_up_leaves_nothing_once_the_lock_comes(lock_file: str) -> None:
    before = os.listdir("/proc/self/fd")
    with held_elsewhere(lock_file):
        give_up(lock_file)
        assert turns(lock_file) == 1
    until(lambda: turns(lock_file) == 0)
    assert os.listdir("/proc/self/fd") == before
    assert try_posix(lock_file, "write") == 0


def test_many_that_give_up_one_after_the_other_leave_one_place(lock_file: str) -> None:
    with held_elsewhere(lock_file):
        for _ in range(5):
            give_up(lock_file)
        assert turns(lock_file) == 1
        thread, had = waiting(lock_file)
        until(lambda: blocked(lock_file) == 1)
    thread.join(20)
    assert had[0].still_named()
    assert try_posix(lock_file, "write") != 0
    had[0].release()
    assert try_posix(lock_file, "write") == 0


def test_a_lock_file_replaced_during_the_wait_is_waited_for_anew(lock_file: str) -> None:
    with held_elsewhere(lock_file):
        thread, had = waiting(lock_file)
        until(lambda: blocked(lock_file) == 1)
        Path(lock_file + ".new").write_bytes(b"n" * 64)
        os.rename(lock_file + ".new", lock_file)
        thread.join(20)
        assert had[0].still_named()
        had[0].release()


def test_what_the_kernel_refuses_is_told(lock_file: str) -> None:
    fd = os.open(lock_file, os.O_RDONLY)  # no exclusive lock without the right to write
    closed: list[int] = []
    turn = LockWaiter.join((0, 0, fcntl.F_WRLCK), lambda: fd, closed.append)
    with pytest.raises(OSError, match="Bad file descriptor"):
        turn.take(20)
    turn.leave()
    assert closed == [fd]
    os.close(fd)


def test_where_no_thread_can_be_started_nothing_is_left_open(lock_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = os.listdir("/proc/self/fd")

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(OSError, match="no thread to wait in") as refused:
        RecordLock(lock_file, mode_held="exclusive", files=FILES, in_turn=True).acquire(timeout=1)
    assert refused.value.filename == lock_file
    assert os.listdir("/proc/self/fd") == before
