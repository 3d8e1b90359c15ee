"""What the system itself asks for the work behind an answer: the limit beside storaged's own cost of it.

In this process, without a socket: the look whether the store is still as it was, the load of its tables, the digests
that all manifest lists name; then the whole way from no daemon to its first answer.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from storaged.metrics import Metrics
from storaged.sample import FLEET_HOST, SampleSpec, write_store
from storaged.store.content import ContentReader, may_be_list
from storaged.store.inventory import lock_files, table_files
from storaged.store.reader import StoreReader
from storaged.store.tables import StoreLocation
from tests.support.daemon import daemon
from tests.support.peers import Store, workspace

from .figures import EMPTY, MSGSPEC, STAT_AND_PREAD, STDLIB, STORAGED
from .stage import NOBODY, Run
from .timing import Contender, by_turns

LOOK, LOAD, DIGESTS, START = (
    "freshness check",
    "load of the tables",
    "digests of all lists, cold",
    "start to first answer",
)


def measure(run: Run) -> None:
    """A store of 800, one of as many lists, the largest one reported; each beside the same work done barely."""
    layers = round((FLEET_HOST.layers or 0) * run.scale)
    specs = (
        SampleSpec(images=run.size(800), seed=run.seed),
        SampleSpec(images=run.size(800), seed=run.seed, shape="lists"),
        SampleSpec(images=run.size(FLEET_HOST.images), layers=layers, seed=run.seed),
    )
    for spec in specs:
        with workspace(NOBODY, driver=spec.driver) as store:
            sample = write_store(store.graphroot, store.runroot, spec)
            place = spec.shape, spec.images
            run.figures.facts[f"floors, {spec.shape} {spec.images}: layers, lists"] = (
                f"{sample.layers}, {len(sample.lists)}"
            )
            where = StoreLocation(graphroot=str(store.graphroot), runroot=str(store.runroot), driver=store.driver)
            _look(run, where, place)
            _load(run, where, place)
            _digests(run, where, place)
            if run.full or spec is specs[0]:
                _start(run, store, place)


def _look(run: Run, where: StoreLocation, place: tuple[str, int]) -> None:
    """Microseconds each: a thousand at a time."""
    reader = StoreReader(where, metrics=Metrics())
    reader.load()
    tables = [table.path for table in table_files(where)]
    locks = [os.open(path, os.O_RDONLY | os.O_CLOEXEC) for path in lock_files(where)]

    def barely() -> None:
        for lock in locks:
            os.pread(lock, 64, 0)
            os.fstat(lock)
        for path in tables:
            try:
                os.stat(path)
            except FileNotFoundError:
                continue

    try:
        contenders = [
            Contender(who=STORAGED, ask=_timed(reader.stamp, 1_000)),
            Contender(who=STAT_AND_PREAD, ask=_timed(barely, 1_000)),
        ]
        run.figures.add(run.report, LOOK, place, by_turns(contenders, run.effort(1, least=10)))
    finally:
        for lock in locks:
            os.close(lock)
        reader.close()


def _load(run: Run, where: StoreLocation, place: tuple[str, int]) -> None:
    """All tables, nothing known of them before."""
    paths = [Path(table.path) for table in table_files(where) if os.path.exists(table.path)]
    run.figures.facts[f"{LOAD}, {place[0]} {place[1]}: bytes of JSON"] = str(sum(path.stat().st_size for path in paths))

    def ours() -> None:
        reader = StoreReader(where, metrics=Metrics())
        try:
            reader.load()
        finally:
            reader.close()

    def barely(decode: Callable[[bytes], object]) -> Callable[[], None]:
        return lambda: [decode(path.read_bytes()) for path in paths].clear()

    contenders = [
        Contender(who=STORAGED, ask=_timed(ours)),
        Contender(who=STDLIB, ask=_timed(barely(json.loads))),
        Contender(who=MSGSPEC, ask=_timed(barely(msgspec.json.decode))),
    ]
    run.figures.add(run.report, LOAD, place, by_turns(contenders, run.effort(3)))


def _digests(run: Run, where: StoreLocation, place: tuple[str, int]) -> None:
    """What no record says: each list's bytes are read and checked against its digest."""
    reader = StoreReader(where, metrics=Metrics())
    rows = [row for row in reader.load().tables.images if may_be_list(row.record)]
    reader.close()
    content = ContentReader(where, Metrics())
    files = [
        Path(where.graphroot, f"{where.driver}-images", row.record.id, "manifest")
        for row in rows
        if "manifest" in (row.record.big_data_names or ())
    ]

    def ours() -> set[str]:
        found = (content.read(row).manifest for row in rows)
        return {str(each.digest) for manifest in found if manifest is not None for each in manifest.instances}

    def barely() -> set[str]:
        found = (msgspec.json.decode(path.read_bytes()) for path in files)
        return {
            each["digest"]
            for manifest in found
            if isinstance(manifest, dict)
            for each in manifest.get("manifests") or ()
        }

    same = ours() == barely()
    run.report.claim(same, f"{DIGESTS}, {place}: storaged and a plain reading find other digests")
    contenders = [Contender(who=STORAGED, ask=_timed(ours)), Contender(who=MSGSPEC, ask=_timed(barely))]
    run.figures.add(run.report, DIGESTS, place, by_turns(contenders, run.effort(2)))


def _start(run: Run, store: Store, place: tuple[str, int]) -> None:
    """Python and its imports are most of it: the same with nothing to load says how much."""
    with workspace(NOBODY, driver=store.driver) as empty:
        contenders = [
            Contender(who=who, ask=_first_answer(each), warm=int(run.full))
            for who, each in ((STORAGED, store), (EMPTY, empty))
        ]
        run.figures.add(run.report, START, place, by_turns(contenders, run.effort(8)))


def _first_answer(store: Store) -> Callable[[], float]:
    def ask() -> float:
        start = time.perf_counter()
        with daemon(store) as ours, ours.client() as client:
            client.call("images.exists", name="localhost/nothing:1")
            return time.perf_counter() - start

    return ask


def _timed(work: Callable[[], object], often: int = 1) -> Callable[[], float]:
    """Seconds of one, measured over so many."""

    def ask() -> float:
        start = time.perf_counter()
        for _ in range(often):
            work()
        return (time.perf_counter() - start) / often

    return ask
