"""How soon a daemon answers after its start, and after another tool's change; what it holds in memory then.

A start is counted from before the process is made to the last byte of its first answer to ``images.list`` of one row.
Its parts are measured apart: a bare interpreter, the imports of the daemon, its first load of the store. Everything is
warm: compiled modules and the store's files are in the page cache.

python -m tests.bench.starts --scale 1
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from attrs import frozen
from msgspec import Raw, json

from storaged.sample import SampleSpec, SampleWriter
from tests.rivals.daemon import Client
from tests.rivals.report import Report, arguments, median
from tests.stress.served import serving

from .load_document import table, write_part
from .load_ground import BACKENDS, DRIVER, Ground, Spread, compiled, fleet, ground

IMAGES = 800
START_S = {"800": 0.35, "fleet": 1.5}
FRESH_MS = {"800": 15.0, "fleet": 150.0}
_SPARE = 64 << 20
_TIMES = 4
"""Memory at the largest store is at most so many times the JSON, and what is spare."""
_PATIENCE = 30.0
_CODE = "import storaged.settings, storaged.serving, {loop}"
_LOOPS = {"trio": "anyio._backends._trio", "asyncio": "anyio._backends._asyncio"}


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


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    with compiled():
        starts = measure(report, scale=flags.scale, seed=flags.seed)
        if flags.scale >= 1:
            write_part("starts", "python -m tests.bench.starts --scale 1", _document(starts))
    return report.finish()


def measure(report: Report, *, scale: float, seed: int) -> list[Start]:
    """Both sizes on both back ends."""
    whole = min(1.0, scale)
    sizes = {
        "800": (SampleSpec(images=max(40, round(IMAGES * whole)), seed=seed), max(3, round(20 * whole))),
        "fleet": (fleet(whole, seed=seed), max(2, round(7 * whole))),
    }
    starts: list[Start] = []
    for size, (spec, rounds) in sizes.items():
        for backend in BACKENDS:
            with ground(spec) as store:
                start = _measure(report, store, size=size, backend=backend, rounds=rounds)
            starts.append(start)
            _judge(report, start, full=scale >= 1)
    for backend in BACKENDS:
        report.figure(f"{backend}: ms of imports by package", imports_by_package(backend))
    return starts


def _judge(report: Report, start: Start, *, full: bool) -> None:
    where = f"{start.images} images, {start.layers} layers, {start.backend}"
    report.figure(f"{where}: start to first answer", start.whole)
    parts = {"interpreter": start.interpreter, "imports": start.imports, "load": start.load, "rest": start.rest}
    report.figure(f"{where}: ms of it", {name: round(seconds * 1000, 1) for name, seconds in parts.items()})
    report.figure(f"{where}: ms to read and parse the JSON alone", start.parse * 1000)
    report.figure(f"{where}: next fresh answer after a foreign tag", start.fresh)
    report.figure(f"{where}: ms to read and parse that table alone", start.fresh_floor * 1000)
    report.figure(f"{where}: next fresh answer after a foreign layer and image", start.layer)
    memory = {name: round(held / 2**20, 1) for name, held in start.memory.items()}
    report.figure(f"{where}: MiB resident", f"{memory}, bound {start.bound / 2**20:.0f}")
    report.in_time(start.whole.p50 <= START_S[start.size] * 1000, f"{where}: start took {start.whole.p50:.0f} ms")
    report.in_time(start.fresh.p50 <= FRESH_MS[start.size], f"{where}: fresh answer took {start.fresh.p50:.1f} ms")
    if start.size == "fleet" and full:
        # A small store is no measure of it: the interpreter and its modules are larger than what is spare.
        held = max(start.memory.values())
        report.claim(
            held <= start.bound, f"{where}: {held / 2**20:.0f} MiB resident, {start.bound / 2**20:.0f} allowed"
        )


def _measure(report: Report, store: Ground, *, size: str, backend: str, rounds: int) -> Start:
    whole, loads = [], []
    _start_once(store, backend)
    for _ in range(rounds):
        seconds, load = _start_once(store, backend)
        whole.append(seconds)
        loads.append(load)
    with serving(store.folder, backend=backend) as daemon, daemon.client() as client:
        client.call("images.list", limit=1)
        memory = {"after the start": daemon.settled_memory()}
        client.call("images.list", all=True, limit=1000)
        memory["after a list of 1,000"] = daemon.settled_memory()
        fresh, layer = _foreign(report, store, client, rounds=max(5, rounds))
        memory["after foreign changes"] = daemon.settled_memory()
        daemon.claim_whole(report)
    bare = _process("pass")
    return Start(
        size=size,
        backend=backend,
        images=len(store.sample.images),
        layers=store.sample.layers,
        json_bytes=store.json_bytes,
        whole=Spread.of(whole),
        interpreter=bare,
        imports=_process(_CODE.format(loop=_LOOPS[backend])) - bare,
        load=median(loads),
        parse=_floor(store.images_json, store.layers_json),
        fresh=Spread.of(fresh),
        fresh_floor=_floor(store.images_json),
        layer=Spread.of(layer),
        memory=memory,
    )


def _start_once(store: Ground, backend: str) -> tuple[float, float]:
    """Seconds to the first answer, and those of them that the daemon spent in its first load.

    Raises:
        RuntimeError: it does not answer.
    """
    path = store.folder / "s"
    settings = store.folder / "storaged.toml"
    settings.touch()
    flags = ["--socket", str(path), "--backend", backend, "--driver", DRIVER, "--config", str(settings)]
    flags += ["--root", str(store.folder / "root"), "--runroot", str(store.folder / "run")]
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "storaged", "serve", *flags], stderr=subprocess.DEVNULL)
    try:
        with _first(path, began) as client:
            client.call("images.list", limit=1)
            seconds = time.perf_counter() - began
            load = float(client.call("server.stats")["seconds"]["reload"])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    return seconds, load


def _first(path: Path, began: float) -> Client:
    while True:
        try:
            return Client(path)
        except OSError:
            if time.perf_counter() - began > _PATIENCE:
                raise RuntimeError(f"nothing listens at {path} after {_PATIENCE:.0f} s") from None
            time.sleep(0.0005)


def _foreign(report: Report, store: Ground, client: Client, *, rounds: int) -> tuple[list[float], list[float]]:
    """Seconds of the next fresh answers after tags, and after new images, of another tool that is done by then."""
    writer = SampleWriter(store.folder / "root", store.folder / "run", DRIVER)
    image = store.sample.images[len(store.sample.images) // 2]
    fresh, layer = [], []
    for number in range(rounds):
        writer.set_names(image, [f"localhost/foreign:{number}"])
        answer = client.call("images.resolve", name=f"localhost/foreign:{number}")
        fresh.append(client.elapsed)
        report.claim(answer["id"] == image and answer["stale"] is None, f"the tag is not in the next answer: {answer}")
    for number in range(rounds):
        writer.add_image(f"foreign {number} {time.time_ns()}", names=[f"localhost/new:{number}"])
        answer = client.call("images.exists", name=f"localhost/new:{number}")
        layer.append(client.elapsed)
        report.claim(answer["exists"], f"the image is not in the next answer: {answer}")
    return fresh, layer


def _process(code: str, rounds: int = 9) -> float:
    """Seconds that an interpreter takes for the code, start and end included."""

    def run() -> None:
        subprocess.run([sys.executable, "-c", code], check=True, cwd="/", env=_environment())

    return _median_of(run, rounds)


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


def _floor(*tables: Path) -> float:
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
        [sys.executable, "-X", "importtime", "-c", _CODE.format(loop=_LOOPS[backend])],
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


def _document(starts: Sequence[Start]) -> str:
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


if __name__ == "__main__":
    sys.exit(main())
