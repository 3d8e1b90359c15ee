"""Carrying out a change, and the recovery of the next start, on a disk of the test's choosing."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import evolve, frozen

from storaged.engine.content import Contents
from storaged.engine.leases import Leases
from storaged.engine.loading import Loader
from storaged.engine.transaction_attempt import Interrupted, TransactionAttempt
from storaged.metrics import Metrics
from storaged.snapshot.model import Snapshot
from storaged.store.changes import ChangeSet
from storaged.store.content import ContentReader
from storaged.store.files import Files
from storaged.store.reader import StoreReader
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.prepared import Committed
from storaged.store.writing.recovery import Recovery
from storaged.store.writing.reserve import Reserve
from tests.support.files import Call

from .calls import Counting, Intercepted
from .checker import Checker, facts, seen_by_us
from .kinds import KINDS, Kind
from .rival import Rival
from .scenes import GRAPHROOT, Store, build
from .tree import Tree, read_tree, write_tree

_PATIENCE = 2.0
"""Seconds for the locks; nobody else has them."""


def mutate(store: Store, mutation: str, files: Intercepted) -> None:
    """Make the change as the engine does.

    Raises:
        StoragedError, OSError: as the writer.
    """
    kind = KINDS[mutation]
    with contextlib.closing(StoreWriter(store.location, metrics=Metrics(), files=files)) as writer:
        committed = _under_locks(store, kind, writer, files) if kind.under_locks else _planned(store, kind, writer)
        if committed is not None:
            writer.finish(committed)


def _planned(store: Store, kind: Kind, writer: StoreWriter) -> Committed:
    """Plan on what our reader finds; the plan holds."""
    with contextlib.closing(StoreReader(store.location, metrics=Metrics())) as reader:
        stamp = reader.load().stamp
    prepared = writer.prepare(kind.change(store), stamp)
    try:
        return writer.commit(prepared, deadline=time.monotonic() + _PATIENCE)
    except BaseException:
        writer.discard(prepared)
        raise


def _under_locks(store: Store, kind: Kind, writer: StoreWriter, files: Intercepted) -> Committed | None:
    """Decide with all locks held, after what could be done ahead; None where there was nothing to do."""
    if kind.deed is not None:
        files.rival = Rival(deed=kind.deed, store=store)

    def plan(_: Snapshot) -> ChangeSet[None]:
        try:
            return ChangeSet(change=kind.change(store), result=None)
        finally:
            if files.rival is not None:
                files.rival.planned(files)

    metrics = Metrics()
    with contextlib.closing(StoreReader(store.location, metrics=metrics, files=files)) as reader:
        loader = Loader(reader, Contents(ContentReader(store.location, metrics, files)), metrics)
        with files.unseen():
            loader.load(unproven=False, afresh=False, cancelled=lambda: False)
        attempts = TransactionAttempt(loader, writer, Leases(metrics))
        try:
            return attempts.under_locks(plan, time.monotonic() + _PATIENCE, lambda: False).committed
        except Interrupted as broken:
            raise broken.cause from None


def recover(store: Store, files: Files) -> tuple[str, ...]:
    """What the next start of the daemon does; returns what it had to leave."""
    writer = StoreWriter(store.location, metrics=Metrics(), files=files)
    try:
        recovery = Recovery(store.location, writer, metrics=Metrics(), files=files)
        return recovery.run().left if recovery.pending() else ()
    finally:
        writer.close()


@frozen(kw_only=True)
class Bench:
    """A store in one place, put back as it was before each run."""

    store: Store
    template: Tree

    def of(self, mutation: str) -> Bench:
        """The bench for a change that may be the first one of its store."""
        if not KINDS[mutation].first:
            return self
        own = f"{GRAPHROOT}/storaged"
        template = {path: entry for path, entry in self.template.items() if not f"{path}/".startswith(f"{own}/")}
        return evolve(self, template=template)

    def reset(self) -> None:
        write_tree(self.template, self.store.top)

    def lay(self, tree: Tree) -> None:
        write_tree(tree, self.store.top)

    def look(self) -> Tree:
        return read_tree(self.store.top)

    def checker(self, mutation: str) -> Checker:
        """Run the change once without any fault, to know what it must come to."""
        self.reset()
        dangling = [seen_by_us(self.store)[1]]
        files = Intercepted()
        mutate(self.store, mutation, files)
        dangling.append(seen_by_us(self.store)[1])
        after = self.look()
        if files.rival is not None and files.rival.tree is not None:
            self.lay(files.rival.tree)
            dangling.append(seen_by_us(self.store)[1])
        return Checker(
            store=self.store,
            before=facts(self.store, self.template),
            after=facts(self.store, after),
            dangling=tuple(dangling),
        )


def calls_of(where: Bench, mutation: str) -> list[Call]:
    """The calls of a change that meets no fault."""
    where.reset()
    counting = Counting()
    mutate(where.store, mutation, counting)
    return counting.made


@contextlib.contextmanager
def bench(driver: str) -> Iterator[Bench]:
    """A fresh store, with the reserve made as by a daemon that has run for a while; in memory where there is room."""
    memory = "/dev/shm"
    top = Path(tempfile.mkdtemp(prefix="faults-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        store = build(top / "top", driver)
        Reserve(store.location).build()
        yield Bench(store=store, template=read_tree(store.top))
    finally:
        shutil.rmtree(top, ignore_errors=True)
