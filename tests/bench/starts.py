"""How soon a daemon answers after its start, and after another tool's change; what it holds in memory then.

A start is counted from before the process is made to the last byte of its first answer to ``images.list`` of one row.
Its parts are measured apart: a bare interpreter, the imports of the daemon, its first load of the store. Everything is
warm: compiled modules and the store's files are in the page cache.

python -m tests.bench.starts --scale 1
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from storaged.sample import SampleSpec, SampleWriter
from tests.support.client import Client
from tests.support.daemon import STORAGED, flags, serving, started
from tests.support.report import Report, arguments, median

from .load_document import write_part
from .load_ground import BACKENDS, DRIVER, Ground, Spread, compiled, fleet, ground
from .starts_parts import CODE, FRESH_MS, LOOPS, START_S, Start, document, floor, imports_by_package, seconds_of

IMAGES = 800
_PATIENCE = 30.0


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    with compiled():
        starts = measure(report, scale=flags.scale, seed=flags.seed)
        if flags.scale >= 1:
            write_part("starts", "python -m tests.bench.starts --scale 1", document(starts))
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
    bare = seconds_of("pass")
    return Start(
        size=size,
        backend=backend,
        images=len(store.sample.images),
        layers=store.sample.layers,
        json_bytes=store.json_bytes,
        whole=Spread.of(whole),
        interpreter=bare,
        imports=seconds_of(CODE.format(loop=LOOPS[backend])) - bare,
        load=median(loads),
        parse=floor(store.images_json, store.layers_json),
        fresh=Spread.of(fresh),
        fresh_floor=floor(store.images_json),
        layer=Spread.of(layer),
        memory=memory,
    )


def _start_once(store: Ground, backend: str) -> tuple[float, float]:
    """Seconds to the first answer, and those of them that the daemon spent in its first load.

    Raises:
        RuntimeError: it does not answer.
    """
    path = str(store.folder / "s")
    settings = store.folder / "storaged.toml"
    settings.touch()
    command = [*STORAGED, "serve", *flags(store.folder, "--socket", path, "--backend", backend)]
    began = time.perf_counter()
    with started([*command, "--config", str(settings)], path) as daemon:
        with _first(path, began) as client:
            client.call("images.list", limit=1)
            seconds = time.perf_counter() - began
            load = float(client.call("server.stats")["seconds"]["reload"])
        daemon.stop()
    return seconds, load


def _first(path: str, began: float) -> Client:
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


if __name__ == "__main__":
    sys.exit(main())
