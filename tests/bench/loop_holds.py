"""For how long the worst request of each method holds the event loop at 43,000 layers.

In this process, on trio: the loop thread's processor time of each step of a task is counted, which is what everybody
else waits for, whatever else the machine does. A request is as long as one may be (1 MiB), or asks for all there is.

    python -m tests.bench.loop_holds --scale 1
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import trio
from attrs import evolve
from trio.lowlevel import Task

from storaged_client.contract.methods import METHODS
from tests.bench.load_ground import fleet
from tests.ground import DRIVER, Ground, lay
from tests.rivals.report import Report, arguments
from tests.unit.service.conftest import connected, desk_of

BOUND_MS = 5.0
_BYTES = 1 << 20


class Steps(trio.abc.Instrument):
    """The longest step, in seconds of the loop thread."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._began = 0.0

    def before_task_step(self, task: Task) -> None:
        self._began = time.thread_time()

    def after_task_step(self, task: Task) -> None:
        self.longest = max(self.longest, time.thread_time() - self._began)


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv)
    report = Report(timed=not flags.untimed)
    steps = Steps()
    trio.run(_measure, report, steps, min(1.0, flags.scale), flags.seed, instruments=[steps])
    return report.finish()


async def _measure(report: Report, steps: Steps, scale: float, seed: int) -> None:
    spec = evolve(fleet(scale, seed=seed), driver=DRIVER)
    with tempfile.TemporaryDirectory(prefix="holds-") as name, lay(Path(name), spec=spec) as ground:
        desk = desk_of(ground)
        async with ground.running():
            snapshot = ground.cache.snapshot
            assert snapshot is not None
            report.figure("layers", len(snapshot.layers))
            ground.cache.loader.garbage.begin()
            asked = worst(ground, Random(seed))
            report.claim({method for method, _, _ in asked} >= _readers(), "every reading method is asked")
            for method, what, params in asked:
                await trio.lowlevel.checkpoint()
                steps.longest = 0.0
                try:
                    await desk.service.handle(connected(), method, params)
                    how = ""
                except Exception as error:
                    how = f" ({type(error).__name__})"
                await trio.lowlevel.checkpoint()  # a step that waits for nothing ends here
                longest = steps.longest * 1e3
                report.figure(f"{method}, {what}{how}: ms of the longest step", longest)
                report.in_time(longest <= BOUND_MS, f"{method}, {what}: holds the loop for {longest:.1f} ms")


def _readers() -> set[str]:
    return {name for name, row in METHODS.items() if not row.mutates and not name.startswith("server.")}


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
        ("images.list", "400,000 filters", {"filters": ["a"] * 250_000}),
        ("images.list", "fields", {"fields": ["id"] * 150_000}),
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
        ("images.tag", "1 MiB of tags", {"name": some, "tags": [f"t{n}" for n in range(_BYTES // 9)]}),
        ("images.remove", "1 MiB of ids, dry run", {"names": many, "dry_run": True}),
        ("images.prune", "256 filters, dry run", {"filters": ["until!=2001-01-01"] * 256, "dry_run": True}),
        ("store.check", "records", {"scope": "records"}),
    ]
    for method in ("exists", "resolve", "why", "relations", "history", "tree"):
        found += [(f"images.{method}", "a long name", {"name": long}), (f"images.{method}", "a name", {"name": some})]
    found += [("manifests.exists", "a long name", {"name": long}), ("manifests.get", "a long name", {"name": long})]
    return found


if __name__ == "__main__":
    sys.exit(main())
