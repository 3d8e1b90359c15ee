"""Hostile HTTP against a running gateway: split anywhere, ambiguous, endless, broken off, among honest requests.

    python -m tests.acceptance.hostile_http --scale 1

Each input has its own connection. Whatever is sent: the daemon lives, an honest request beside it is answered, each
answer on a connection belongs to the request at its place, nothing is answered behind an input that could be read in
two ways, and memory stays flat.
"""

from __future__ import annotations

import random
import re
import select
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from storaged.sample import SampleSpec, write_store
from tests.support.daemon import BACKENDS, Daemon, serving
from tests.support.report import Report, arguments
from tests.support.rest import RestClient

_INPUTS = 100_000
"""At full scale."""
_PATIENCE = 10.0
_GROWTH = 24 << 20
"""Bytes that the daemon may have grown by."""

_STATUS = re.compile(rb"HTTP/1\.[01] \d{3} ")
_NUMBER = re.compile(rb"X-Reference-Id: r(\d+)\r")

Input = tuple[bytes, int | None]
"""What is sent, and how many answers it may get; None: as many as it likes."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    for backend in BACKENDS:
        attack(report, backend=backend, inputs=max(50, round(_INPUTS * flags.scale / len(BACKENDS))), seed=flags.seed)
    return report.finish()


def attack(report: Report, *, backend: str, inputs: int, seed: int) -> None:
    """So many inputs against one daemon."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory(prefix="hostile-") as name:
        folder = Path(name)
        write_store(folder / "root", folder / "run", SampleSpec(images=40, seed=seed, driver="overlay"))
        api = str(folder / "api")
        with serving(folder, "--api-socket", api, "--podman-socket", "none", backend=backend) as daemon:
            for _ in range(min(inputs, 200)):
                _send(api, rng, *_any(rng))
            before = daemon.settled_memory()
            for number in range(inputs):
                data, most = _any(rng)
                received = _send(api, rng, data, most)
                _judge(report, f"{backend} seed {seed} input {number}", data, most, received)
                if number % 100 == 0:
                    with RestClient(api) as honest:
                        report.claim(honest.get("/_ping").body == b"OK", f"{backend}: no honest answer at {number}")
            grown = daemon.settled_memory() - before
            report.claim(grown < _GROWTH, f"{backend}: the daemon grew by {grown >> 20} MiB")
            report.figure(f"{backend}: grown, MiB", grown / (1 << 20))
            _whole(report, daemon, backend)


def _whole(report: Report, daemon: Daemon, backend: str) -> None:
    report.claim(daemon.alive, f"{backend}: the daemon ended: {daemon.log[-2000:]}")
    report.claim("Traceback" not in daemon.log, f"{backend}: {daemon.log[daemon.log.find('Traceback') :][:1500]}")


# ---------------------------------------------------------------------------- inputs


_INSERTED = (b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b"%2e%2e/", b"//", b"\xff", b"\r\n x: y")
_PARTS = ("images", "/", "//", "..", ".", "%2e%2e", "%2F", "json", "%00", "%zz", "v1.44", "libpod", "?", "&", "#")


def _any(rng: random.Random) -> Input:
    return rng.choice(_KINDS)(rng)


def _ping(number: int, more: str = "") -> bytes:
    """A request whose answer tells its number."""
    return f"GET /_ping HTTP/1.1\r\nHost: d\r\nX-Reference-Id: r{number}\r\n{more}\r\n".encode()


def _pipelined(rng: random.Random) -> Input:
    count = rng.randint(1, 12)
    return b"".join(_ping(number) for number in range(count)), count


def _ambiguous(rng: random.Random) -> Input:
    """Two lengths, a length with chunks, chunks in HTTP/1.0, two encodings: nothing behind it may be answered."""
    body = rng.choice(
        (
            "Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
            "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            "Content-Length: -1\r\n\r\n",
            "Content-Length: 0x4\r\n\r\nabcd",
            "Content-Length: 4,5\r\n\r\nabcde",
            "Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\n1;\nab\r\n0\r\n\r\n",
            "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n",
        )
    )
    head = f"POST /containers/x/start HTTP/1.1\r\nHost: d\r\n{body}".encode()
    return _ping(0) + head + _ping(1) * 3, 2


def _mutated(rng: random.Random) -> Input:
    data = bytearray(_pipelined(rng)[0])
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data))
        match rng.randrange(4):
            case 0:
                data[at] = rng.randrange(256)
            case 1:
                del data[at : at + rng.randint(1, 8)]
            case 2:
                data[at:at] = rng.choice(
                    (b"\n", b"\r\n", b"\0", b" ", b"\t", b":", b"%2e%2e/", b"//", b"\xff", b"\r\n x: y")
                )
            case _:
                data[at:at] = data[: rng.randint(1, 30)]
        if not data:
            break
    return bytes(data), None


def _targets(rng: random.Random) -> Input:
    target = "/" + "".join(
        rng.choice(
            ("images", "/", "//", "..", ".", "%2e%2e", "%2F", "json", "%00", "%zz", "v1.44", "libpod", "?", "&", "#")
        )
        for _ in range(rng.randint(1, 12))
    )
    return f"GET {target} HTTP/1.1\r\nHost: d\r\n\r\n".encode() + _ping(1), 2


def _endless(rng: random.Random) -> Input:
    kind = rng.randrange(3)
    if kind == 0:
        return b"GET /_ping HTTP/1.1\r\nHost: d\r\nX: " + b"x" * rng.choice((1000, 70_000, 1_100_000)), 1
    if kind == 1:
        chunk = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        head = b"POST /images/x/tag?repo=y HTTP/1.1\r\nHost: d\r\nTransfer-Encoding: chunked\r\n\r\n"
        return head + chunk * rng.randint(1, 20), 1
    return _ping(0) + rng.randbytes(rng.randint(1, 5000)), 2


def _fields(rng: random.Random) -> Input:
    lines = [f"X-{number}: {'y' * rng.randint(0, 50)}" for number in range(rng.randint(1, 300))]
    if rng.random() < 0.3:
        lines.insert(
            rng.randrange(len(lines)), rng.choice((" folded", "No-Colon", ":", "A:\x01b", "Connection: close"))
        )
    return b"GET /_ping HTTP/1.1\r\nHost: d\r\n" + "\r\n".join(lines).encode() + b"\r\n\r\n", 1


_KINDS: Sequence[Callable[[random.Random], Input]] = (
    _pipelined,
    _ambiguous,
    _mutated,
    _mutated,
    _targets,
    _endless,
    _fields,
)


# ---------------------------------------------------------------------------- one connection


def _send(path: str, rng: random.Random, data: bytes, most: int | None) -> bytes:
    """Send it in pieces cut anywhere, perhaps break off; returns all that was answered."""
    received = bytearray()
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(_PATIENCE)
        channel.connect(path)
        cuts = sorted(rng.randrange(len(data) + 1) for _ in range(rng.choice((0, 0, 1, 4))))
        try:
            for piece in _pieces(data, cuts):
                channel.sendall(piece)
                while select.select([channel], [], [], 0)[0]:
                    received += _more(channel)
        except (BrokenPipeError, ConnectionResetError):
            return bytes(received)  # refused meanwhile
        if rng.random() < 0.1:
            return bytes(received)  # gone without a word
        try:
            channel.shutdown(socket.SHUT_WR)
            while data := channel.recv(1 << 16):
                received += data
        except (ConnectionResetError, OSError):
            pass
    return bytes(received)


def _more(channel: socket.socket) -> bytes:
    data = channel.recv(1 << 16)
    if not data:
        raise BrokenPipeError
    return data


def _pieces(data: bytes, cuts: Sequence[int]) -> Iterator[bytes]:
    start = 0
    for cut in (*cuts, len(data)):
        yield data[start:cut]
        start = cut


def _judge(report: Report, where: str, data: bytes, most: int | None, received: bytes) -> None:
    heads = len(_STATUS.findall(received))
    if most is not None:
        report.claim(heads <= most, f"{where}: {heads} answers, {most} at most: {data[:300]!r} -> {received[:300]!r}")
    # Answers tell the number of their request, in the order they were asked.
    asked, answered = ([int(number) for number in _NUMBER.findall(text)] for text in (data, received))
    if most == len(asked):
        report.claim(answered == asked[: len(answered)], f"{where}: asked {asked}, answered {answered}")


if __name__ == "__main__":
    began = time.monotonic()
    status = main()
    print(f"{time.monotonic() - began:.0f} s")
    sys.exit(status)
