"""Reading beside writers: a lock held for long, a daemon started meanwhile, and what readers cost a writer.

python -m tests.acceptance.holds --scale 1      10,000 reads during holds of 30 s
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence

from storaged.sample import SampleSpec, write_store
from storaged.store.layout import paths
from tests.support.client import Client, RpcError
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, podman_43, podman_58, workspace
from tests.support.report import Report, arguments, median, percentile

from .locks import rival

_READS, _HOLD = 10_000, 30.0
_SLOWEST, _WRITER_P99, _RATIO = 0.1, 0.05, 1.3


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(
        __doc__ or "", argv, images=(int, 800, "images of the store"), peer=(str, "5.8", "podman beside load")
    )
    report = Report(timed=not flags.untimed)
    peer = {"4.3": podman_43, "5.8": podman_58}[flags.peer]()
    for kind in ("images", "layers"):
        with workspace(peer) as store:
            fill(store, flags.images, flags.seed)
            read_during_hold(report, store, kind, reads=max(50, round(_READS * flags.scale)), hold=_HOLD * flags.scale)
    with workspace(peer) as store:
        fill(store, flags.images, flags.seed)
        writer_wait(report, store, seconds=max(2.0, 20 * flags.scale))
    podman_beside_load(report, peer, images=flags.images, seed=flags.seed, rounds=max(5, round(60 * flags.scale)))
    return report.finish()


def fill(store: Store, images: int, seed: int) -> None:
    """A generated store both podmans can read."""
    write_store(
        store.graphroot,
        store.runroot,
        SampleSpec(images=images, seed=seed, driver="vfs", for_podman_4=True),
    )


def _files(store: Store, kind: str) -> tuple[str, str]:
    root, driver = str(store.graphroot), store.driver
    if kind == "images":
        return paths.images_lock(root, driver), paths.images_json(root, driver)
    return paths.layers_lock(root, driver), paths.layers_json(root, driver)


def _measure(client: Client) -> dict[str, object]:
    return client.call("images.list", filters=["dangling=true"])


def read_during_hold(report: Report, store: Store, kind: str, *, reads: int, hold: float) -> None:
    """All reads are answered, marked and quick while a writer that replaced ``kind``'s table holds its lock."""
    lock, table = _files(store, kind)
    with daemon(store) as ours, ours.client() as client:
        before = _measure(client)
        report.claim(before["stale"] is None, f"{kind}: stale before the hold: {before['stale']}")
        with rival("hold", lock, table) as holder:
            report.claim(holder.said() == "held", f"{kind}: the rival did not get the lock")
            latencies = []
            start = time.monotonic()
            pause = max(0.0, hold / reads - 0.001)
            while len(latencies) < reads or time.monotonic() - start < hold:
                answer = _measure(client)
                latencies.append(client.elapsed)
                _check_stale(report, kind, answer, holder.pid, lock)
                report.claim(answer["generation"] == before["generation"], f"{kind}: a generation of a held store")
                time.sleep(pause)
            report.figure(f"{kind}.lock held {time.monotonic() - start:.1f} s, reads", len(latencies))
            report.figure(f"{kind}: slowest read, ms", max(latencies) * 1000)
            report.figure(f"{kind}: the slowest was read number", latencies.index(max(latencies)) + 1)
            report.figure(f"{kind}: second slowest, ms", sorted(latencies)[-2] * 1000)
            report.figure(f"{kind}: median read, ms", median(latencies) * 1000)
            report.in_time(max(latencies) <= _SLOWEST, f"{kind}: a read took {max(latencies) * 1000:.0f} ms")
            _strict(report, kind, client, holder.pid)
        after = _measure(client)
        report.claim(after["stale"] is None, f"{kind}: stale after the hold: {after['stale']}")
        report.claim(after["generation"] != before["generation"], f"{kind}: the change is not seen after the hold")
    with rival("hold", lock, table) as holder:
        report.claim(holder.said() == "held", f"{kind}: the rival did not get the lock")
        _started_meanwhile(report, store, kind)


def _check_stale(report: Report, kind: str, answer: dict[str, object], pid: int, lock: str) -> None:
    stale = answer["stale"]
    if not report.claim(isinstance(stale, dict), f"{kind}: not marked stale during the hold"):
        return
    assert isinstance(stale, dict)
    holder = stale.get("holder") or {}
    report.claim(
        stale["reason"] == "locked"
        and holder.get("pid") == pid
        and str(stale.get("lock", "")).endswith(f"{kind}.lock"),
        f"{kind}: stale is {stale}, the holder is {pid} of {lock}",
    )


def _strict(report: Report, kind: str, client: Client, pid: int) -> None:
    start = time.monotonic()
    try:
        client.call("images.list", consistency="strict", timeout=0.5)
    except RpcError as error:
        holder = error.data.get("holder") or {}
        report.claim(error.name == "StoreBusy", f"{kind}: strict answers {error}")
        report.claim(holder.get("pid") == pid, f"{kind}: StoreBusy names {holder}, the holder is {pid}")
        report.figure(f"{kind}: strict with 0.5 s gave up after, s", time.monotonic() - start)
    else:
        report.claim(False, f"{kind}: strict was answered during the hold")


def _started_meanwhile(report: Report, store: Store, kind: str) -> None:
    """A daemon started while the lock is held serves what it can read, and calls nothing dangling."""
    with daemon(store) as started, started.client() as client:
        answer = client.call("images.list")
        stale = answer["stale"] or {}
        report.claim(bool(answer["images"]), f"{kind}: a daemon started under the hold shows no image")
        report.claim(stale.get("reason") == "incomplete", f"{kind}: a daemon started under the hold: stale {stale}")
        report.claim(client.dangling() == set(), f"{kind}: dangling images from a state nobody finished")
        info = client.call("server.info")
        report.claim(info["graphroot"] == str(store.graphroot), f"{kind}: server.info under the hold: {info}")


def writer_wait(report: Report, store: Store, *, seconds: float) -> None:
    """What a foreign writer waits for each lock while twenty clients read."""
    root, driver = str(store.graphroot), store.driver
    locks = [
        paths.layers_lock(root, driver),
        paths.images_lock(root, driver),
        paths.containers_lock(root, driver),
        paths.storage_lock(root),
    ]
    with daemon(store) as ours, rival("read", ours.path, "20") as readers:
        readers.said()
        with rival("wait", *locks) as writer:
            time.sleep(seconds)
            waits = json.loads(writer.finish())
        reads = int(readers.finish())
    report.figure("reads by 20 clients beside the writer, per second", reads / seconds)
    report.figure("writer took locks", len(waits))
    report.figure("writer's p99 wait, ms", percentile(waits, 0.99) * 1000)
    report.figure("writer's longest wait, ms", max(waits) * 1000)
    report.claim(reads > 0, "no client was answered beside the writer")
    report.in_time(percentile(waits, 0.99) <= _WRITER_P99, f"p99 wait {percentile(waits, 0.99) * 1000:.1f} ms")


def podman_beside_load(report: Report, peer: Peer, *, images: int, seed: int, rounds: int) -> None:
    """``podman images`` beside 20 readers of its own store, against 20 readers of another store, in turn."""
    with workspace(peer) as store, workspace(peer) as other:
        for each in (store, other):
            fill(each, images, seed)
            each.podman("images", "-q")
        times: dict[str, list[float]] = {"own": [], "other": []}
        with daemon(store) as ours, daemon(other) as theirs:
            for _ in range(rounds):
                for name, target in (("own", ours), ("other", theirs)):
                    with rival("read", target.path, "20") as readers:
                        readers.said()
                        start = time.perf_counter()
                        store.podman("images", "-q")
                        times[name].append(time.perf_counter() - start)
    ratio = median(times["own"]) / median(times["other"])
    report.figure("podman images beside load on its own store, s", median(times["own"]))
    report.figure("podman images beside load on another store, s", median(times["other"]))
    report.figure("ratio", ratio)
    report.in_time(ratio <= _RATIO, f"podman images takes {ratio:.2f} times as long beside load on its store")


if __name__ == "__main__":
    sys.exit(main())
