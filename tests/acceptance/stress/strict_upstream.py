"""In podman's place: a server that takes the one way to write HTTP/1.1 and no other, and keeps what it read.

It shares no code with the gateway: what it takes for a request is what its own few lines say. Each request names the
input that it belongs to (``?t=INPUT-NUMBER``).

::

    …/echo      JSON: method, target, length and digest of the body
    …/attach    101; what comes is sent back in capitals, then "end"
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attrs import define, field, frozen

_FIRST = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e]+) HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)")
_NAMED = re.compile(rb"[?&]t=(\d+)-(\d+)")
_CHUNK = re.compile(rb"([0-9a-fA-F]{1,16})\r\n")
_LIMIT = 4 << 20


@frozen
class Read:
    """One request that came whole."""

    number: int
    method: str
    target: str
    size: int
    digest: str


@define
class Strict:
    """``read`` is by the input's number; ``failures`` has what was written in another way."""

    read: defaultdict[int, list[Read]] = field(factory=lambda: defaultdict(list))
    failures: list[str] = field(factory=list)
    tunnelled: defaultdict[int, bytes] = field(factory=lambda: defaultdict(bytes))


class _NotStrict(Exception):
    """A message that could be read in another way, too."""


async def _serve(strict: Strict, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await _one(strict, reader, writer):
            pass
    except (_NotStrict, asyncio.LimitOverrunError) as error:
        strict.failures.append(repr(error))
    except (asyncio.IncompleteReadError, ConnectionError):
        pass  # broken off, which is what the gateway does with what it cannot finish
    finally:
        writer.close()


async def _one(strict: Strict, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise _NotStrict(f"half a head: {error.partial[:300]!r}") from error
        return False
    lines = head[:-4].split(b"\r\n")
    first = _FIRST.fullmatch(lines[0])
    found = [_FIELD.fullmatch(line) for line in lines[1:]]
    if first is None or not all(found):
        raise _NotStrict(f"head: {head[:600]!r}")
    names = [each[1].lower() for each in found if each is not None]
    fields = {each[1].lower(): each[2] for each in found if each is not None}
    for name in (b"host", b"content-length", b"transfer-encoding", b"connection", b"upgrade"):
        if names.count(name) > 1:
            raise _NotStrict(f"{name!r} twice: {head[:600]!r}")
    named = _NAMED.search(first[2])
    # A byte of the name itself may have been flipped.
    input, number = (int(named[1]), int(named[2])) if named is not None else (0, 0)
    if b"host" not in fields:
        raise _NotStrict(f"no host: {head[:600]!r}")
    if fields.get(b"expect", b"").lower() == b"100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    body = await _body(fields, reader)
    read = Read(number, first[1].decode(), first[2].decode(), len(body), hashlib.sha256(body).hexdigest())
    strict.read[input].append(read)
    if first[2].partition(b"?")[0].endswith(b"/attach"):
        await _tunnel(strict, input, fields, reader, writer)
        return False
    told = json.dumps({"t": f"{input}-{read.number}", "target": read.target, "digest": read.digest}).encode()
    if read.method == "HEAD":
        told = b""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(told) + told)
    await writer.drain()
    return True


async def _body(fields: dict[bytes, bytes], reader: asyncio.StreamReader) -> bytes:
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if coding is None:
        if length is not None and not re.fullmatch(rb"\d{1,15}", length):
            raise _NotStrict(f"length {length!r}")
        return await reader.readexactly(int(length or 0))
    if coding != b"chunked" or length is not None:
        raise _NotStrict(f"coding {coding!r}, length {length!r}")
    body = b""
    while True:
        line = await reader.readuntil(b"\r\n")
        size = _CHUNK.fullmatch(line)
        if size is None:
            raise _NotStrict(f"chunk {line!r}")
        body += await reader.readexactly(int(size[1], 16))
        if await reader.readexactly(2) != b"\r\n":
            raise _NotStrict("a chunk without its end")
        if not int(size[1], 16):
            return body


async def _tunnel(
    strict: Strict, input: int, fields: dict[bytes, bytes], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    upgrade = fields.get(b"upgrade")
    first = b"101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: " + upgrade if upgrade else b"200 OK"
    writer.write(b"HTTP/1.1 " + first + b"\r\nContent-Type: application/vnd.docker.raw-stream\r\n\r\n")
    while data := await reader.read(1 << 16):
        strict.tunnelled[input] += data
        writer.write(data.upper())
        await writer.drain()
    writer.write(b"end")
    await writer.drain()


@contextmanager
def strict_upstream(path: str) -> Iterator[Strict]:
    """It listens on ``path`` while the block lasts, in a thread of its own."""
    strict = Strict()
    loop = asyncio.new_event_loop()
    ready = threading.Event()

    async def run() -> None:
        server = await asyncio.start_unix_server(lambda r, w: _serve(strict, r, w), path, limit=_LIMIT, backlog=512)
        ready.set()
        async with server:
            await server.serve_forever()

    def serve() -> None:
        asyncio.set_event_loop(loop)
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(run())

    thread = threading.Thread(target=serve)
    thread.start()
    ready.wait()
    try:
        yield strict
    finally:
        loop.call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loop)])
        thread.join()
        loop.close()
