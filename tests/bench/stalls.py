"""How long the event loop stalls while the daemon reloads a large store after another tool's changes.

``server.ping`` is sent at fixed moments, 200 a second, whether or not the last answer has come, and each answer's time
counts from the moment its question was due: a client that waits for its answer asks least while the loop stands still.
A foreign writer in a process of its own changes a table twice a second and asks for one fresh answer after each change.

python -m tests.bench.stalls --scale 1
"""

from __future__ import annotations

import select
import sys
import time
from collections.abc import Sequence

from attrs import frozen

from tests.support.daemon import Daemon, serving
from tests.support.report import Report, arguments

from .load_document import table, write_part
from .load_ground import BACKENDS, Child, Ground, Spread, compiled, connect, fleet, ground, request

RATE = 200.0
WRITES = 2.0
BOUND_MS = 20.0
PARTS = {"none": "nobody writes", "tag": "another tool tags an image", "layer": "another tool adds a layer"}


@frozen(kw_only=True)
class Stall:
    """One part: pings on one back end while somebody writes, or nobody (``kind`` none)."""

    backend: str
    kind: str
    layers: int
    pings: Spread
    lateness: Spread
    """Of the questions: what the measuring process itself was late."""
    fresh: Spread | None
    """The first fresh answers after each foreign change."""
    reloads: int


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    with compiled():
        stalls = measure(report, scale=min(1.0, flags.scale), seed=flags.seed)
    if flags.scale >= 1:
        write_part("stalls", "python -m tests.bench.stalls --scale 1", _document(stalls))
    return report.finish()


def measure(report: Report, *, scale: float, seed: int) -> list[Stall]:
    """All parts on both back ends, each for half a minute at full scale."""
    stalls: list[Stall] = []
    seconds = max(2.0, 30.0 * scale)
    with ground(fleet(scale, seed=seed)) as store:
        report.figure("layers", store.sample.layers)
        report.figure("MB of JSON", store.json_bytes / 1e6)
        for backend in BACKENDS:
            with serving(store.folder, backend=backend) as daemon:
                stalls += [_part(report, store, daemon, kind=kind, seconds=seconds) for kind in PARTS]
                daemon.claim_whole(report)
    return stalls


def _part(report: Report, store: Ground, daemon: Daemon, *, kind: str, seconds: float) -> Stall:
    before = _reloads(daemon)
    writing: Child | None = None
    if kind != "none":
        table = store.layers_json if kind == "layer" else store.images_json
        lock = table.with_suffix(".lock")
        writing = Child(
            "tests.bench.load_writer",
            **{"table": str(table), "lock": str(lock), "kind": kind, "rate": WRITES, "seconds": seconds},
            socket=daemon.path,
        )
    try:
        # The writer reads the table first: what it does in that second is no change.
        time.sleep(1.0 if writing else 0.0)
        pings, lateness = ping(daemon.path, seconds=seconds)
        answered = writing.result(60.0)["answered"] if writing is not None else []
        writing = None
    finally:
        if writing is not None:
            writing.stop()
    stall = Stall(
        backend=daemon.backend,
        kind=kind,
        layers=store.sample.layers,
        pings=Spread.of(pings),
        lateness=Spread.of(lateness),
        fresh=Spread.of(answered) if answered else None,
        reloads=_reloads(daemon) - before,
    )
    where = f"{stall.backend}, {PARTS[kind]}"
    report.figure(f"{where}: server.ping at {RATE:.0f} Hz", stall.pings)
    report.figure(f"{where}: the measurer itself was late", stall.lateness)
    if stall.fresh is not None:
        report.figure(f"{where}: next fresh answer", stall.fresh)
        report.figure(f"{where}: reloads", stall.reloads)
        report.claim(stall.reloads >= len(answered), f"{where}: {stall.reloads} reloads after {len(answered)} changes")
        report.in_time(stall.pings.p99 <= BOUND_MS, f"{where}: p99 of a ping is {stall.pings.p99:.1f} ms")
    return stall


def ping(path: str, *, seconds: float, rate: float = RATE) -> tuple[list[float], list[float]]:
    """Seconds from when each question was due to its answer, and to when it was sent.

    Raises:
        ConnectionError: the daemon hung up.
        TimeoutError: an answer is missing ten seconds after the last question.
    """
    channel = connect(path)
    poll = select.epoll()
    poll.register(channel.fileno(), select.EPOLLIN)
    due = [time.monotonic() + 0.05 + number / rate for number in range(round(seconds * rate))]
    answered = [0.0] * len(due)
    lateness: list[float] = []
    rest, missing = b"", len(due)
    try:
        while missing:
            now = time.monotonic()
            while len(lateness) < len(due) and due[len(lateness)] <= now:
                channel.send(request(len(lateness), "server.ping", {}))
                lateness.append(now - due[len(lateness)])
                now = time.monotonic()
            # epoll counts in milliseconds, rounded up: the last one is slept through below.
            wait = due[len(lateness)] - now if len(lateness) < len(due) else due[-1] + 10.0 - now
            if wait < 0 and len(lateness) == len(due):
                raise TimeoutError(f"{missing} answers are missing")
            if not poll.poll(max(0.0, wait - 0.001)):
                if len(lateness) < len(due) and not poll.poll(0):
                    time.sleep(max(0.0, due[len(lateness)] - time.monotonic()))
                continue
            data = channel.recv(1 << 16)
            arrived = time.monotonic()
            if not data:
                raise ConnectionError("the daemon closed the connection")
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                number = int(line.rpartition(b'"id":')[2].partition(b",")[0].strip(b" }"))
                answered[number] = arrived - due[number]
                missing -= 1
    finally:
        poll.close()
        channel.close()
    return answered, lateness


def _document(stalls: Sequence[Stall]) -> str:
    text = table(
        (
            "back end",
            "meanwhile",
            "p50 ms",
            "p99 ms",
            "p99.9 ms",
            "longest ms",
            "pings",
            "p99 ms that the measurer was late",
            "reloads",
            "next fresh answer, ms: p50 (longest)",
        ),
        [
            (
                stall.backend,
                PARTS[stall.kind],
                stall.pings.p50,
                stall.pings.p99,
                stall.pings.p999,
                stall.pings.longest,
                stall.pings.count,
                stall.lateness.p99,
                stall.reloads,
                f"{stall.fresh.p50:.0f} ({stall.fresh.longest:.0f})" if stall.fresh is not None else None,
            )
            for stall in stalls
        ],
    )
    return f"{stalls[0].layers} layers; asked for: p99 of {BOUND_MS:.0f} ms at most.\n\n{text}"


def _reloads(daemon: Daemon) -> int:
    return daemon.counters().get("reload.count", 0)


if __name__ == "__main__":
    sys.exit(main())
