"""Carrying out a change, and the recovery of the next start, on a disk of the test's choosing."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from storaged.metrics import Metrics
from storaged.store.files import Files
from storaged.store.reader import StoreReader
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.recovery import Recovery
from storaged.store.writing.reserve import Reserve

from .checker import Checker, facts, seen_by_us
from .scenes import MUTATIONS, Store, build
from .tree import Tree, read_tree, write_tree

_PATIENCE = 2.0
"""Seconds for the locks; nobody else has them."""


def mutate(store: Store, mutation: str, files: Files) -> None:
    """Plan on what our reader finds, and carry it out as the engine does.

    Raises:
        StoreError, OSError: as the writer.
    """
    reader = StoreReader(store.location, metrics=Metrics())
    try:
        stamp = reader.load().stamp
    finally:
        reader.close()
    writer = StoreWriter(store.location, metrics=Metrics(), files=files)
    try:
        prepared = writer.prepare(MUTATIONS[mutation](store), stamp)
        try:
            committed = writer.commit(prepared, deadline=time.monotonic() + _PATIENCE)
        except BaseException:
            writer.discard(prepared)
            raise
        writer.finish(committed)
    finally:
        writer.close()


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

    def reset(self) -> None:
        write_tree(self.template, self.store.top)

    def lay(self, tree: Tree) -> None:
        write_tree(tree, self.store.top)

    def look(self) -> Tree:
        return read_tree(self.store.top)

    def checker(self, mutation: str) -> Checker:
        """Run the change once without any fault, to know what it must come to."""
        self.reset()
        _, before = seen_by_us(self.store)
        mutate(self.store, mutation, Files())
        _, after = seen_by_us(self.store)
        return Checker(
            store=self.store,
            before=facts(self.store, self.template),
            after=facts(self.store, self.look()),
            dangling=(before, after),
        )


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
