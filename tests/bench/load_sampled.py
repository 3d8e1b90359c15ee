"""``python -m tests.bench.load_sampled FILE serve …``: the daemon's own program, which notes what it is busy with.

The kernel interrupts it after each millisecond of processor time, and the innermost Python frame is noted: that costs
little and tells calls of C by who made them, where a tracing profiler makes small functions look dear.
"""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from functools import cache
from pathlib import Path
from types import FrameType

from storaged.cli import main

_EVERY = 0.001
BEGIN = signal.SIGUSR2
"""From it on it notes: its start is no part of what it does for clients."""

PLACES = (
    (
        "sockets: wait, receive, send",
        ("storaged/server/receiving", "storaged/server/sending", "_io_epoll", "/selectors"),
    ),
    (
        "event loop: tasks, scopes, deadlines",
        ("/trio/", "/asyncio/", "/anyio/", "/outcome/", "/sniffio/", "/sortedcontainers/"),
    ),
    ("JSON-RPC: texts to requests, framing, replies", ("storaged_client/jsonrpc", "/json/")),
    ("connection: budgets, queue of answers", ("storaged/server/", "storaged/logs", "storaged/metrics")),
    ("freshness: the stamp", ("storaged/store/", "storaged/engine/")),
    ("parameters to values", ("/cattrs/", "storaged_client/contract", "<cattrs")),
    ("choosing the rows", ("storaged/operations/", "storaged/snapshot/")),
    ("dispatch, encoding of replies", ("storaged/service/",)),
)
"""Whose time it is, by parts of a file's path; the first that fits."""


@cache
def _owner(path: str) -> str | None:
    return next((name for name, parts in PLACES if any(part in path for part in parts)), None)


def place_of(frame: FrameType | None) -> str:
    """By the innermost frame that belongs to somebody: what the standard library does is done for its caller."""
    while frame is not None:
        if name := _owner(frame.f_code.co_filename):
            return name
        frame = frame.f_back
    return "other"


def _main(file: Path, arguments: list[str]) -> int:
    seen: Counter[str] = Counter()

    def note(_: int, frame: FrameType | None) -> None:
        seen[place_of(frame)] += 1

    def begin(*_: object) -> None:
        seen.clear()
        signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)

    signal.signal(signal.SIGPROF, note)
    signal.signal(BEGIN, begin)
    try:
        return main(arguments)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        file.write_text(json.dumps(seen))


if __name__ == "__main__":
    sys.exit(_main(Path(sys.argv[1]), sys.argv[2:]))
