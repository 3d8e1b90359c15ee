"""Free memory goes back to the system when a connection ends that made the daemon hold much."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from pathlib import Path

import anyio
import pytest
import trio
from anyio.to_thread import run_sync

from storaged.server import memory
from storaged.server.listener import bind
from storaged.server.memory import PAUSE, Memory
from tests.support.connection import Methods
from tests.support.virtual_time import run_in_virtual_time

from .test_lifecycle import living

MIB = 1 << 20

_HOARD = """
import os
from storaged.server.memory import trim

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

# Freed in front of what is kept, so that it stays in the middle of the heap.
many = [bytes(2000) for _ in range(50_000)]
kept = bytes(2000)
before = resident()
del many
between = resident()
trim()
print(before - between, before - resident())
"""

_LARGE = """
import os, sys
from storaged.server.memory import keep_together

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

if sys.argv[1] == "together":
    keep_together()
table = b"table" * (4 << 20)
del table
pieces, kept = [], []
for _ in range(20):
    pieces.append(b"piece" * (1 << 18))
    kept.append(bytes(2000))
before = resident()
pieces.clear()
print(before - resident())
"""

_PLACES = """
import ctypes, sys, threading
from storaged.server.memory import keep_together

if sys.argv[2] == "together":
    keep_together()
barrier = threading.Barrier(6)

def work():
    kept = [bytes(2000) for _ in range(1000)]
    barrier.wait()

threads = [threading.Thread(target=work) for _ in range(5)]
for thread in threads:
    thread.start()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
libc.malloc_info.argtypes = ctypes.c_int, ctypes.c_void_p
libc.fclose.argtypes = ctypes.c_void_p,
file = libc.fopen(sys.argv[1].encode(), b"w")
libc.malloc_info(0, file)
libc.fclose(file)
barrier.wait()
"""


@pytest.mark.parametrize(("together", "one"), [("together", True), ("apart", False)])
def test_all_threads_take_their_memory_from_one_place(tmp_path: Path, together: str, one: bool) -> None:
    told = tmp_path / "malloc.xml"
    subprocess.run([sys.executable, "-c", _PLACES, str(told), together], check=True, timeout=25)
    assert (told.read_text().count("<heap nr=") == 1) is one


@pytest.mark.parametrize(("together", "goes_back"), [("together", True), ("apart", False)])
def test_large_pieces_go_back_although_small_ones_beside_them_stay(together: str, goes_back: bool) -> None:
    command = [sys.executable, "-c", _LARGE, together]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=25)
    assert (int(told.stdout) > 20 * MIB) is goes_back


def test_what_was_freed_goes_back_to_the_system() -> None:
    told = subprocess.run([sys.executable, "-c", _HOARD], capture_output=True, text=True, check=True, timeout=25)
    kept_free, given_back = map(int, told.stdout.split())
    assert kept_free < 10 * MIB
    assert given_back > 80 * MIB


def test_all_who_ask_within_a_moment_are_served_by_one() -> None:
    async def main() -> None:
        times: list[float] = []
        giving = Memory(lambda: times.append(0.0))
        began = trio.current_time()
        async with anyio.create_task_group() as tasks:
            for _ in range(20):
                tasks.start_soon(giving.give_back)
        assert (len(times), trio.current_time() - began) == (1, PAUSE)
        await giving.give_back()
        assert len(times) == 2

    run_in_virtual_time(main)


@pytest.mark.parametrize(("size", "expected"), [(3 * MIB, 1), (1000, 0)])
def test_the_end_of_a_connection_gives_back_what_it_made_the_daemon_hold(
    short_dir: Path, monkeypatch: pytest.MonkeyPatch, size: int, expected: int
) -> None:
    given: list[int] = []
    monkeypatch.setattr(memory.Memory.__init__, "__defaults__", (lambda: given.append(1),))

    async def main() -> None:
        listener = await anyio.to_thread.run_sync(bind, str(short_dir / "s"))
        async with living(listener, Methods()) as life:
            async with life.client() as wire:
                await wire.call(1, "big", size=size)
                await wire.line()
                await anyio.sleep(2 * PAUSE)
                assert given == []
            await anyio.sleep(2 * PAUSE)
            assert len(given) == expected

    run_in_virtual_time(main)


@pytest.mark.anyio
async def test_what_connections_left_in_circles_is_freed_as_well() -> None:
    class Left:
        def __init__(self) -> None:
            self.me = self

    gone = weakref.ref(Left())
    gc.disable()
    try:
        kept = weakref.ref(Left())
        memory.gather()
        assert kept() is not None  # a load is being made
    finally:
        gc.enable()
    assert kept() is not None
    await run_sync(memory.gather)
    assert gone() is None
    assert kept() is None
