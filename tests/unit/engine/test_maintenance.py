"""What a daemon does besides answering, on a real store and a machine that refuses it for a while."""

from __future__ import annotations

import errno
import logging
import os
import threading
from pathlib import Path

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged.engine import maintenance as module
from storaged.engine.maintenance import Maintenance
from storaged.store.files import Files
from storaged.store.writing.recovery import Recovery
from storaged.store.writing.reserve import INODES, Reserve
from tests.support.ground import Ground, transactions_of

pytestmark = pytest.mark.anyio


class Refusals:
    """A store that may be written, of which the machine says so only after a few refusals."""

    def __init__(self, number: int, error: Exception) -> None:
        self.left = number
        self._error = error
        self.refused = threading.Event()

    def __call__(self) -> str | None:
        if self.left:
            self.left -= 1
            self.refused.set()
            raise self._error
        return None


def upkeep_of(ground: Ground, writable: Refusals) -> Maintenance:
    files = Files()
    return Maintenance(
        transactions_of(ground),
        ground.cache,
        Recovery(ground.location, ground.store_writer(), metrics=ground.metrics, files=files),
        Reserve(ground.location, files=files),
        ground.metrics,
        why_not_writable=writable,
        at_once=lambda: True,
    )


async def test_what_the_machine_refuses_is_tried_again_until_it_is_done(
    ground: Ground, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.01)
    refusals = Refusals(3, OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/proc/self"))
    with anyio.fail_after(30):
        await upkeep_of(ground, refusals).run()
    told = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [("Too many open files" in record.getMessage(), record.exc_info) for record in told] == [(True, None)] * 3
    reserve = Path(ground.location.graphroot, "storaged", "reserve.d")
    assert len(await run_sync(os.listdir, reserve)) == INODES
    assert ground.metrics.counters["upkeep.ended"] == 1


async def test_a_mistake_of_ours_ends_it_and_is_told_with_its_place(
    ground: Ground, caplog: pytest.LogCaptureFixture
) -> None:
    with anyio.fail_after(30):
        await upkeep_of(ground, Refusals(1, ValueError("no such thing"))).run()
    [record] = [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert record.exc_info is not None
    assert ground.metrics.counters["upkeep.ended"] == 1


async def test_while_it_waits_to_try_again_it_can_be_ended(ground: Ground) -> None:
    refusals = Refusals(1000, OSError(errno.EMFILE, os.strerror(errno.EMFILE)))
    upkeep = upkeep_of(ground, refusals)
    with anyio.fail_after(30):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(upkeep.run)
            await run_sync(refusals.refused.wait)
            tasks.cancel_scope.cancel()
    assert ground.metrics.counters["upkeep.ended"] == 0
