"""A seldom question beside 300 connections of somebody who means harm, and what of the memory comes back after it.

The attackers share one core, the daemon has the other; who asks, 80 times a second, runs on the attackers' core before
them. A third of the connections write pings without reading an answer, a third ask, close their writing side and stay,
a third send noise; whoever is thrown out comes again.

    python -m tests.acceptance.stress.hostile --scale 1
"""

from __future__ import annotations

import errno
import os
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

from storaged.sample import SampleSpec, write_store
from tests.bench.load_ground import Spread, connect
from tests.support.daemon import Daemon, serving
from tests.support.report import Report, arguments

CONNECTIONS = 300
RATE = 80.0
BOUND_MS = 5.0
SECONDS = 25.0
MINUTE = 60.0
_PING = b'{"jsonrpc":"2.0","id":1,"method":"server.ping","params":{}}\n'
_LIST = b'{"jsonrpc":"2.0","id":1,"method":"images.list","params":{}}\n'
_ARRIVING = 4.0
"""Seconds until all attackers are there."""
_CHURN = 0.01
"""Seconds between two connections that come again."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, attack=(str, "", "(within) attack this socket instead"))
    if flags.attack:
        attack(flags.attack, Random(flags.seed))
        return 0
    report = Report(timed=not flags.untimed)
    measure(report, scale=min(1.0, flags.scale), seed=flags.seed)
    return report.finish()


def measure(report: Report, *, scale: float, seed: int) -> None:
    """Both back ends, each beside idle connections and beside hostile ones."""
    seconds = max(2.0, SECONDS * scale)
    for backend in ("trio", "asyncio"):
        with tempfile.TemporaryDirectory(prefix="hostile-") as name:
            folder = Path(name)
            write_store(folder / "root", folder / "run", SampleSpec(images=400, seed=seed))
            text = f"[limits]\nconnections = {4 * CONNECTIONS}\nuid_connections = {4 * CONNECTIONS - 1}\n"
            (folder / "storaged.toml").write_text(text)
            with serving(folder, "--config", str(folder / "storaged.toml"), backend=backend) as daemon:
                _one(report, daemon, seconds=seconds, seed=seed)
                report.claim(daemon.alive, f"{backend}: the daemon lives")


def _one(report: Report, daemon: Daemon, *, seconds: float, seed: int) -> None:
    where = daemon.backend
    cores = sorted(os.sched_getaffinity(0))
    _bind(daemon.process.pid, cores[0])
    os.sched_setaffinity(0, {cores[-1]})
    try:
        idle = [connect(daemon.path) for _ in range(CONNECTIONS)]
        honest = connect(daemon.path)
        calm = _ask(honest, seconds)
        for channel in idle:
            channel.close()
        before = _resident(daemon.process.pid)
        with _attackers(daemon.path, seed):
            time.sleep(_ARRIVING)
            beside = _ask(honest, seconds)
        honest.close()
        after = _resident(daemon.process.pid)
        deadline = time.monotonic() + MINUTE
        while (left := _resident(daemon.process.pid)) > _allowed(before) and time.monotonic() < deadline:
            time.sleep(0.5)
    finally:
        os.sched_setaffinity(0, set(cores))
    report.figure(f"{where}: ms, beside {CONNECTIONS} idle connections", Spread.of(calm))
    report.figure(f"{where}: ms, beside {CONNECTIONS} hostile ones", Spread.of(beside))
    report.figure(f"{where}: MiB before, after, and a minute later at most", f"{before:.1f} {after:.1f} {left:.1f}")
    report.in_time(
        Spread.of(beside).p99 <= BOUND_MS, f"{where}: p99 beside hostile ones {Spread.of(beside).p99:.1f} ms"
    )
    report.claim(left <= _allowed(before), f"{where}: {left:.1f} MiB a minute after the attack, {before:.1f} before it")


def _ask(channel: socket.socket, seconds: float) -> list[float]:
    """Seconds from when each question was due to its answer; one is asked when the last one was answered."""
    channel.settimeout(MINUTE)
    began = time.monotonic() + 0.05
    found: list[float] = []
    for number in range(round(seconds * RATE)):
        due = began + number / RATE
        time.sleep(max(0.0, due - time.monotonic()))
        channel.sendall(_PING)
        data = b""
        while not data.endswith(b"\n"):
            piece = channel.recv(1 << 16)
            if not piece:
                raise ConnectionError("the daemon closed the connection")
            data += piece
        found.append(time.monotonic() - due)
    return found


def _allowed(before: float) -> float:
    """MiB that count as gone back: code that was run for the first time stays."""
    return before * 1.15 + 4


def _bind(process: int, core: int) -> None:
    for thread in os.listdir(f"/proc/{process}/task"):
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), {core})


def _resident(process: int) -> float:
    pages = int(Path(f"/proc/{process}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


@contextmanager
def _attackers(path: str, seed: int) -> Iterator[None]:
    command = ["nice", sys.executable, "-m", "tests.acceptance.stress.hostile", "--attack", path, "--seed", str(seed)]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def attack(path: str, random: Random) -> None:
    """Do so until killed."""
    poll = select.poll()
    kinds: dict[int, tuple[socket.socket, str]] = {}
    again: list[str] = [("flood", "half", "noise")[number % 3] for number in range(CONNECTIONS)]
    noise = [random.randbytes(4096), b"1 " * 2048, b"[]" * 2048, b"{}\n" * 1365, b'{"a":[' * 600]
    came = 0.0
    while True:
        while again and (len(kinds) + len(again) > CONNECTIONS or time.monotonic() - came > _CHURN or not came):
            kind = again.pop(0)
            channel = socket.socket(socket.AF_UNIX)
            channel.settimeout(5.0)
            try:
                channel.connect(path)
            except OSError:
                channel.close()
                again.append(kind)
                break
            channel.setblocking(False)
            came = time.monotonic() if len(kinds) > CONNECTIONS * 0.9 else 0.0
            kinds[channel.fileno()] = channel, kind
            poll.register(channel.fileno(), select.POLLOUT | select.POLLHUP)
        for number, events in poll.poll(10):
            channel, kind = kinds[number]
            if not events & (select.POLLHUP | select.POLLERR) and _write(channel, kind, noise, random):
                if kind == "half":
                    poll.modify(number, select.POLLHUP)
                continue
            poll.unregister(number)
            del kinds[number]
            channel.close()
            again.append(kind)


def _write(channel: socket.socket, kind: str, noise: Sequence[bytes], random: Random) -> bool:
    try:
        if kind == "flood":
            channel.send(_PING * 500)
        elif kind == "half":
            channel.send(_LIST * 20)
            channel.shutdown(socket.SHUT_WR)
        else:
            channel.send(random.choice(noise))
    except OSError as error:
        return error.errno == errno.EAGAIN
    return True


if __name__ == "__main__":
    sys.exit(main())
