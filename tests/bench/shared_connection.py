"""Threads that share one blocking client: pipelined, as they are, and one call at a time, as behind a lock.

Eight threads ask ``images.exists``, first alone, then beside a ninth thread whose strict read waits for a writer. One
lock around each call would be less code; these figures are what it would cost.

python -m tests.bench.shared_connection --scale 1
"""

from __future__ import annotations

import fcntl
import os
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import storaged_client
from storaged.sample import SampleSpec
from storaged_client.contract.errors import StoreBusy
from tests.support.daemon import serving
from tests.support.report import Report, arguments, percentile

from .load_ground import ground

THREADS = 8
WAYS = {"pipelined": nullcontext, "one lock a connection": threading.Lock}


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    seconds = max(0.3, 5 * min(1.0, flags.scale))
    with ground(SampleSpec(images=200, seed=flags.seed)) as store, serving(store.folder, backend="trio") as daemon:
        lock = store.images_json.with_suffix(".lock")
        alone: dict[str, list[float]] = {}
        beside: dict[str, list[float]] = {}
        for name, way in WAYS.items():
            with storaged_client.connect(daemon.path) as client:
                call = _serialized(client, way())
                alone[name] = _ask(call, seconds)
                with lock.open("r+b") as held:
                    fcntl.lockf(held, fcntl.LOCK_EX)
                    held.write(os.urandom(64))  # as a writer begins: what was read before is not current any more
                    held.flush()
                    waiting = threading.Thread(target=_wait_for_the_lock, args=(call, seconds))
                    waiting.start()
                    beside[name] = _ask(call, seconds)
                    waiting.join()
            for what, times in (("alone", alone[name]), ("beside a read that waits", beside[name])):
                longest = f"p50 {percentile(times, 0.5) * 1000:.3g} ms, longest {max(times) * 1000:.3g} ms"
                report.figure(f"{name}, {what}", f"{len(times) / seconds:.0f} answers a second, {longest}")
                report.claim(len(times) > THREADS, f"{name}, {what}: every thread is answered")
    pipelined, locked = WAYS
    report.in_time(len(alone[pipelined]) > len(alone[locked]), "pipelining answers more requests a second")
    report.in_time(max(beside[pipelined]) < seconds / 2, "pipelined, a read that waits holds nobody up")
    report.in_time(max(beside[locked]) > seconds / 2, "one lock a connection makes all wait for one")
    return report.finish()


def _serialized(client: storaged_client.Client, lock: Any) -> Callable[..., Any]:
    def call(method: str, **params: Any) -> Any:
        with lock:
            return client.call(method, params)

    return call


def _ask(call: Callable[..., Any], seconds: float) -> list[float]:
    """How long each answer took, of all threads together."""
    times: list[float] = []

    def work() -> None:
        while (begin := time.monotonic()) < end:
            call("images.exists", name="localhost/none")
            times.append(time.monotonic() - begin)

    end = time.monotonic() + seconds
    threads = [threading.Thread(target=work) for _ in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return times


def _wait_for_the_lock(call: Callable[..., Any], seconds: float) -> None:
    try:
        call("images.list", consistency="strict", timeout=seconds * 0.8)
    except StoreBusy:
        return


if __name__ == "__main__":
    sys.exit(main())
