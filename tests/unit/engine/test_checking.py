"""The check on the loop: slices, progress, cancellation, and no descriptor left."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged.engine import check_run, checking
from storaged.engine.checking import Checker
from storaged.metrics import Metrics
from tests.support.damaged import Damaged, lay
from tests.support.files import Call, FaultyFiles

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


class Gate:
    """Where a check stops until told to go on."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.go_on = threading.Event()

    def __call__(self, _: Call) -> None:
        self.reached.set()
        self.go_on.wait(20)


async def test_a_cancelled_check_ends_after_the_turn_under_way_and_closes_all(
    store: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_TURN", 0.0)
    gate = Gate()
    files = FaultyFiles("listdir", before=gate)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:

            async def check() -> None:
                await Checker(store.location, Metrics(), files).run(scope="contents")
                pytest.fail("the check was not cancelled")

            tasks.start_soon(check)
            await run_sync(gate.reached.wait, 20)
            assert await run_sync(_open_files, store)
            tasks.cancel_scope.cancel()
            gate.go_on.set()
    assert await run_sync(_open_files, store) == []


def opened(files: FaultyFiles, path: str) -> int:
    """How often a file was opened."""
    return sum(call.name == "open" and call.path == path for call in files.calls)


def _tar_split_of(store: Damaged) -> str:
    return str(store.tar_split(store.layer["id"]))


async def test_who_asks_while_a_check_is_under_way_joins_it(store: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_TURN", 0.0)
    await run_sync(_lose_link, store)
    gate = Gate()
    files = FaultyFiles("open listdir", before=lambda call: call.name == "listdir" and gate(call))
    checker = Checker(store.location, Metrics(), files)
    results: list[list[str]] = []

    async def ask(may_change: bool) -> None:
        checked = await checker.run(scope="contents", may_change=may_change)
        results.append([each.name for each in checked.findings])

    path = await run_sync(_tar_split_of, store)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(ask, True)
            await run_sync(gate.reached.wait, 20)
            for may_change in (False, True, False, True):
                tasks.start_soon(ask, may_change)
            await anyio.lowlevel.checkpoint()
            gate.go_on.set()
    assert results == [["link_lost"]] * 5
    alone = FaultyFiles("open")
    await Checker(store.location, Metrics(), alone).run(scope="contents")
    assert opened(files, path) == opened(alone, path)


async def test_who_joins_and_goes_away_ends_it_for_nobody_else(store: Damaged, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_TURN", 0.0)
    gate = Gate()
    files = FaultyFiles("open listdir", before=lambda call: call.name == "listdir" and gate(call))
    checker = Checker(store.location, Metrics(), files)
    done: list[int] = []

    async def ask() -> None:
        done.append((await checker.run(scope="contents")).done)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks, anyio.create_task_group() as leaving:
            leaving.start_soon(ask)
            await run_sync(gate.reached.wait, 20)
            tasks.start_soon(ask)
            await anyio.lowlevel.checkpoint()
            leaving.cancel_scope.cancel()
            gate.go_on.set()
    assert len(done) == 1
    assert await run_sync(_open_files, store) == []


async def test_a_reader_is_told_a_finished_result_and_its_age_and_who_may_change_gets_a_new_one(
    store: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FaultyFiles("open")
    checker = Checker(store.location, Metrics(), files)
    path = await run_sync(_tar_split_of, store)
    first = await checker.run(scope="contents")
    assert first.age == 0.0
    once = opened(files, path)
    await run_sync(_lose_link, store)
    kept = await checker.run(scope="contents", may_change=False)
    assert (kept.findings, kept.done, kept.total, kept.resume) == ((), first.done, first.total, None)
    assert kept.age > 0.0
    assert kept.begun >= kept.age
    assert opened(files, path) == once
    anew = await checker.run(scope="contents", may_change=True)
    assert [each.name for each in anew.findings] == ["link_lost"]
    assert opened(files, path) == 2 * once
    monkeypatch.setitem(checking.KEPT, "contents", -1.0)
    await checker.run(scope="contents", may_change=False)
    assert opened(files, path) == 3 * once


async def test_the_age_of_a_result_has_a_limit() -> None:
    assert max(checking.KEPT.values()) == 600.0


async def test_a_reader_that_asks_in_slices_or_by_any_token_has_nothing_read_again(
    store: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_TURN", 0.0)
    await run_sync(_lose_link, store)
    files = FaultyFiles("open")
    checker = Checker(store.location, Metrics(), files)
    path = await run_sync(_tar_split_of, store)
    tokens: list[str | None] = [None]
    found: list[str] = []
    while True:
        checked = await checker.run(scope="contents", slice=1e-9, resume=tokens[-1], may_change=False)
        found += [each.name for each in checked.findings]
        if checked.resume is None:
            break
        tokens.append(checked.resume)
    assert found == ["link_lost"]
    once = opened(files, path)
    alone = FaultyFiles("open")
    await Checker(store.location, Metrics(), alone).run(scope="contents")
    # A unit is never looked at from its beginning because a slice was over.
    assert once == opened(alone, path)
    for token in (None, *tokens[::7], "1.contents.2.0.0"):
        await checker.run(scope="contents", slice=1e-9, resume=token, may_change=False)
    assert opened(files, path) == once


async def test_a_token_ahead_of_the_run_waits_for_it_and_never_goes_back(
    store: Damaged, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checking, "_TURN", 0.0)
    checker = Checker(store.location, Metrics())
    await checker.run(scope="contents", slice=1e-9, may_change=False)
    token: str | None = "1.contents.4.0./"
    rounds = 0
    while token is not None:
        before = token
        token = (await checker.run(scope="contents", slice=1e-9, resume=token, may_change=False)).resume
        assert token is None or token >= before
        rounds += 1
    assert rounds > 10


@pytest.mark.parametrize("turn", [0.0, 60.0])
async def test_findings_beyond_what_is_kept_are_told_all_the_same(
    store: Damaged, monkeypatch: pytest.MonkeyPatch, turn: float
) -> None:
    monkeypatch.setattr(check_run, "MOST_KEPT", 2)
    monkeypatch.setattr(checking, "MOST_FINDINGS", 2)
    monkeypatch.setattr(checking, "_TURN", turn)
    await run_sync(_lose_tar_splits, store)
    checker = Checker(store.location, Metrics())
    resume, found = None, 0
    while True:
        checked = await checker.run(resume=resume)
        found += len(checked.findings)
        resume = checked.resume
        if resume is None:
            break
    lost = await run_sync(lambda: sum(bool(record.get("diff-digest")) for record in store.records("layers")))
    assert found == lost
