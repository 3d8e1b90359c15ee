"""One attempt at a change, and what is done while the store's locks are held."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from storaged.engine.content import Contents
from storaged.engine.leases import Leases
from storaged.engine.loading import Current, Loader
from storaged.engine.transaction_attempt import TransactionAttempt
from storaged.snapshot.model import Snapshot
from storaged.store.changes import Change, ChangeSet, ImageEdit
from storaged.store.content import ContentReader
from storaged.store.layout import paths
from storaged.store.locks.order import holding
from storaged.store.stamp import Stamp
from storaged_client.contract.errors import ImageDamaged
from tests.support.ground import DRIVER, lay
from tests.unit.store.holding import held_elsewhere
from tests.unit.store.test_lock_queue import blocked, until


class _Watching(Loader):
    """Remembers whether a lock of the store was held when a commit was taken over."""

    held: bool | None = None

    def adopt(self, before: Stamp, stamp: Stamp, written: Mapping[str, bytes]) -> Current | None:
        self.held = holding()
        return super().adopt(before, stamp, written)


class _Counting(Loader):
    """Remembers what ``load_locked`` had still to decode and to build."""

    decoded: float | None = None
    forest_is_new: bool | None = None

    def load_locked(self) -> Current:
        assert holding()
        before, base = self._metrics.counters["records.decoded"], self._base
        current = super().load_locked()
        self.decoded = self._metrics.counters["records.decoded"] - before
        self.forest_is_new = base is None or current.snapshot.forest is not base.forest
        return current


def test_what_others_wrote_is_read_and_worked_out_before_the_locks_are_taken(tmp_path: Path) -> None:
    def plan(snapshot: Snapshot) -> ChangeSet[int]:
        return ChangeSet(change=Change(), result=len(snapshot.layers))

    with lay(tmp_path) as ground:
        loader = _Counting(ground.reader, Contents(ContentReader(ground.location, ground.metrics)), ground.metrics)
        first = loader.load(unproven=False, afresh=False, cancelled=lambda: False).snapshot
        layers = Path(paths.layers_json(ground.location.graphroot, DRIVER))
        layers.write_text(json.dumps([*json.loads(layers.read_bytes()), {"id": "f" * 64}]))
        attempts = TransactionAttempt(loader, ground.store_writer(), Leases(ground.metrics))
        done = attempts.under_locks(plan, time.monotonic() + 10, lambda: False)
        assert done.result == len(first.layers) + 1
        assert loader.decoded == 0
        assert loader.forest_is_new is False


def test_the_locks_are_given_back_before_the_new_snapshot_is_made(tmp_path: Path) -> None:
    held_while_planning: list[bool] = []

    def plan(snapshot: Snapshot) -> ChangeSet[str]:
        held_while_planning.append(holding())
        image = next(image for image in snapshot.images if not image.read_only)
        edit = ImageEdit(image=image.id, members={"names": ["localhost/new:1"]})
        return ChangeSet(change=Change(edits=(edit,)), result=image.id)

    with lay(tmp_path) as ground:
        loader = _Watching(ground.reader, Contents(ContentReader(ground.location, ground.metrics)), ground.metrics)
        loader.load(unproven=False, afresh=False, cancelled=lambda: False)
        attempts = TransactionAttempt(loader, ground.store_writer(), Leases(ground.metrics))
        done = attempts.under_locks(plan, time.monotonic() + 10, lambda: False)
        assert held_while_planning == [False, True]
        assert loader.held is False
        assert done.current is not None
        assert done.current.snapshot.by_name["localhost/new:1"].id == done.result


def test_the_change_is_foreseen_on_what_was_read_as_if_it_were_proven(tmp_path: Path) -> None:
    """Beside a writer nothing is proven, and then nothing dangles: a prune would be foreseen to do nothing."""
    seen: list[tuple[bool, list[str]]] = []

    def plan(snapshot: Snapshot) -> ChangeSet[None]:
        seen.append((holding(), [image.id for image in snapshot.images if image.dangling]))
        return ChangeSet(change=Change(), result=None)

    with lay(tmp_path) as ground:
        loader = Loader(ground.reader, Contents(ContentReader(ground.location, ground.metrics)), ground.metrics)
        loader.load(unproven=False, afresh=False, cancelled=lambda: False)
        attempts = TransactionAttempt(loader, ground.store_writer(), Leases(ground.metrics))
        attempts.under_locks(plan, time.monotonic() + 10, lambda: False)
    (before, foreseen), (under, dangling) = seen
    assert (before, under) == (False, True)
    assert foreseen == dangling != []


def test_a_list_that_was_not_expected_and_is_locked_is_waited_for_and_not_refused(tmp_path: Path) -> None:
    """What was read ahead may be half of an edit of podman's, which holds the list's own lock and waits for ours."""
    calls: list[bool] = []

    def plan(snapshot: Snapshot) -> ChangeSet[str]:
        calls.append(holding())
        if not holding():
            raise ImageDamaged("half written")
        image = next(image for image in snapshot.images if not image.read_only)
        edit = ImageEdit(image=image.id, members={"names": ["localhost/new:1"]})
        return ChangeSet(change=Change(edits=(edit,), editing=(image.id,)), result=image.id)

    with lay(tmp_path) as ground:
        loader = Loader(ground.reader, Contents(ContentReader(ground.location, ground.metrics)), ground.metrics)
        first = loader.load(unproven=False, afresh=False, cancelled=lambda: False).snapshot
        image = next(image for image in first.images if not image.read_only)
        lock = Path(paths.digest_lock(ground.location.runroot, DRIVER, image.id))
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        attempts = TransactionAttempt(loader, ground.store_writer(), Leases(ground.metrics))
        with held_elsewhere(str(lock)) as podman:
            assert podman.stdin is not None
            timer = threading.Timer(0.3, podman.stdin.close)
            timer.start()
            done = attempts.under_locks(plan, time.monotonic() + 20, lambda: False)
            timer.join()
    assert calls == [False, True, True]
    assert done.current is not None
    assert done.current.snapshot.by_name["localhost/new:1"].id == done.result


def test_reads_go_on_while_a_change_waits_for_the_lock_of_a_list(tmp_path: Path) -> None:
    """Podman may keep it for as long as it asks a registry."""

    def plan(snapshot: Snapshot) -> ChangeSet[str]:
        image = next(image for image in snapshot.images if not image.read_only)
        edit = ImageEdit(image=image.id, members={"names": ["localhost/new:1"]})
        return ChangeSet(change=Change(edits=(edit,), editing=(image.id,)), result=image.id)

    with lay(tmp_path) as ground:
        loader = Loader(ground.reader, Contents(ContentReader(ground.location, ground.metrics)), ground.metrics)
        first = loader.load(unproven=False, afresh=False, cancelled=lambda: False).snapshot
        lock = Path(paths.digest_lock(ground.location.runroot, DRIVER, plan(first).result))
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.touch()
        attempts = TransactionAttempt(loader, ground.store_writer(), Leases(ground.metrics))
        done: list[object] = []
        with held_elsewhere(str(lock)):
            change = threading.Thread(
                target=lambda: done.append(attempts.under_locks(plan, time.monotonic() + 60, lambda: False))
            )
            change.start()
            until(lambda: blocked(str(lock)) == 1)
            read = threading.Thread(
                target=lambda: loader.load(unproven=False, afresh=False, cancelled=lambda: False), daemon=True
            )
            read.start()
            read.join(10)
            reads_went_on = not read.is_alive()
        change.join(60)
    assert reads_went_on
    assert done
