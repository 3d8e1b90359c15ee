"""Hostile HTTP through the gateway: what reaches podman is what was read, and every answer is that of its own request.

::

    clients, four at a time ──▶ storaged ──▶ a strict server in podman's place
      inputs cut anywhere                      what it read is compared with what was meant

python -m tests.acceptance.stress.hostile_http --scale 1
"""

from __future__ import annotations

import hashlib
import json
import re
import select
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define, field

from storaged.sample import SampleSpec, write_store
from tests.acceptance.stress.http_inputs import SMUGGLED, Input, Inputs
from tests.acceptance.stress.strict_upstream import Strict, strict_upstream
from tests.support.client import Client
from tests.support.daemon import Daemon, serving
from tests.support.report import Report, arguments, percentile

INPUTS = 100_000
"""At full scale, on both event loops together."""
_WARM = 300
"""Inputs before memory is looked at."""
_GROWTH = 24 << 20
_PATIENCE = 20.0
_AT_ONCE = 4
_CALM = 3.0
_BATCH = 200
_MOST_WRONG = 20
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3}) [^\r\n]*\r\n")


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, ping=(str, "", "(within) ping this socket until told to stop"))
    if flags.ping:
        _ping(flags.ping)
        return 0
    report = Report(timed=not flags.untimed)
    attack(report, count=max(400, round(INPUTS * flags.scale)), seed=flags.seed)
    return report.finish()


def attack(report: Report, *, count: int, seed: int) -> None:
    """That many inputs, half of them on each event loop."""
    for backend in ("trio", "asyncio"):
        with tempfile.TemporaryDirectory(prefix="http-") as name:
            folder = Path(name)
            write_store(folder / "root", folder / "run", SampleSpec(images=20, seed=seed))
            flags = ["--api-socket", str(folder / "api"), "--podman-socket", str(folder / "podman")]
            with strict_upstream(str(folder / "podman")) as strict, serving(folder, *flags, backend=backend) as daemon:
                _one(report, daemon, strict, str(folder / "api"), count=count // 2, seed=seed)


def _one(report: Report, daemon: Daemon, strict: Strict, path: str, *, count: int, seed: int) -> None:
    where, inputs, kinds = daemon.backend, Inputs(seed), Counter[str]()
    wrong = done = descriptors = memory = 0
    statuses = Counter[int]()
    longest = 0.0
    with _pinging(daemon.path) as calm:
        time.sleep(_CALM)
    with _pinging(daemon.path) as beside, ThreadPoolExecutor(_AT_ONCE) as pool:
        while done < count + _WARM and wrong < _MOST_WRONG and daemon.alive:
            if done >= _WARM and not memory:
                descriptors, memory = daemon.settled_descriptors(), daemon.settled_memory()
            until = _WARM if done < _WARM else count + _WARM
            batch = [inputs.next() for _ in range(min(_BATCH, until - done))]
            kinds.update(each.kind for each in batch)
            asked = [(each, inputs.cuts(len(each.data))) for each in batch]
            for each, found in zip(batch, pool.map(lambda one: exchange(path, *one), asked), strict=True):
                longest = max(longest, found.seconds)
                statuses.update(found.statuses)
                problem = wrong_in(each, found, strict)
                if problem:
                    wrong += 1
                    report.claim(
                        False, f"{where}, seed {seed}, input {each.number} ({each.kind}): {problem}: {each.data!r:.700}"
                    )
            for failure in strict.failures:
                wrong += 1
                report.claim(False, f"{where}, seed {seed}: podman was sent what can be read in two ways: {failure}")
            strict.failures.clear()
            strict.read.clear()
            strict.tunnelled.clear()
            done += len(batch)
    report.claim(not wrong, f"{where}: {wrong} inputs went wrong")
    report.claim(calm[0] > 0 < beside[0], f"{where}: JSON-RPC was not asked")
    report.figure(f"{where}: ms of a ping over JSON-RPC, p99, calm and beside them", f"{calm[0]:.2f} {beside[0]:.2f}")
    daemon.claim_whole(report)
    if daemon.alive:
        left, grown = daemon.settled_descriptors(), daemon.settled_memory() - memory
        report.claim(left <= descriptors, f"{where}: {left} descriptors are open, {descriptors} before")
        report.claim(grown <= _GROWTH, f"{where}: the daemon has grown by {grown / 2**20:.1f} MiB")
        report.figure(f"{where}: the daemon has grown by, MiB", grown / 2**20)
    report.figure(f"{where}: hostile inputs", done)
    report.figure(f"{where}: of each kind", dict(sorted(kinds.items())))
    report.figure(f"{where}: answers", dict(sorted(statuses.items())))
    report.figure(f"{where}: longest, s", longest)


@contextmanager
def _pinging(path: str) -> Iterator[list[float]]:
    """Ask the daemon's first socket all the time, from a process of its own; afterwards the p99 in ms is there."""
    command = [sys.executable, "-m", "tests.acceptance.stress.hostile_http", "--ping", path]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    found: list[float] = []
    try:
        yield found
    finally:
        told, _ = process.communicate()
        found.append(float(told))


def _ping(path: str) -> None:
    """Until standard input ends."""
    found = []
    with Client(path) as client:
        while not select.select([sys.stdin], [], [], 0.0125)[0]:
            client.call("server.ping")
            found.append(client.elapsed)
    print(percentile(found, 0.99) * 1e3 if found else 0.0)


@define
class Exchange:
    """``told`` is what each answer of the strict server named, ``rest`` what came after the head of a tunnel."""

    problem: str = ""
    statuses: list[int] = field(factory=list)
    told: list[str] = field(factory=list)
    rest: bytes | None = None
    seconds: float = 0.0


def exchange(path: str, each: Input, cuts: Sequence[int]) -> Exchange:
    """Send the input in pieces on a connection of its own, say that this was all, and read to the end."""
    found = Exchange()
    began = time.monotonic()
    data = b""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(_PATIENCE)
        channel.connect(path)
        with suppress(BrokenPipeError, ConnectionResetError):
            at = 0
            for end in (*cuts, len(each.data)):
                channel.sendall(each.data[at:end])
                at = end
            if each.early:
                return found
            channel.shutdown(socket.SHUT_WR)
        try:
            while piece := channel.recv(1 << 20):
                data += piece
        except TimeoutError:
            found.problem = f"no end in {_PATIENCE} s"
        except ConnectionResetError:
            pass  # what we wrote was not all read
    found.seconds = time.monotonic() - began
    try:
        _take_apart(found, data, tunnel=each.kind == "tunnels")
    except (ValueError, IndexError) as error:
        found.problem = found.problem or f"{error}: {data!r:.400}"
    return found


def _take_apart(found: Exchange, data: bytes, *, tunnel: bool) -> None:
    while data:
        first = _STATUS.match(data)
        if first is None:
            raise ValueError("no answer")
        status = int(first[1])
        head, _, data = data.partition(b"\r\n\r\n")
        if status in (100, 103):
            continue
        found.statuses.append(status)
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if tunnel and fields.get(b"content-type") == b"application/vnd.docker.raw-stream":
            found.rest = data
            return
        body = data[: (length := int(fields.get(b"content-length", b"0")))]
        if len(body) < length:
            raise ValueError("half an answer")
        data = data[length:]
        if status == 200 and body.startswith(b'{"t"'):
            found.told.append(json.loads(body)["t"])


def wrong_in(each: Input, found: Exchange, strict: Strict) -> str:
    """What is wrong with the end of an input, if anything is."""
    if found.problem or each.kind == "flipped_bytes":
        # Its meaning is another one now, which is known to nobody but those who read it.
        return found.problem
    # What a client that left had asked for may still be under way.
    read = list(strict.read[each.number])
    meant = [(one.number, one.method, one.target, hashlib.sha256(one.body).hexdigest()) for one in each.wanted]
    reached = [(one.number, one.method, one.target, one.digest) for one in read]
    if any(one.number == SMUGGLED for one in read):
        return f"podman read a request that is none: {reached}"
    if [one for one in meant if one in reached] != reached:
        return f"podman read {reached}, meant was {meant}"
    told = [f"{each.number}-{one.number}" for one in read if not one.target.partition("?")[0].endswith("/attach")]
    if each.early:
        return ""
    if found.told != told:
        return f"answered were {found.told}, podman read {told}"
    if each.defined and reached != meant:
        return f"podman read {reached}, meant was {meant}"
    if each.kind == "tunnels" and found.rest != each.tunnel.upper() + b"end":
        return f"through the tunnel came {found.rest!r:.300}"
    return ""


if __name__ == "__main__":
    sys.exit(main())
