"""For how long the worst request of each method holds the event loop at 43,000 layers.

In this process, on trio and on asyncio: the loop thread's processor time of each step of a task is counted, which is
what everybody else waits for, whatever else the machine does. A request comes over a socket, from its first byte to the
last of its answer. It is as long as one may be (1 MiB), consists of as much as one may, or asks for all there is.

    python -m tests.bench.loop_holds --scale 1
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import anyio
import trio
from anyio.to_thread import run_sync
from attrs import evolve
from trio.lowlevel import Task

from storaged_client.contract.methods import METHODS
from storaged_client.jsonrpc.framing import STRUCTURE
from tests.bench.load_ground import fleet
from tests.support.connection import served
from tests.support.ground import DRIVER, Ground, lay
from tests.support.report import Report, arguments
from tests.support.service import Desk, desk_of

BOUND_MS = 5.0
_BYTES = 1 << 20
_PATIENCE = 120.0
"""Seconds that an answer may take, on a machine that has much else to do."""


class Steps(trio.abc.Instrument):
    """The longest step of any task, in seconds of the loop thread."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0

    def before_task_step(self, task: Task) -> None:
        self._began = time.thread_time()

    def after_task_step(self, task: Task) -> None:
        self.longest = max(self.longest, time.thread_time() - self._began)

    @contextmanager
    def of_asyncio(self) -> Iterator[None]:
        """Within, the steps of asyncio's loops are counted: each is the call of a handle."""
        step = asyncio.Handle._run

        def counted(handle: asyncio.Handle) -> None:
            began = time.thread_time()
            try:
                step(handle)
            finally:
                self.longest = max(self.longest, time.thread_time() - began)

        asyncio.Handle._run = counted  # type: ignore[method-assign]
        try:
            yield
        finally:
            asyncio.Handle._run = step  # type: ignore[method-assign]


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    scale, steps = min(1.0, flags.scale), Steps()
    trio.run(_measure, report, steps, "trio", scale, flags.seed, instruments=[steps])
    with steps.of_asyncio():
        anyio.run(_measure, report, steps, "asyncio", scale, flags.seed, backend="asyncio")
    return report.finish()


async def _measure(report: Report, steps: Steps, backend: str, scale: float, seed: int) -> None:
    spec = evolve(fleet(scale, seed=seed), driver=DRIVER)
    with tempfile.TemporaryDirectory(prefix="holds-") as name, lay(Path(name), spec=spec) as ground:
        desk = desk_of(ground, own_uid=os.getuid())
        async with ground.running():
            snapshot = ground.cache.snapshot
            assert snapshot is not None
            report.figure(f"{backend}: layers", len(snapshot.layers))
            ground.cache.loader.garbage.begin()
            asked = worst(ground, Random(seed))
            report.claim({method for method, _, _ in asked} >= _methods(), f"{backend}: every method is asked")
            for method, what, params in asked:
                text = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
                await _one(report, steps, desk, f"{backend}: {method}, {what}", text.encode() + b"\n")
            for what, data in unusual():
                await _one(report, steps, desk, f"{backend}: a text of {what}", data)


async def _one(report: Report, steps: Steps, desk: Desk, what: str, text: bytes) -> None:
    async with served(desk.service.begin) as connection:
        # Through a thread: what the client does is no step of the loop.
        exchange = partial(_exchange, connection.wire.socket.fileno(), text)
        await anyio.lowlevel.checkpoint()
        steps.longest = 0.0
        answer = await run_sync(exchange)
        await anyio.lowlevel.checkpoint()  # a step that waits for nothing ends here
        longest = steps.longest * 1e3
    report.figure(f"{what}{_error(answer)}: ms of the longest step", longest)
    report.in_time(longest <= BOUND_MS, f"{what}: holds the loop for {longest:.1f} ms")


def _exchange(descriptor: int, text: bytes) -> bytes:
    with closing(socket.socket(fileno=os.dup(descriptor))) as channel:
        channel.settimeout(_PATIENCE)
        with suppress(BrokenPipeError):  # refused before all was written
            channel.sendall(text)
        answer = bytearray()
        while piece := channel.recv(1 << 20):
            answer += piece
            if answer.endswith(b"\n"):
                break
        return bytes(answer)


def _error(answer: bytes) -> str:
    told = json.loads(answer)
    error = told.get("error") if isinstance(told, dict) else None
    return f" ({error['data']['name']})" if error else ""


def _methods() -> set[str]:
    return {*METHODS} - {"server.shutdown"}


def unusual() -> list[tuple[str, bytes]]:
    """What costs the decoder most for each byte, and long texts that are no request."""

    def filled(start: bytes, value: bytes, end: bytes, structure: int | None = None) -> bytes:
        """With as many values as a text may hold, of which each has so many bytes outside strings."""
        most = STRUCTURE if structure else _BYTES
        return start + value * ((most - len(start + end) - 2) // (structure or len(value))) + end + b"\n"

    return [
        ("empty arrays", filled(b"[", b"[],", b"1]", 3)),
        ("arrays in arrays", filled(b"[", b"[[[[]]]],", b"1]", 9)),
        ("objects", filled(b"[", b'{"a":1},', b"1]", 7)),
        ("numbers", filled(b"[", b"1.5e-300,", b"1]", 9)),
        ("long numbers", filled(b"[", b"1" * 4000 + b",", b"1]", 4001)),
        ("members", b"{" + b",".join(b'"%x":""' % n for n in range(STRUCTURE // 6 - 10)) + b"}\n"),
        ("strings", filled(b"[", b'"%s",' % (b"x" * 45), b"1]")),
        ("escapes", filled(b'["', b"\\n", b'"]')),
        ("surrogates", filled(b'["', b"\\ud83d\\ude00", b'"]')),
        ("two bytes a character", filled(b'["', "é".encode(), b'"]')),
        ("small values, 1 MiB of them", filled(b"[", b"1.5,", b"1]")),
        ("blanks", filled(b"[", b" ", b"1]")),
        (
            "a batch of pings",
            b"[%s]\n" % b",".join(b'{"jsonrpc":"2.0","id":%d,"method":"server.ping"}' % n for n in range(100)),
        ),
    ]


def worst(ground: Ground, random: Random) -> list[tuple[str, str, Any]]:
    """Method, what is bad about it, parameters."""
    snapshot = ground.cache.snapshot
    assert snapshot is not None
    images = list(snapshot.images)
    names = [name for image in images for name in image.names] or ["x"]
    ids = [image.id for image in images]
    lists = [name for image in snapshot.lists for name in image.names] or names[:1]
    some = random.choice(names)
    many = [random.choice(ids) for _ in range(_BYTES // 70)]
    long = "x" * (_BYTES - 200)
    tags = [f"{n:045}" for n in range(_BYTES // 50)]
    notes = {
        "one long annotation": {"a": long[:-200]},
        "10,000 annotations": {f"{n:050}": "x" * 40 for n in range(10_000)},
    }
    entry = next(image.id for image in images if not image.is_list)
    glob = "*a" * 500
    found: list[tuple[str, str, Any]] = [
        ("images.list", "all rows", {"all": True}),
        *(("images.list", f"sorted by {key}", {"all": True, "sort": key}) for key in ("created", "repository", "size")),
    ]
    for one in (
        "until!=2001-01-01", "label!=a=b", "dangling!=true", f"since!={some}", "digest!=sha256:0", "unique-size>1",
        f"id!={ids[0]}", "containers!=true", "intermediate=false", "label!=*a*", f"reference=*{glob}",
    ):  # fmt: skip
        found += [("images.list", f"{count} times {one[:20]}", {"filters": [one] * count}) for count in (1, 60, 256)]
    found += [
        ("images.list", "10,000 references", {"filters": [f"reference={name}" for name in (names * 10_000)[:10_000]]}),
        ("images.list", "20,000 filters", {"filters": ["a"] * 20_000}),
        ("images.list", "fields", {"fields": ["id"] * 20_000}),
        ("images.get", "1 MiB of ids", {"names": many}),
        ("images.get", "one long name", {"names": [long]}),
        ("layers.list", "all", {}),
        ("layers.tree", "all", {}),
        ("layers.get", "a long id", {"id": long}),
        ("manifests.list", "all", {"include": ["instances", "annotations"]}),
        ("manifests.get", "a list", {"name": lists[0]}),
        ("manifests.referenced", "all", {}),
        ("containers.list", "all", {}),
        ("store.usage", "all", {}),
        ("store.lease", "1 MiB of ids", {"images": many}),
        ("store.release", "a long one", {"lease": long}),
        ("store.refresh", "", {}),
        ("images.data", "a long key", {"name": some, "key": long[:-100]}),
        ("images.tag", "1 MiB of tags", {"name": some, "tags": tags}),
        ("images.untag", "1 MiB of tags", {"name": some, "tags": tags}),
        ("images.remove", "1 MiB of ids, dry run", {"names": many, "dry_run": True}),
        ("images.prune", "dry run", {"all": True, "dry_run": True}),
        ("images.prune", "256 filters, dry run", {"filters": ["until!=2001-01-01"] * 256, "dry_run": True}),
        ("store.check", "records", {"scope": "records"}),
    ]
    for number, (what, said) in enumerate(notes.items()):
        mine = f"localhost/holds:{number}"
        found += [
            ("manifests.create", what, {"name": mine, "images": [entry], "annotations": said}),
            ("manifests.add", what, {"name": mine, "image": entry, "annotations": said}),
            ("manifests.annotate", what, {"name": mine, "index": True, "annotations": said}),
            ("manifests.annotate", f"{what} of an entry", {"name": mine, "digest": entry, "annotations": said}),
            ("manifests.get", f"of {what}", {"name": mine}),
            ("manifests.remove_instance", f"beside {what}", {"name": mine, "digest": f"sha256:{0:064}"}),
            ("manifests.remove", f"with {what}", {"names": [mine]}),
            ("images.create", what, {"config": {"config": {"Labels": said}}, "names": [f"{mine}-image"]}),
        ]
    found += [
        ("manifests.create", "1 MiB of ids", {"name": "localhost/holds:2", "images": many}),
        ("server.info", "after a change", {}),
        ("server.info", "again", {}),
        ("server.ping", "", {}),
        ("server.stats", "", {}),
    ]
    for method in ("exists", "resolve", "why", "relations", "history", "tree"):
        found += [(f"images.{method}", "a long name", {"name": long}), (f"images.{method}", "a name", {"name": some})]
    found += [("manifests.exists", "a long name", {"name": long}), ("manifests.get", "a long name", {"name": long})]
    return found


if __name__ == "__main__":
    sys.exit(main())
