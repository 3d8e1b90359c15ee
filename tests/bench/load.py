"""What 1 to 200 clients get from one daemon, with and without a foreign writer, and what it is busy with then.

python -m tests.bench.load --scale 1
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Sequence

from attrs import frozen

from storaged.sample import SampleSpec
from tests.support.daemon import Daemon, serving
from tests.support.report import Report, arguments

from .load_clients import Answers, Clients
from .load_document import table, write_part
from .load_ground import Child, Ground, Spread, compiled, cpu_seconds, ground
from .load_sampled import BEGIN, PLACES

IMAGES = 800
COUNTS = (1, 2, 5, 10, 50, 100, 200)
FEW_COUNTS = (1, 50)
LOOPS = {
    "trio": ("trio", ("storaged",)),
    "asyncio": ("asyncio", ("storaged",)),
    "uvloop": ("asyncio", ("tests.bench.load_on_uvloop",)),
}
"""The daemon's back end and its program, by what the event loop is called here."""
WRITES = 10.0
WAIT_MS = 50.0
WAIT_TIMES = 2.0
_MANY, _PACE = 200, 10.0


@frozen(kw_only=True)
class Cell:
    """So many clients that ask as fast as they are answered."""

    loop: str
    method: str
    clients: int
    writing: bool
    rate: float
    times: Spread
    cores: float
    """Processors the daemon used."""
    own_share: float


@frozen(kw_only=True)
class Waits:
    """What a foreign writer waits for its lock, beside an idle daemon and beside many clients."""

    loop: str
    clients: int
    idle: Spread
    busy: Spread
    answers: Spread


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    whole = min(1.0, flags.scale)
    spec = SampleSpec(images=max(60, round(IMAGES * whole)), seed=flags.seed)
    loops = [loop for loop in LOOPS if loop != "uvloop" or importlib.util.find_spec("uvloop")]
    if "uvloop" not in loops:
        report.figure("uvloop", "not measured: it is not installed (pip install 'storaged[uvloop]')")
    with compiled(), ground(spec) as store:
        cells = [cell for loop in loops for cell in throughput(report, store, loop, scale=whole)]
        waits = [wait_for_locks(report, store, loop, scale=whole) for loop in loops if loop != "uvloop"]
        shares = {loop: busy_with(report, store, loop, seconds=max(0.5, 5 * whole)) for loop in loops}
    if flags.scale >= 1:
        write_part("load", "python -m tests.bench.load --scale 1", _document(cells, waits, shares))
    return report.finish()


def questions(store: Ground) -> dict[str, dict[str, object]]:
    """What is asked, by method."""
    return {"images.list": {"limit": 50}, "images.exists": {"name": store.sample.images[0]}}


def throughput(report: Report, store: Ground, loop: str, *, scale: float) -> list[Cell]:
    """All numbers of clients on one event loop."""
    counts = COUNTS if scale >= 1 else FEW_COUNTS
    backend, program = LOOPS[loop]
    with serving(store.folder, backend=backend, program=program) as daemon:
        cells = [
            _cell(report, store, daemon, loop, method, count, writing=writing, seconds=2 * scale + 0.2)
            for writing in (False, True)
            for method in questions(store)
            for count in counts
        ]
        daemon.claim_whole(report)
    return cells


def _cell(
    report: Report, store: Ground, daemon: Daemon, loop: str, method: str, count: int, *, writing: bool, seconds: float
) -> Cell:
    writer = _writer(store, seconds + 0.6) if writing else None
    clients = Clients(daemon.path, count, method, questions(store)[method])
    try:
        clients.closed(0.05)
        before = cpu_seconds(daemon.process.pid)
        answers = clients.closed(seconds)
        cores = (cpu_seconds(daemon.process.pid) - before) / answers.seconds
        if writer is not None:
            writer.result(60.0)
            writer = None
    finally:
        clients.close()
        if writer is not None:
            writer.stop()
    where = f"{loop}, {count} clients, {method}, {'a foreign writer' if writing else 'nobody writes'}"
    _judge(report, where, answers)
    spread = Spread.of(answers.times)
    report.figure(where, f"{answers.rate:.0f}/s, {spread}, {cores:.2f} cores, asking {answers.own_share:.2f}")
    return Cell(
        loop=loop,
        method=method,
        clients=count,
        writing=writing,
        rate=answers.rate,
        times=spread,
        cores=cores,
        own_share=answers.own_share,
    )


def _judge(report: Report, where: str, answers: Answers) -> None:
    report.claim(not answers.errors, f"{where}: {len(answers.errors)} errors: {answers.errors[:1]}")


def _writer(store: Ground, seconds: float) -> Child:
    table, lock = store.images_json, store.images_json.with_suffix(".lock")
    return Child(
        "tests.bench.load_writer", table=str(table), lock=str(lock), kind="tag", rate=WRITES, seconds=seconds, delay=0.1
    )


def wait_for_locks(report: Report, store: Ground, loop: str, *, scale: float) -> Waits:
    """A writer's wait at 10 changes a second: beside an idle daemon, and beside clients that ask 10 times a second."""
    seconds = max(2.0, 30 * scale)
    count = _MANY if scale >= 1 else 20
    backend, program = LOOPS[loop]
    with serving(store.folder, backend=backend, program=program) as daemon:
        idle = Spread.of(_writer(store, seconds).result(60.0 + seconds)["waited"])
        writer = _writer(store, seconds)
        clients = Clients(daemon.path, count, "images.list", questions(store)["images.list"])
        try:
            answers = clients.open(seconds, _PACE)
            busy = Spread.of(writer.result(60.0)["waited"])
        finally:
            clients.close()
            writer.stop()
        daemon.claim_whole(report)
    where = f"{loop}, {count} clients that list 50 rows at {_PACE:.0f} Hz, a writer at {WRITES:.0f} Hz"
    _judge(report, where, answers)
    report.figure(f"{where}: their answers", Spread.of(answers.times))
    report.figure(f"{where}: the writer's wait for its lock", busy)
    report.figure(f"{where}: the same beside an idle daemon", idle)
    report.in_time(busy.p99 <= WAIT_MS, f"{where}: p99 of the writer's wait is {busy.p99:.3g} ms")
    times = f"{busy.p99 / idle.p99:.1f} times the idle one"
    report.in_time(busy.p99 <= WAIT_TIMES * idle.p99, f"{where}: p99 of the writer's wait is {times}")
    return Waits(loop=loop, clients=count, idle=idle, busy=busy, answers=Spread.of(answers.times))


def busy_with(report: Report, store: Ground, loop: str, *, seconds: float) -> dict[str, dict[str, float]]:
    """Shares of the daemon's processor time under 10 clients that never pause, by method."""
    backend = LOOPS[loop][0]
    shares: dict[str, dict[str, float]] = {}
    if loop == "uvloop":
        return shares  # its own C code answers to no frame of Python
    for method, params in questions(store).items():
        file = store.folder / "samples.json"
        with serving(store.folder, backend=backend, program=("tests.bench.load_sampled", str(file))) as daemon:
            clients = Clients(daemon.path, 10, method, params)
            try:
                daemon.process.send_signal(BEGIN)
                _judge(report, f"{loop}, {method}", clients.closed(seconds))
            finally:
                clients.close()
            daemon.stop()  # its last act is to write them
        seen: dict[str, int] = json.loads(file.read_text())
        total = sum(seen.values())
        if report.claim(total > 0, f"{loop}, {method}: no sample was taken"):
            shares[method] = {name: seen.get(name, 0) / total for name in (*(name for name, _ in PLACES), "other")}
            told = {name: f"{share:.0%}" for name, share in shares[method].items()}
            report.figure(f"{loop}, {method}: busy with", told)
    return shares


def _document(cells: Sequence[Cell], waits: Sequence[Waits], shares: dict[str, dict[str, dict[str, float]]]) -> str:
    text = ""
    for method in dict.fromkeys(cell.method for cell in cells):
        text += f"\n`{method}`, each client asks again as soon as it is answered:\n\n" + table(
            (
                "event loop",
                "foreign writer",
                "clients",
                "answers/s",
                "p50 ms",
                "p99 ms",
                "p99.9 ms",
                "of",
                "daemon's cores",
                "clients' share of a core",
            ),
            [
                (
                    cell.loop,
                    "10 Hz" if cell.writing else "none",
                    cell.clients,
                    cell.rate,
                    cell.times.p50,
                    cell.times.p99,
                    cell.times.p999,
                    cell.times.count,
                    cell.cores,
                    cell.own_share,
                )
                for cell in cells
                if cell.method == method
            ],
        )
    text += "\nA foreign writer at 10 Hz waits for its lock:\n\n" + table(
        ("event loop", "beside", "p50 ms", "p99 ms", "longest ms", "of", "clients' p99 ms, from when due"),
        [
            (wait.loop, beside, spread.p50, spread.p99, spread.longest, spread.count, answers)
            for wait in waits
            for beside, spread, answers in (
                ("an idle daemon", wait.idle, None),
                (f"{wait.clients} clients that list 50 rows at 10 Hz", wait.busy, wait.answers.p99),
            )
        ],
    )
    columns = [(loop, method) for loop, methods in shares.items() for method in methods]
    text += "\nWhat the daemon's processor time goes to, 10 clients without a pause, a sample each millisecond:\n\n"
    return text + table(
        ("", *(f"{loop}, `{method}`" for loop, method in columns)),
        [
            (name, *(f"{shares[loop][method][name]:.0%}" for loop, method in columns))
            for name in (*(name for name, _ in PLACES), "other")
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
