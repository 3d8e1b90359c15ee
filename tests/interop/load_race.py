"""Loads beside real podmans that write as fast as they can: no load may be in the middle of a transaction.

    python -m tests.interop.load_race LOADS [--seed N] [--writers N] [--peer 4.3|5.8] [--blind]

Each writer imports an image of its own content, tags and untags it, lists it, deletes the list and the
image, over and over. What a load must then hold:

* the top layer of every image and the parent of every layer are there, and no layer is incomplete;
* a layer that once had an image has one, for podman deletes both under one hold of the locks;
* every name belongs to one image.

``--blind`` leaves out the probe for writers: the control by which one sees that the checks can fail.
"""

from __future__ import annotations

import argparse
import io
import random
import sys
import tarfile
import tempfile
import threading
import time
from pathlib import Path

from storaged.metrics import Metrics
from storaged.store.locks.probe import LockHolder
from storaged.store.reader import StoreReader, WriterActive
from storaged.store.stamp import StampWatch
from storaged.store.tables import StoreLocation, StoreTables
from storaged_client.contract.errors import StoreBusy
from tests.support.peers import Peer, PeerMissing, Store, ToolError, podman_43, podman_58


class BlindReader(StoreReader):
    """A reader that does not ask who holds the locks."""

    def __init__(self, location: StoreLocation, metrics: Metrics) -> None:
        super().__init__(location, metrics=metrics)

        class Blind(StampWatch):
            def writer(self) -> LockHolder | None:
                return None

        self._own_watch.__class__ = Blind


class Checker:
    """Judges loads, in the order they were made."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._had_image: set[str] = set()

    def judge(self, tables: StoreTables) -> bool:
        """Whether the tables are a state some podman left behind."""
        before = len(self.violations)
        layers = {row.record.id: row.record for row in tables.layers}
        tops: set[str] = set()
        names: set[str] = set()
        for row in tables.images:
            top = row.record.layer
            if top is not None:
                tops.add(top)
                if top not in layers:
                    self.violations.append(f"image {row.record.id[:12]} without its layer {top[:12]}")
            for name in row.record.names or ():
                if name in names:
                    self.violations.append(f"{name} belongs to two images")
                names.add(name)
        parents = {layer.parent for layer in layers.values()}
        for layer in layers.values():
            if layer.incomplete:
                self.violations.append(f"layer {layer.id[:12]} is incomplete")
            if layer.parent is not None and layer.parent not in layers:
                self.violations.append(f"layer {layer.id[:12]} without its parent")
            if layer.id in self._had_image and layer.id not in tops and layer.id not in parents:
                self.violations.append(f"layer {layer.id[:12]} outlived its image")
        self._had_image |= tops
        if tables.flaws:
            self.violations.append(f"flaws: {tables.flaws[0].detail}")
        return len(self.violations) == before


class Writer(threading.Thread):
    """One rival: real podman commands until told to stop."""

    def __init__(self, store: Store, number: int, seed: int, stop: threading.Event) -> None:
        super().__init__(name=f"writer-{number}", daemon=True)
        self._store = store
        self._number = number
        self._random = random.Random(f"{seed}-{number}")
        self._halt = stop
        self.commands = 0
        self.failures: list[str] = []

    def run(self) -> None:
        turn = 0
        while not self._halt.is_set():
            turn += 1
            name = f"localhost/w{self._number}"
            archive = self._store.work / "tmp" / f"w{self._number}.tar"
            archive.write_bytes(_tar(f"{self._number} {turn} {self._random.random()}".encode()))
            self._do("import", "-q", str(archive), f"{name}:1")
            if self._random.random() < 0.5:
                self._do("manifest", "create", f"{name}-list:1", f"containers-storage:{name}:1")
                self._do("manifest", "rm", f"{name}-list:1")
            if self._random.random() < 0.7:
                self._do("tag", f"{name}:1", f"{name}:2")
                self._do("untag", f"{name}:1", f"{name}:2")
            self._do("rmi", "-f", f"{name}:1")

    def _do(self, *arguments: str) -> None:
        if self._halt.is_set():
            return
        try:
            self._store.podman(*arguments)
        except ToolError as error:
            self.failures.append(str(error).splitlines()[0])
        self.commands += 1


def _tar(content: bytes) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("file")
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def race(peer: Peer, loads: int, *, seed: int, writers: int, blind: bool = False) -> list[str]:
    """Run the race and print its figures; returns the violations."""
    with tempfile.TemporaryDirectory(prefix="race-") as folder:
        store = Store(peer=peer, work=Path(folder))
        store.prepare()
        store.podman("images", "-q")
        location = StoreLocation(graphroot=str(store.graphroot), runroot=str(store.runroot), driver=store.driver)
        metrics = Metrics()
        reader = BlindReader(location, metrics) if blind else StoreReader(location, metrics=metrics)
        stop = threading.Event()
        rivals = [Writer(store, number, seed, stop) for number in range(writers)]
        for rival in rivals:
            rival.start()
        checker = Checker()
        done = active = busy = wrong = 0
        stamps: set[object] = set()
        began = time.monotonic()
        try:
            while done < loads:
                try:
                    loaded = reader.load()
                except WriterActive:
                    active += 1
                    time.sleep(0.0002)
                    continue
                except StoreBusy:
                    busy += 1
                    continue
                done += 1
                stamps.add(loaded.stamp.tables)
                wrong += not checker.judge(loaded.tables)
        finally:
            took = time.monotonic() - began
            stop.set()
            for rival in rivals:
                rival.join(60)
            reader.close()
        print(
            f"{peer.name} seed={seed} loads={done} states={len(stamps)} wrong={wrong} writer_seen={active} busy={busy} "
            f"lost_races={metrics.counters['loads.lost_races']} shared_locks={metrics.counters['locks.acquired']} "
            f"podman_commands={sum(rival.commands for rival in rivals)} "
            f"failed_commands={sum(len(rival.failures) for rival in rivals)} seconds={took:.1f}"
        )
        for failure in sorted({failure for rival in rivals for failure in rival.failures})[:3]:
            print("  a rival's failure:", failure[:300])
        return checker.violations


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("loads", type=int)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--peer", choices=["4.3", "5.8"], default="4.3")
    parser.add_argument("--blind", action="store_true")
    options = parser.parse_args(argv)
    try:
        peer = podman_43() if options.peer == "4.3" else podman_58()
    except PeerMissing as missing:
        print(missing, file=sys.stderr)
        return 77
    violations = race(peer, options.loads, seed=options.seed, writers=options.writers, blind=options.blind)
    for violation in violations[:10]:
        print("VIOLATION:", violation)
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
