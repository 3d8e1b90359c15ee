"""What a look at the store costs, in microseconds: ``python -m tests.bench.stamp_cost [GRAPHROOT RUNROOT DRIVER]``."""

from __future__ import annotations

import sys
import tempfile
import timeit
from pathlib import Path

from storaged.metrics import Metrics
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from tests.unit.store.builders import Disk, hexes


def main(argv: list[str]) -> int:
    with tempfile.TemporaryDirectory() as folder:
        if argv:
            location = StoreLocation(graphroot=argv[0], runroot=argv[1], driver=argv[2])
        else:
            disk = Disk(Path(folder))
            disk.locks()
            disk.write("images", [{"id": hexes(n)} for n in range(800)])
            disk.write("layers", [{"id": hexes(n)} for n in range(2000)])
            location = disk.location
        metrics = Metrics()
        reader = StoreReader(location, metrics=metrics)
        reader.load()
        reader.stamp()
        opened = metrics.counters["files.opened"]
        for name, action, count in (
            ("stamp", reader.stamp, 20000),
            ("stamp and probe", reader.writer, 20000),
            ("load, nothing changed", reader.load, 2000),
        ):
            best = min(timeit.repeat(action, number=count, repeat=3)) / count
            print(f"{name}: {best * 1e6:.1f} us")
        print(f"files opened meanwhile: {metrics.counters['files.opened'] - opened}")
        reader.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
