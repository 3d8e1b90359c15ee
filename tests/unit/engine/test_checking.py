"""The check on the loop: slices, progress, cancellation, and no descriptor left."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged.engine import checking
from storaged.engine.checking import Checker
from storaged.metrics import Metrics
from storaged.store.files import Files
from tests.unit.store.checking.damaged import Damaged, lay

pytestmark = pytest.mark.anyio


@pytest.fixture
def store(tmp_path: Path) -> Damaged:
    return lay(tmp_path, "overlay")


def _lose_link(store: Damaged) -> None:
    store.link(store.base["id"]).unlink()


def _lose_tar_splits(store: Damaged) -> None:
    for record in store.records("layers"):
        if record.get("diff-digest"):
            store.tar_split(record["id"]).unlink()


def _open_files(store: Damaged) -> list[str]:
    """What this process has open below the store."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{number}")
        except FileNotFoundError:
            continue
        if target.startswith(store.root):
            found.append(target)
    return found


async def test_a_whole_check_tells_its_progress_and_its_findings(store: Damaged) -> None:
    await run_sync(_lose_link, store)
    told: list[tuple[int, int]] = []
    checked = await Checker(store.location, Metrics()).run(progress=lambda done, total: told.append((done, total)))
    assert [each.name for each in checked.findings] == ["link_lost"]
    assert (checked.done, checked.resume, checked.unsettled) == (checked.total, None, ())
    assert told[-1] == (checked.total, checked.total)
    assert told == sorted(told)


async def test_slices_add_up(store: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_TURN", 0.0)
    await run_sync(_lose_link, store)
    checker = Checker(store.location, Metrics())
    checked = await checker.run(slice=1e-9)
    found = list(checked.findings)
    rounds = 1
    while checked.resume is not None:
        checked = await checker.run(slice=1e-9, resume=checked.resume)
        found += checked.findings
        rounds += 1
    assert [each.name for each in found] == ["link_lost"]
    assert rounds == checked.total


async def test_a_flood_of_findings_ends_the_slice(store: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_TURN", 0.0)
    monkeypatch.setattr(checking, "MOST_FINDINGS", 2)
    await run_sync(_lose_tar_splits, store)
    checked = await Checker(store.location, Metrics()).run()
    assert len(checked.findings) == 2
    assert checked.resume is not None


class _Waiting(Files):
    """Stops at the first listing until told to go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()
        self.listed = 0

    def listdir(self, path: str) -> list[str]:
        self.listed += 1
        self.reached.set()
        self.go_on.wait(20)
        return super().listdir(path)


async def test_a_cancelled_check_ends_after_the_turn_under_way_and_closes_all(
    store: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_TURN", 0.0)
    files = _Waiting()
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:

            async def check() -> None:
                await Checker(store.location, Metrics(), files).run(scope="contents")
                pytest.fail("the check was not cancelled")

            tasks.start_soon(check)
            await run_sync(files.reached.wait, 20)
            assert await run_sync(_open_files, store)
            tasks.cancel_scope.cancel()
            files.go_on.set()
    assert await run_sync(_open_files, store) == []
