"""How long our commits hold the store's locks at 43,000 layers, alone and beside a writer that wins every race.

Alone, the daemon counts how long it holds each lock. Beside the rival, which replaces images.json without a pause, the
last try of a change is decided with all locks held; the rival says what it waited, and the daemon what it held.

python -m tests.acceptance.commit_holds --scale 1
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from storaged.sample import FLEET_HOST, Sample, SampleSpec, write_store
from storaged.store.layout import paths
from tests.support.client import Client
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, workspace
from tests.support.report import Report, arguments

from .locks import rival

_LOCKS = ("layers.lock", "images.lock", "containers.lock")
_ALONE, _BESIDE = 0.05, 0.25
"""Seconds of one hold."""
_ROUNDS = 20

Act = Callable[[Client, int], dict[str, Any]]


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, driver=(str, "overlay", "vfs or overlay"))
    report = Report(timed=not flags.untimed)
    rounds = max(3, round(_ROUNDS * flags.scale))
    with workspace(Peer(name="sample", version=""), driver=flags.driver) as store:
        sample = lay(store, flags.scale, flags.seed)
        report.figure("images and layers", f"{len(sample.images)} {sample.layers}")
        hold(report, store, sample, rounds=rounds, backend=("trio", "asyncio")[flags.seed % 2])
    return report.finish()


def lay(store: Store, scale: float, seed: int) -> Sample:
    """As many images and layers as the largest store of the public reports, or that part of them."""
    images, layers = max(40, round(FLEET_HOST.images * scale)), max(100, round(FLEET_HOST.layers * scale))
    driver = "overlay" if store.driver == "overlay" else "vfs"
    return write_store(
        store.graphroot, store.runroot, SampleSpec(images=images, layers=layers, seed=seed, driver=driver)
    )


def hold(report: Report, store: Store, sample: Sample, *, rounds: int, backend: str) -> None:
    """Every kind of change, without and with the rival."""
    acts = _acts(sample, rounds)
    lock = paths.images_lock(str(store.graphroot), store.driver)
    table = paths.images_json(str(store.graphroot), store.driver)
    with daemon(store, backend=backend) as ours, ours.client() as client:
        client.images()
        for name, act in acts.items():
            for number in range(rounds):
                _alone(report, client, name, act, number)
        for name, act in acts.items():
            with rival("write", lock, table) as writer:
                report.claim(writer.said() == "writing", f"{name}: the rival did not start")
                for number in range(rounds, rounds + max(2, rounds // 4)):
                    _beside(report, client, name, act, number)
                waits = json.loads(writer.finish())
            report.figure(f"{name}, beside a writer: its longest wait of {len(waits)}, ms", max(waits) * 1000)
        stats = client.call("server.stats")
    report.figure("changes", {k: v for k, v in stats["counters"].items() if k.startswith(("changes", "commits"))})


def _acts(sample: Sample, rounds: int) -> dict[str, Act]:
    named = sorted(sample.names)[0]
    bases = sorted(sample.dangling)
    return {
        "tag": lambda client, n: client.call("images.tag", name=named, tags=[f"localhost/held:{n}"]),
        "untag": lambda client, n: client.call("images.untag", name=named, tags=[f"localhost/held:{n}"]),
        "list create": lambda client, n: client.call("manifests.create", name=f"localhost/list:{n}", images=[named]),
        "remove": lambda client, n: client.call("images.remove", names=[bases[n % len(bases)]]),
        "list remove": lambda client, n: client.call("manifests.remove", names=[f"localhost/list:{n}"]),
    }


def _alone(report: Report, client: Client, name: str, act: Act, number: int) -> None:
    held, commits = _held(client, lambda: act(client, number))
    report.claim(commits == 1, f"{name}: {commits} commits")
    report.figure(f"{name}: held, ms", _said(held))
    report.in_time(max(held.values()) <= _ALONE, f"{name}: held {_said(held)} ms")


def _beside(report: Report, client: Client, name: str, act: Act, number: int) -> None:
    held, commits = _held(client, lambda: act(client, number))
    report.claim(commits == 1, f"{name}, beside a writer: {commits} commits")
    report.figure(f"{name}, beside a writer: held, ms, and {client.elapsed * 1000:.0f} ms in all", _said(held))
    report.in_time(max(held.values()) <= _BESIDE, f"{name}, beside a writer: held {_said(held)} ms")


def _held(client: Client, act: Callable[[], object]) -> tuple[dict[str, float], int]:
    before = client.call("server.stats")
    act()
    spent = client.elapsed
    after = client.call("server.stats")
    client.elapsed = spent
    held = {
        lock: after["seconds"].get(f"locks.held.{lock}", 0.0) - before["seconds"].get(f"locks.held.{lock}", 0.0)
        for lock in _LOCKS
    }
    return held, after["counters"].get("commits", 0) - before["counters"].get("commits", 0)


def _said(held: dict[str, float]) -> str:
    return " ".join(f"{lock} {seconds * 1000:.1f}" for lock, seconds in held.items())


if __name__ == "__main__":
    sys.exit(main())
