"""One process of ``second_core``: threads that work, or children that do, and what all of it holds in memory."""

from __future__ import annotations

import gc
import json
import os
import sys
from pathlib import Path
from typing import Any

from .second_core import memory, rate_of, snapshot_of, works_on


def _main(*, folder: str, seconds: float, threads: int = 1, forks: int = 0) -> dict[str, float]:
    snapshot = snapshot_of(Path(folder))
    gc.freeze()
    result: dict[str, Any] = {}
    if not forks:
        for name, work in works_on(snapshot).items():
            result[name] = rate_of(work, seconds, threads)
        return {**result, "memory": memory()}
    pipes = []
    for _ in range(forks):
        reading, writing = os.pipe()
        if os.fork() == 0:
            own: dict[str, float] = {name: rate_of(work, seconds, 1) for name, work in works_on(snapshot).items()}
            os.write(writing, json.dumps({**own, "memory": memory()}).encode())
            os._exit(0)
        os.close(writing)
        pipes.append(reading)
    told = []
    for reading in pipes:
        with open(reading, "rb") as pipe:
            told.append(json.loads(pipe.read()))
    for _ in pipes:
        os.wait()
    # What the parent has for itself by now is what its children had to copy: they serve, and it only keeps.
    return {name: sum(each[name] for each in told) + (memory() if name == "memory" else 0) for name in told[0]}


if __name__ == "__main__":
    print(json.dumps(_main(**json.loads(sys.argv[1]))))
