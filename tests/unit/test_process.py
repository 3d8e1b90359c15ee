from __future__ import annotations

import subprocess
import sys

import pytest

_PROGRAM = """
import os, sys
from storaged import process

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

if sys.argv[1] == "given back":
    process.give_memory_back()
# The longest answer there may be has come and gone; others follow, with small things between them that stay.
bytes(24 << 20)
before = resident()
between = []
answers = []
size = int(sys.argv[2])
for number in range((100 << 20) // size):
    answers.append(b"x" * size)
    between.append(bytes(2_000))
answers.clear()
print(resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="of glibc")
@pytest.mark.parametrize("size", [1 << 20, 50_000])
def test_the_memory_of_long_answers_goes_back_to_the_kernel(size: int) -> None:
    grown = {}
    for how in ("given back", "kept"):
        command = [sys.executable, "-c", _PROGRAM, how, str(size)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        grown[how] = int(done.stdout)
    assert grown["given back"] < 8 << 20
    if grown["kept"] < 50 << 20:
        pytest.skip("this C library gives it back by itself")
