"""What a start consists of, measured part by part, and how it is told in docs/scaling.md."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen
from msgspec import Raw, json

from tests.support.report import median

from .load_document import table
from .load_ground import BACKENDS, Spread

START_S = {"800": 0.35, "fleet": 1.5}
FRESH_MS = {"800": 15.0, "fleet": 150.0}
_SPARE = 64 << 20
_TIMES = 4
"""Memory at the largest store is at most so many times the JSON, and what is spare."""
CODE = "import gc; gc.disable(); import storaged.settings, storaged.cmd_serve, {loop}"
LOOPS = {"trio": "anyio._backends._trio", "asyncio": "anyio._backends._asyncio"}


@frozen(kw_only=True)
class Start:
    """One size on one back end; seconds, each the median of all starts, and bytes."""

    size: str
    backend: str
    images: int
    layers: int
    json_bytes: int
    whole: Spread
    interpreter: float
    imports: float
    load: float
    parse: float
    """The floor of a load: read both tables and split and decode them to plain values, in a process that does nothing
    else."""
    fresh: Spread
    fresh_floor: float
    """Read and decode the table that was changed."""
    layer: Spread
    """The first fresh answer after a layer and an image on it came."""
    memory: dict[str, int]

    @property
    def rest(self) -> float:
        """Settings, guard, socket, event loop, the first answer."""
        return self.whole.p50 / 1000 - self.interpreter - self.imports - self.load

    @property
    def bound(self) -> int:
        return _TIMES * self.json_bytes + _SPARE


def seconds_of(code: str, rounds: int = 9) -> float:
    """Seconds that an interpreter takes for the code, start and end included."""

    def run() -> None:
        subprocess.run([sys.executable, "-c", code], check=True, cwd="/", env=_environment())

    return _median_of(run, rounds)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def floor(*tables: Path) -> float:
    """Seconds to read the tables and decode all that is in them."""

    def run() -> None:
        for each in tables:
            for record in json.decode(each.read_bytes(), type=list[Raw]):
                json.decode(record)

    return _median_of(run, 5)


def _median_of(run: Callable[[], None], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return median(times)


def imports_by_package(backend: str) -> dict[str, float]:
    """Milliseconds that the daemon's imports spend in each package itself, the dearest first."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", CODE.format(loop=LOOPS[backend])],
        check=True,
        capture_output=True,
        text=True,
        cwd="/",
        env=_environment(),
    )
    spent: Counter[str] = Counter()
    for own, name in re.findall(r"^import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)$", done.stderr, re.MULTILINE):
        package = name.partition(".")[0]
        spent["standard library" if package.lstrip("_") in _STANDARD or package in _STANDARD else package] += int(own)
    return {name: microseconds / 1000 for name, microseconds in spent.most_common(8)}


_STANDARD = sys.stdlib_module_names


def document(starts: Sequence[Start]) -> str:
    text = table(
        (
            "store",
            "back end",
            "start to first answer, ms: p50 (longest of)",
            "interpreter",
            "imports",
            "load",
            "rest",
            "read + parse alone",
            "bound",
        ),
        [
            (
                f"{start.images} images, {start.layers} layers",
                start.backend,
                f"{start.whole.p50:.0f} ({start.whole.longest:.0f} of {start.whole.count})",
                *(part * 1000 for part in (start.interpreter, start.imports, start.load, start.rest, start.parse)),
                START_S[start.size] * 1000,
            )
            for start in starts
        ],
    )
    text += "\n" + table(
        (
            "store",
            "back end",
            "fresh answer after a foreign tag, ms: p50 (longest of)",
            "read + parse of that table",
            "bound",
            "after a foreign layer and image: p50 (longest)",
        ),
        [
            (
                f"{start.images} images, {start.layers} layers",
                start.backend,
                f"{start.fresh.p50:.1f} ({start.fresh.longest:.1f} of {start.fresh.count})",
                start.fresh_floor * 1000,
                FRESH_MS[start.size],
                f"{start.layer.p50:.1f} ({start.layer.longest:.1f})",
            )
            for start in starts
        ],
    )
    text += "\n" + table(
        ("store", "back end", "JSON, MB", *starts[0].memory, "4 * JSON + 64 MiB"),
        [
            (
                f"{start.images} images, {start.layers} layers",
                start.backend,
                start.json_bytes / 1e6,
                *(f"{held / 2**20:.0f} MiB" for held in start.memory.values()),
                f"{start.bound / 2**20:.0f} MiB" if start.size == "fleet" else "not judged at this size",
            )
            for start in starts
        ],
    )
    lines = [
        f"- {backend}: " + ", ".join(f"{name} {spent:.0f}" for name, spent in imports_by_package(backend).items())
        for backend in BACKENDS
    ]
    told = "Milliseconds that the imports spend in each package itself (`-X importtime`, which makes them slower):"
    return f"{text}\n{told}\n\n" + "\n".join(lines) + "\n"
