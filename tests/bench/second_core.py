"""What a second processor would bring to the daemon: threads, processes that share a snapshot, processes of their own.

The work is that of ``images.list`` of 50 rows without sockets and event loop: choosing and joining what is encoded
already, and the same with encoding. ``--free-threaded`` names an interpreter without the global lock that has storaged
and its dependencies installed; without it that row is left out.

python -m tests.bench.second_core --scale 1
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from attrs import frozen

from storaged.engine.content import Contents
from storaged.engine.loading import Loader
from storaged.engine.row_cache import RowCache
from storaged.metrics import Metrics
from storaged.operations.image_list import select
from storaged.operations.query_context import QueryContext
from storaged.snapshot.model import Snapshot
from storaged.store.content import ContentReader
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from storaged_client.contract.params import ImagesList
from tests.support.report import Report, arguments
from tests.support.stores import HERE

from .load_document import table, write_part
from .load_ground import DRIVER, Ground, compiled, fleet, ground

WORKERS = 2
WORKS = ("join", "encode")
_MIB = 1 << 20


@frozen(kw_only=True)
class Way:
    """One way to use several processors. ``memory``: bytes of all processes together, each shared page once."""

    name: str
    rates: dict[str, float]
    """Answers a second of all workers together, by work."""
    memory: int | None = None


def main(argv: Sequence[str] | None = None) -> int:
    extra = {"free_threaded": (str, "", "an interpreter without the global lock")}
    flags = arguments(__doc__ or "", argv, **extra)
    report = Report(timed=not flags.untimed)
    scale = min(1.0, flags.scale)
    with compiled(), ground(fleet(scale, seed=flags.seed)) as store:
        ways = measure(report, store, seconds=max(0.2, 3 * scale), free_threaded=flags.free_threaded)
    if flags.scale >= 1:
        write_part("second core", "python -m tests.bench.second_core --scale 1", _document(ways))
    return report.finish()


def measure(report: Report, store: Ground, *, seconds: float, free_threaded: str) -> list[Way]:
    """All ways there are on this machine."""
    report.figure("processors", os.cpu_count())
    report.figure("layers", store.sample.layers)
    ways = [
        _own(report, store, "1 thread", seconds, threads=1),
        _own(report, store, f"{WORKERS} threads under the interpreter's lock", seconds, threads=WORKERS),
        _forked(report, store, seconds),
        _own(report, store, f"{WORKERS} processes, each with a snapshot of its own", seconds, processes=WORKERS),
    ]
    if free_threaded:
        name = f"{WORKERS} threads, free-threaded"
        ways.append(_own(report, store, "1 thread, free-threaded", seconds, python=free_threaded))
        ways.append(_own(report, store, name, seconds, threads=WORKERS, python=free_threaded))
    else:
        report.figure("free-threaded", "not measured: no interpreter was named by --free-threaded")
    for way in ways:
        told = ", ".join(f"{work} {rate:.0f}/s" for work, rate in way.rates.items())
        report.figure(way.name, told + (f", {way.memory / _MIB:.0f} MiB" if way.memory is not None else ""))
    return ways


def _own(
    report: Report,
    store: Ground,
    name: str,
    seconds: float,
    *,
    threads: int = 1,
    processes: int = 1,
    python: str = sys.executable,
) -> Way:
    told = json.dumps({"folder": str(store.folder), "seconds": seconds, "threads": threads})
    command = [python, "-m", "tests.bench.second_core_work", told]
    root = Path(__file__).parents[2]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root) for _ in range(processes)]
    results = [json.loads(worker.communicate(timeout=120)[0] or "{}") for worker in workers]
    held = report.claim(all(results), f"{name}: a worker failed")
    return Way(
        name=name,
        rates={work: sum(result.get(work, 0.0) for result in results) for work in WORKS},
        memory=sum(result["memory"] for result in results) if held else None,
    )


def _forked(report: Report, store: Ground, seconds: float) -> Way:
    """In a process of its own: what is forked here would share the memory of all that was measured before."""
    name = f"{WORKERS} processes forked from one with the snapshot"
    told = json.dumps({"folder": str(store.folder), "seconds": seconds, "forks": WORKERS})
    command = [sys.executable, "-m", "tests.bench.second_core_work", told]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2], check=False)
    result = json.loads(done.stdout or "{}")
    if not report.claim(bool(result), f"{name}: it failed"):
        return Way(name=name, rates=dict.fromkeys(WORKS, 0.0))
    return Way(name=name, rates={work: result[work] for work in WORKS}, memory=result["memory"])


# ---------------------------------------------------------------- the work


def snapshot_of(folder: Path) -> Snapshot:
    """What the daemon keeps of the store in this folder."""
    location = StoreLocation(graphroot=str(folder / "root"), runroot=str(folder / "run"), driver=DRIVER)
    metrics = Metrics()
    loader = Loader(StoreReader(location, metrics=metrics), Contents(ContentReader(location, metrics)), metrics)
    return loader.load(unproven=False, afresh=False, cancelled=lambda: False).snapshot


def works_on(snapshot: Snapshot, view: QueryContext = HERE) -> dict[str, Callable[[], bytes]]:
    """One answer of each kind."""
    warm, now, params = RowCache(snapshot), datetime.now().astimezone(), ImagesList(all=True)

    def answer(rows: RowCache) -> bytes:
        selection = select(snapshot, params, view, now)
        return b"".join(rows.parts(selection.images[:50], None, selection.names))

    return {"join": lambda: answer(warm), "encode": lambda: answer(RowCache(snapshot))}


def rate_of(work: Callable[[], bytes], seconds: float, threads: int) -> float:
    """Answers a second of so many threads together."""
    counts = [0] * threads
    ended = threading.Event()

    def go_on(lane: int) -> None:
        while not ended.is_set():
            work()
            counts[lane] += 1

    work()
    lanes = [threading.Thread(target=go_on, args=(lane,)) for lane in range(threads)]
    began = time.perf_counter()
    for lane in lanes:
        lane.start()
    time.sleep(seconds)
    ended.set()
    for lane in lanes:
        lane.join()
    return sum(counts) / (time.perf_counter() - began)


def memory() -> int:
    """Bytes of this process, of each shared page its share."""
    rollup = Path("/proc/self/smaps_rollup").read_text()
    return next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) * 1024


def _document(ways: Sequence[Way]) -> str:
    first = ways[0].rates
    return table(
        ("way", "join, answers/s", "times one thread", "encode, answers/s", "times one thread", "MiB of all processes"),
        [
            (
                way.name,
                way.rates["join"],
                way.rates["join"] / first["join"],
                way.rates["encode"],
                way.rates["encode"] / first["encode"],
                way.memory / _MIB if way.memory is not None else None,
            )
            for way in ways
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
