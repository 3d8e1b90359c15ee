"""How fast a prune is beside podman 5.8's on an equal store, and how its cost grows.

Four forms: dangling images on one layer, on a layer each, on a layer each beside images in manifest lists, and, by
ourselves alone, so many that one commit does not take them all. The time is that of the whole request: the files are
gone when it is answered. So no prune can be faster than ``rm -rf`` of these very files, which is timed on an equal
store: where podman itself is less than fifty times slower than that, ours has to come near to it.

python -m tests.acceptance.prune_speed --scale 1
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Collection, Sequence

from attrs import frozen

from storaged.sample import Sample, SampleSpec, Shape, write_store
from tests.support.client import Client
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, ToolError, podman_58, workspace
from tests.support.report import Report, arguments
from tests.support.strace import calls, renames_onto, strace

SIZES = (100, 200, 400)
MANY = 10_000
_BACKENDS = ("trio", "asyncio")
_RATIO = 50
_NEAR = 2.0
"""How many times the floor ours may take where no more is to be had: it also decides, writes tables and flushes."""
_LINEAR = 2.0
"""How much dearer an image may be among many than among ``SIZES[-1]``, as time."""
_MORE_CALLS = 1.1
"""The same, counted as system calls."""
_REWRITES = 4
_PATIENCE = 1_800.0
"""Seconds podman may take."""


@frozen(kw_only=True)
class Form:
    """A kind of store with a number of dangling images."""

    name: str
    shape: Shape

    def spec(self, dangling: int, seed: int, driver: str) -> SampleSpec:
        # Every other image of ``half_listed`` dangles, and one record in 21 is a list.
        images = 2 * dangling + -(-dangling // 10) if self.shape == "half_listed" else dangling
        return SampleSpec(
            images=images,
            seed=seed,
            shape=self.shape,
            driver="overlay" if driver == "overlay" else "vfs",
            contents="files",
        )


FORMS = (
    Form(name="on one layer", shape="shared"),
    Form(name="on a layer each", shape="distinct"),
    Form(name="beside lists", shape="half_listed"),
)


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, driver=(str, "overlay", "vfs or overlay"))
    report = Report(timed=not flags.untimed)
    sizes = tuple(max(5, round(size * flags.scale)) for size in SIZES)
    peer = podman_58()
    for form in FORMS:
        beside_podman(report, peer, form, sizes=sizes, seed=flags.seed, driver=flags.driver)
    many = max(2 * sizes[-1], round(MANY * flags.scale))
    for form in FORMS[:2]:
        alone(report, form, few=sizes[-1], many=many, seed=flags.seed, driver=flags.driver)
    return report.finish()


def beside_podman(
    report: Report, peer: Peer, form: Form, *, sizes: Sequence[int], seed: int, driver: str, ratio: bool = True
) -> None:
    """Ours at each size, podman's at the largest: the same images go, ours so much sooner."""
    spent: dict[int, float] = {}
    gone: set[str] = set()
    for number, size in enumerate(sizes):
        with workspace(peer, driver=driver) as store:
            sample = _lay(store, form.spec(size, seed, driver))
            report.claim(len(sample.dangling) == size, f"{form.name}: {len(sample.dangling)} dangle of {size}")
            before = _entries(store)
            spent[size] = _ours(report, form, store, sample, _BACKENDS[(seed + number) % 2])
            gone = before - _entries(store)
    small, large = sizes[0], sizes[-1]
    dearer = (spent[large] / large) / (spent[small] / small)
    report.figure(f"{form.name}: time of an image at {large} over that at {small}", dearer)
    report.in_time(dearer <= _LINEAR, f"{form.name}: an image takes {dearer:.2f} times as long at {large}")
    with workspace(peer, driver=driver) as store:
        sample = _lay(store, form.spec(large, seed, driver))
        theirs = _podmans(store)
        report.figure(f"{form.name}: podman image prune -f of {large}, s", theirs)
        kept = set(sample.images) - sample.podman_dangling
        left = {line.removeprefix("sha256:") for line in store.podman("images", "-aq", "--no-trunc").split()}
        report.claim(left == kept, f"{form.name}: podman leaves {len(left)} images of {len(kept)}")
    if ratio:
        with workspace(peer, driver=driver) as store:
            _lay(store, form.spec(large, seed, driver))
            floor = _floor(store, gone)
        times, above = theirs / spent[large], spent[large] / floor
        report.figure(f"{form.name}: rm -rf of the files of {large}, s", floor)
        report.figure(f"{form.name}: times faster than podman", times)
        report.figure(f"{form.name}: times the floor", above)
        slow = f"{form.name}: only {times:.0f} times faster than podman, and {above:.1f} times the floor"
        report.in_time(times >= _RATIO or above <= _NEAR, slow)


def alone(report: Report, form: Form, *, few: int, many: int, seed: int, driver: str) -> None:
    """An image costs the same among many: as time, and counted as system calls."""
    spent: dict[int, float] = {}
    counted: dict[int, Counter[str]] = {}
    nobody = Peer(name="sample", version="")
    for size in (few, many):
        for watched in (False, True):
            with workspace(nobody, driver=driver) as store:
                sample = _lay(store, form.spec(size, seed, driver))
                if watched:
                    counted[size] = _watched(report, form, store, sample)
                else:
                    spent[size] = _ours(report, form, store, sample, _BACKENDS[seed % 2])
    dearer = (spent[many] / many) / (spent[few] / few)
    report.figure(f"{form.name}: time of an image at {many} over that at {few}", dearer)
    report.in_time(dearer <= _LINEAR, f"{form.name}: an image takes {dearer:.2f} times as long at {many}")
    each = {size: found.total() / size for size, found in counted.items()}
    report.figure(f"{form.name}: system calls an image at {few} and at {many}", f"{each[few]:.1f} {each[many]:.1f}")
    more = f"{form.name}: {each[many]:.1f} system calls an image instead of {each[few]:.1f}"
    report.claim(each[many] <= _MORE_CALLS * each[few], more)


def _lay(store: Store, spec: SampleSpec) -> Sample:
    sample = write_store(store.graphroot, store.runroot, spec)
    # Or whoever flushes first pays for the files that were just written.
    os.sync()
    return sample


def _ours(report: Report, form: Form, store: Store, sample: Sample, backend: str) -> float:
    """Seconds of the whole request."""
    with daemon(store, backend=backend) as ours, ours.client() as client:
        client.images()
        before = client.call("server.stats")
        _prune(report, form, client, sample)
        spent = client.elapsed
        after = client.call("server.stats")
    size = len(sample.dangling)
    held = _more(before, after, "seconds", "locks.held.layers.lock")
    commits = _more(before, after, "counters", "commits")
    report.figure(f"{form.name}: prune of {size}, s", spent)
    report.figure(f"{form.name}: prune of {size}: commits", commits)
    report.figure(f"{form.name}: prune of {size}: layers.lock held by a commit, ms", held / max(1, commits) * 1000)
    return spent


def _prune(report: Report, form: Form, client: Client, sample: Sample) -> None:
    answer = client.call("images.prune", timeout=600)
    spent = client.elapsed
    gone = {row["id"] for row in answer["removed"]}
    report.claim(gone == sample.dangling, f"{form.name}: {len(gone)} went, {len(sample.dangling)} dangle")
    report.claim(not answer["failed"], f"{form.name}: {answer['failed'][:2]}")
    left = {row["id"] for row in client.images(all=True)}
    report.claim(left == set(sample.images) - gone, f"{form.name}: {len(left)} images are left")
    client.elapsed = spent


def _watched(report: Report, form: Form, store: Store, sample: Sample) -> Counter[str]:
    """The system calls of a prune; one commit replaces layers.json twice."""
    with daemon(store) as ours, ours.client() as client:
        client.images()
        before = client.call("server.stats")
        with strace(ours.pid) as log:
            client.call("images.prune", timeout=600)
        commits = _more(before, client.call("server.stats"), "counters", "commits")
    found, rewrites = calls(log), renames_onto(log, "layers.json")
    log.unlink()
    size = len(sample.dangling)
    report.figure(f"{form.name}: prune of {size}: layers.json replaced", rewrites)
    report.claim(rewrites <= 2 * commits, f"{form.name}: layers.json replaced {rewrites} times by {commits} commits")
    if size <= SIZES[-1]:
        report.claim(0 < rewrites <= _REWRITES, f"{form.name}: prune of {size} replaces layers.json {rewrites} times")
    return found


def _more(before: dict[str, dict[str, float]], after: dict[str, dict[str, float]], kind: str, name: str) -> float:
    return after[kind].get(name, 0) - before[kind].get(name, 0)


def _entries(store: Store) -> set[str]:
    """What lies in the folders of images and layers, as paths below the graphroot."""
    root, driver = store.graphroot, store.driver
    folders = [
        f"{driver}-images",
        f"{driver}-layers",
        *(("overlay", "overlay/l") if driver == "overlay" else ("vfs/dir",)),
    ]
    return {f"{folder}/{name}" for folder in folders if (root / folder).is_dir() for name in os.listdir(root / folder)}


def _floor(store: Store, gone: Collection[str]) -> float:
    """Seconds that the system's own tool takes to remove these files and to do nothing else."""
    text = "\0".join(str(store.graphroot / entry) for entry in sorted(gone))
    began = time.perf_counter()
    subprocess.run(["xargs", "-0", "rm", "-rf", "--"], input=text, text=True, check=True)
    return time.perf_counter() - began


def _podmans(store: Store) -> float:
    """Seconds of ``podman image prune -f``.

    Raises:
        ToolError: it failed, or did not end in time.
    """
    store.podman("images", "-q")
    log = store.work / "prune.log"
    began = time.perf_counter()
    process = store.start("podman", "image", "prune", "-f", log=log)
    try:
        status = process.wait(_PATIENCE)
    except subprocess.TimeoutExpired as error:
        process.kill()
        process.wait()
        raise ToolError(f"podman image prune: no end in {_PATIENCE} s") from error
    if status != 0:
        raise ToolError(f"podman image prune: exit {status}: {log.read_text()[-1000:]}")
    return time.perf_counter() - began


if __name__ == "__main__":
    sys.exit(main())
