"""One attempt at a change, and what is done while the store's locks are held."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from storaged.engine.attempts import Attempts
from storaged.engine.content import Contents
from storaged.engine.leases import Leases
from storaged.engine.loading import Current, Loader
from storaged.operations.planned import Planned
from storaged.snapshot.model import Snapshot
from storaged.store.changes import Change, ImageEdit
from storaged.store.content import ContentReader
from storaged.store.locks.order import holding
from storaged.store.stamp import Stamp
from tests.ground import lay


class _Watching(Loader):
    """Remembers whether a lock of the store was held when a commit was taken over."""

    held: bool | None = None

    def adopt(self, before: Stamp, stamp: Stamp, written: Mapping[str, bytes]) -> Current | None:
        self.held = holding()
        return super().adopt(before, stamp, written)


def test_the_locks_are_given_back_before_the_new_snapshot_is_made(tmp_path: Path) -> None:
    held_while_planning: list[bool] = []

    def plan(snapshot: Snapshot) -> Planned[str]:
        held_while_planning.append(holding())
        image = next(image for image in snapshot.images if not image.read_only)
        edit = ImageEdit(image=image.id, members={"names": ["localhost/new:1"]})
        return Planned(change=Change(edits=(edit,)), result=image.id)

    with lay(tmp_path) as ground:
        loader = _Watching(ground.reader, Contents(ContentReader(ground.location, ground.metrics)), ground.metrics)
        loader.load(unproven=False, afresh=False, cancelled=lambda: False)
        attempts = Attempts(loader, ground.store_writer(), Leases(ground.metrics))
        done = attempts.under_locks(plan, time.monotonic() + 10, lambda: False)
        assert held_while_planning == [True]
        assert loader.held is False
        assert done.current is not None
        assert done.current.snapshot.by_name["localhost/new:1"].id == done.result
