"""storaged, podman 5.8 and containers-storage 1.43 tag and make manifest lists at once: nothing that was done is lost.

    python -m tests.acceptance.lost_updates --scale 1        500 operations each, on overlay and on vfs

skopeo and buildah copy images in meanwhile. The daemon and podman tag one image and add to one list; nobody is more
than a few operations ahead of the slowest, so that all are at it until the end. Then every name is on the image it
was given to, and every list has its entries: by images.json, by the daemon, by the podman service that ran all the
time, and by another podman 5.8 on a copy. What two podman 4.3 lose between them is told, and nobody's fault here.
"""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from attrs import frozen

from tests.support.client import Client, RpcError
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, ToolError, podman_43, podman_58, workspace
from tests.support.podman_service import Service, service
from tests.support.report import Report, arguments

from .nothing_lost import Ledger, check
from .racing_writers import Copiers, Operation, Ours, Podman, Pool, StorageCommand, kinds
from .written_store import tables

_OPERATIONS = 500
_AHEAD = 8
"""Operations that a writer may be ahead of the slowest."""
_OLD_TAGS = 60
"""Names that each of two podman 4.3 gives to one image."""


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, driver=(str, "overlay,vfs", "overlay or vfs"))
    report = Report(timed=not flags.untimed)
    operations = max(10, round(_OPERATIONS * flags.scale))
    for number, driver in enumerate(flags.driver.split(",")):
        run(report, podman_58(), driver, seed=flags.seed + number, operations=operations)
    tell_what_podman_43_loses(report, podman_43(), max(5, round(_OLD_TAGS * flags.scale)))
    return report.finish()


def run(
    report: Report, peer: Peer, driver: str, *, seed: int, operations: int, program: Sequence[str] = ("storaged",)
) -> None:
    """One store, all writers at once, then what everybody sees. ``program`` is the daemon."""
    with race(peer, driver, seed=seed, operations=operations, program=program) as scene:
        scene.start(report, scene.writers, {"skopeo and buildah": scene.copiers})
        counters = scene.client.call("server.stats")["counters"]
        races = counters.get("changes.lost.races", 0)
        decided = counters.get("changes.decided_under_locks", 0)
        report.figure(f"{driver}: tries of ours that others forestalled", races)
        report.figure(f"{driver}: changes of ours decided with all locks held", decided)
        if operations >= _OPERATIONS:
            report.claim(races > 0, f"{driver}: nobody ever came between: the writers did not race")
        scene.check(report)


@frozen(kw_only=True)
class Scene:
    """The store, its readers, and who writes."""

    store: Store
    client: Client
    service: Service
    pool: Pool
    ledger: Ledger
    operations: int
    where: str
    writers: Mapping[str, Operation]
    copiers: Operation

    def start(self, report: Report, writers: Mapping[str, Operation], until: Mapping[str, Operation]) -> None:
        """Each writer does all its operations; those of ``until`` go on as long as the others do."""
        pace = _Pace(dict.fromkeys(writers, 0))
        refused: list[str] = []
        rounds = dict.fromkeys(until, 0)

        def work(name: str, operation: Operation) -> None:
            try:
                for number in range(self.operations):
                    pace.wait(name)
                    _try(f"{name} {number}", operation, number, refused)
                    pace.done(name)
            finally:
                pace.leave(name)

        def go_on(name: str, operation: Operation) -> None:
            while pace.anybody() or not rounds[name]:
                _try(f"{name} {rounds[name]}", operation, rounds[name], refused)
                rounds[name] += 1

        with ThreadPoolExecutor(len(writers) + len(until)) as threads:
            running = [threads.submit(work, *each) for each in writers.items()]
            running += [threads.submit(go_on, *each) for each in until.items()]
        for each in running:
            each.result()
        report.figure(f"{self.where}: operations of each of {', '.join(writers)}", self.operations)
        for name, number in rounds.items():
            report.figure(f"{self.where}: operations of {name} meanwhile", number)
        report.claim(not refused, f"{self.where}: {len(refused)} refused: {refused[:3]}")

    def check(self, report: Report) -> None:
        check(report, self.where, self.store, self.ledger, self.client, self.service)


@contextmanager
def race(
    peer: Peer, driver: str, *, seed: int, operations: int, program: Sequence[str] = ("storaged",)
) -> Iterator[Scene]:
    """A store with what the writers need, the daemon (``program``) on one of two loops, podman's service."""
    rng = random.Random(seed)
    backend = ("trio", "asyncio")[seed % 2]
    where = f"{driver}, {backend}"
    with workspace(peer, driver=driver) as store:
        store.build(f"base {seed}", tag="localhost/base:1")
        with (
            daemon(store, backend=backend, program=program) as ours,
            ours.client() as client,
            service(store) as theirs,
        ):
            ledger = Ledger()
            of_each = [kinds(operations, rng) for _ in range(3)]
            needed = sum(chosen.count("add") for chosen in of_each[:2])
            pool = _pool(store, client, ledger, max(1, needed))
            additions = list(pool.additions)
            middle = of_each[0].count("add")
            storage = StorageCommand(store=store, ledger=ledger, kinds=of_each[2])
            storage.found()
            first = Ours(client=client, pool=pool, ledger=ledger, kinds=of_each[0], additions=additions[:middle])
            second = Podman(
                store=store, service=theirs, pool=pool, ledger=ledger, kinds=of_each[1], additions=additions[middle:]
            )
            yield Scene(
                store=store,
                client=client,
                service=theirs,
                pool=pool,
                ledger=ledger,
                operations=operations,
                where=where,
                writers={"storaged": first, "podman": second, "containers-storage": storage},
                copiers=Copiers(store=store, ledger=ledger),
            )


def _pool(store: Store, client: Client, ledger: Ledger, count: int) -> Pool:
    """The image to tag, the list to add to, and as many images as will be added."""
    (tagged,) = tables(store).images
    ledger.named(["localhost/base:1"], tagged)
    shared = client.call("manifests.create", name="localhost/shared:1", images=[])["id"]
    ledger.listed(shared, [], "localhost/shared:1")
    made = []
    for number in range(count):
        name = f"localhost/pool:{number}"
        config = {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Labels": {"n": str(number)}},
            "rootfs": {"type": "layers", "diff_ids": []},
            "history": [{"created_by": "LABEL", "empty_layer": True}],
        }
        (image,) = client.call("images.create", config=config, names=[name])["ids"]
        ledger.named([name], image)
        made.append(image)
    records = tables(store).images
    return Pool(tagged=tagged, shared_list=shared, additions=tuple((image, records[image]["digest"]) for image in made))


class _Pace:
    """Keeps the writers together."""

    def __init__(self, done: dict[str, int]) -> None:
        self._done = done
        self._moved = threading.Condition()

    def wait(self, name: str) -> None:
        with self._moved:
            self._moved.wait_for(lambda: self._done[name] < min(self._done.values()) + _AHEAD)

    def done(self, name: str) -> None:
        with self._moved:
            self._done[name] += 1
            self._moved.notify_all()

    def leave(self, name: str) -> None:
        with self._moved:
            del self._done[name]
            self._moved.notify_all()

    def anybody(self) -> bool:
        with self._moved:
            return bool(self._done)


def _try(what: str, operation: Operation, number: int, refused: list[str]) -> None:
    try:
        operation(number)
    except (ToolError, RpcError) as error:
        refused.append(f"{what}: {error}")


def tell_what_podman_43_loses(report: Report, peer: Peer, tags: int) -> None:
    """Two podman 4.3 tag one image at once, nobody else is there: a figure, no claim."""
    with workspace(peer) as store:
        image = store.build("old", tag="localhost/old:1")

        def tag(lane: str) -> None:
            for number in range(tags):
                store.podman("tag", image, f"localhost/{lane}:{number}")

        with ThreadPoolExecutor(2) as threads:
            list(threads.map(tag, ("first", "second")))
        lost = 2 * tags + 1 - len(tables(store).images[image]["names"])
        report.figure(f"two {peer.name} on one image: names lost of {2 * tags}", lost)


if __name__ == "__main__":
    sys.exit(main())
