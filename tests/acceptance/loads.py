"""The reader itself, without a daemon, beside real tools that write: no load is ever mid-transaction.

    python -m tests.acceptance.loads --scale 1      200,000 loads, half beside each podman

Judged by the observer: each load that ends must equal a complete state, and none may lie before the last one.
"""

from __future__ import annotations

import random
import sys
import threading
from collections import Counter
from collections.abc import Sequence

from msgspec import json

from storaged.metrics import Metrics
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation, StoreTables
from storaged_client.contract.errors import StoragedError
from tests.support.peers import Peer, podman_43, podman_58, workspace
from tests.support.report import Report, arguments

from .changes import Tools
from .observer import Observer, Rows, State, image_row

_LOADS = 200_000


def main(argv: Sequence[str] | None = None) -> int:
    flags = arguments(__doc__ or "", argv, peers=(str, "4.3,5.8", "which podmans write"))
    report = Report(timed=not flags.untimed)
    finders = {"4.3": podman_43, "5.8": podman_58}
    versions = flags.peers.split(",")
    for version in versions:
        load_beside(
            report, finders[version](), seed=flags.seed, loads=max(500, round(_LOADS * flags.scale / len(versions)))
        )
    return report.finish()


def load_beside(report: Report, peer: Peer, *, seed: int, loads: int) -> None:
    """Load ``loads`` times while the tools of ``peer`` change the store, one command after another."""
    with workspace(peer) as store:
        store.build("first", tag="localhost/first:1")
        observer = Observer(store)
        observer.start()
        crew = _Crew(Tools(store, random.Random(seed)), observer)
        location = StoreLocation(graphroot=str(store.graphroot), runroot=str(store.runroot), driver=store.driver)
        reader = StoreReader(location, metrics=Metrics())
        seen: list[State] = []
        outcomes: Counter[str] = Counter()
        crew.start()
        try:
            last = None
            while outcomes["loaded"] < loads and crew.is_alive():
                try:
                    loaded = reader.load()
                except StoragedError as error:
                    outcomes[type(error).__name__] += 1
                    continue
                outcomes["loaded"] += 1
                if loaded.stamp != last:
                    last = loaded.stamp
                    seen.append(state_of(loaded.tables))
        finally:
            crew.stop()
            reader.close()
            observer.stop()
        states = observer.states()
    where = peer.name
    report.claim(not crew.failed, f"{where}: the tools failed: {crew.failed}")
    report.claim(not observer.problems, f"{where}: the observer missed something: {observer.problems[:3]}")
    report.claim(outcomes["loaded"] >= loads, f"{where}: only {outcomes['loaded']} loads")
    position = 0
    for number, state in enumerate(seen):
        later = next((place for place in range(position, len(states)) if states[place] == state), None)
        if report.claim(later is not None, f"{where}: load {number} of {len(seen)} different ones was never complete"):
            assert later is not None
            position = later
    report.figure(f"{where}: attempts", dict(outcomes))
    report.figure(f"{where}: different states loaded", len(seen))
    report.figure(f"{where}: complete states there were", len(states))
    report.figure(f"{where}: commands", sum(crew.tools.counts.values()))


class _Crew(threading.Thread):
    """Runs commands until it is stopped."""

    def __init__(self, tools: Tools, observer: Observer) -> None:
        super().__init__(daemon=True)
        self.tools = tools
        self.failed = ""
        self._observer = observer
        self._ended = threading.Event()

    def run(self) -> None:
        try:
            while not self._ended.is_set():
                self.tools.change(self._observer.settled())
        except Exception as error:
            self.failed = repr(error)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def state_of(tables: StoreTables) -> State:
    """The same rows the observer makes of the files."""
    images = (image_row(json.decode(row.raw)) for row in tables.images)
    layers: Rows = tuple(
        (row.record.id, row.record.parent, row.record.diff_digest) for row in tables.layers if not row.record.incomplete
    )
    containers: Rows = tuple(
        (row.record.id, tuple(row.record.names or ()), row.record.image or None, row.record.layer)
        for row in tables.containers
    )
    return State(images=tuple(row for row in images if row is not None), layers=layers, containers=containers)


if __name__ == "__main__":
    sys.exit(main())
