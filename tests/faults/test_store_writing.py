"""Every change, a part of the faults: each leaves the store as it was or as it shall be, and the next start ends it.

All of them, call by call: ``python -m tests.faults.matrix --scale full``.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
from collections.abc import Iterator

import pytest

from storaged.store.files import Files

from .calls import Counting
from .campaign import (
    CODES,
    fail_and_try_again,
    fail_each_call,
    judge,
    kill_at_each_call,
    lose_power,
    shorten_each_write,
)
from .mistakes import LateToken, Unflushed
from .recovery import fail_recovery, kill_recovery
from .running import Bench, bench, mutate, recover
from .scenes import LAYERS_GO, MUTATIONS
from .tree import difference
from .victim import command

CASES = [("overlay", mutation) for mutation in MUTATIONS] + [("vfs", mutation) for mutation in sorted(LAYERS_GO)]
SOME = [("overlay", "prune"), ("vfs", "remove"), ("overlay", "list add"), ("overlay", "create")]


@pytest.fixture(scope="module")
def benches() -> Iterator[dict[str, Bench]]:
    with bench("overlay") as overlay, bench("vfs") as vfs:
        yield {"overlay": overlay, "vfs": vfs}


@pytest.mark.parametrize(("driver", "mutation"), CASES)
def test_failing_call_leaves_the_store_before_or_after(benches: dict[str, Bench], driver: str, mutation: str) -> None:
    code = CODES[CASES.index((driver, mutation)) % len(CODES)]
    tally = fail_each_call(benches[driver], mutation, code, step=7)
    assert tally.wrong == []
    assert tally.tried > 10


@pytest.mark.parametrize(("driver", "mutation"), SOME)
def test_short_write_on_a_full_disk_leaves_the_store_before_or_after(
    benches: dict[str, Bench], driver: str, mutation: str
) -> None:
    tally = shorten_each_write(benches[driver], mutation)
    assert tally.wrong == []
    assert tally.tried > 3


def test_disk_that_stays_full_leaves_the_store_before_or_after(benches: dict[str, Bench]) -> None:
    tally = fail_each_call(benches["overlay"], "list add", errno.ENOSPC, step=5, times=10_000)
    assert tally.wrong == []
    assert tally.tried > 10


@pytest.mark.parametrize(("driver", "mutation"), SOME)
def test_change_that_failed_can_be_made_again_by_the_same_daemon(
    benches: dict[str, Bench], driver: str, mutation: str
) -> None:
    tally = fail_and_try_again(benches[driver], mutation, errno.EIO, step=7)
    assert tally.wrong == []
    assert tally.tried > 5


@pytest.mark.parametrize(("driver", "mutation"), CASES)
def test_killed_process_leaves_the_store_before_or_after(benches: dict[str, Bench], driver: str, mutation: str) -> None:
    tally = kill_at_each_call(benches[driver], mutation, step=9)
    assert tally.wrong == []
    assert tally.tried > 10


@pytest.mark.parametrize(("driver", "mutation"), SOME)
def test_really_killed_process_leaves_the_store_before_or_after(
    benches: dict[str, Bench], driver: str, mutation: str
) -> None:
    where = benches[driver]
    checker = where.checker(mutation)
    where.reset()
    counting = Counting()
    mutate(where.store, mutation, counting)
    calls = len(counting.made)
    for number in (calls // 3, calls // 2, 2 * calls // 3, calls - 5):
        where.reset()
        done = subprocess.run(command(where.store, mutation, number), capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert judge(where, checker, where.look(), alive=True, ended=False) == []


@pytest.mark.parametrize(("driver", "mutation"), CASES)
def test_power_loss_leaves_the_store_before_or_after(benches: dict[str, Bench], driver: str, mutation: str) -> None:
    tally = lose_power(benches[driver], mutation, seed=1, most=80)
    assert tally.wrong == []
    assert tally.tried > 20


@pytest.mark.parametrize(("driver", "mutation"), SOME)
def test_killed_recovery_is_recovered_by_recovery(benches: dict[str, Bench], driver: str, mutation: str) -> None:
    tally = kill_recovery(benches[driver], mutation, step=61, within=31)
    assert tally.wrong == []
    assert tally.tried > 3


@pytest.mark.parametrize(("driver", "mutation"), SOME)
def test_failing_recovery_is_done_again_at_the_next_start(
    benches: dict[str, Bench], driver: str, mutation: str
) -> None:
    tally = fail_recovery(benches[driver], mutation, errno.EIO, step=61, within=31)
    assert tally.wrong == []
    assert tally.tried > 3


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_recovery_of_a_store_where_nothing_died_changes_nothing(benches: dict[str, Bench], mutation: str) -> None:
    where = benches["overlay"]
    where.reset()
    mutate(where.store, mutation, Files())
    before = where.look()
    assert recover(where.store, Files()) == ()
    assert difference(before, where.look()) == []


# ---------------------------------------------------------------- the harness finds mistakes in the real writer


@pytest.mark.parametrize("mutation", ["tag", "remove", "list add"])
def test_token_after_the_table_is_found(benches: dict[str, Bench], mutation: str) -> None:
    where = benches["overlay"]
    where.reset()
    counting = Counting()
    mutate(where.store, mutation, counting)
    published = [
        number
        for number, call in enumerate(counting.made, 1)
        if call.name == "rename" and call.arguments["target"].endswith("/images.json")
    ]
    # The late token is no call before its rename: that comes one earlier.
    tally = kill_at_each_call(where, mutation, first=published[0] - 1, victim=LateToken, most=8)
    assert any("token was not renewed before" in each for each in tally.wrong)
    assert kill_at_each_call(where, mutation, first=published[0] - 1, most=8).wrong == []


@pytest.mark.parametrize(
    ("mutation", "flushed"),
    [
        ("tag", r"\.tmp-images\.json-storaged.*"),
        ("tag", r"\.tmp-images\.json\.before.*"),
        ("tag", r"overlay-images"),
        ("create", r"\.tmp-manifest-storaged.*"),
        ("create", r"[0-9a-f]{64}"),
        ("list add", r"\.tmp-journal.*"),
        ("list add", r"\.tmp-instances\.json.*"),
        ("list add", r"\.tmp-manifest-storaged.*"),
        ("list add", r"[0-9a-f]{64}"),
        ("list add", r"overlay-images"),
        ("remove", r"\.tmp-journal.*"),
        ("remove", r"\.tmp-images\.json-storaged.*"),
        ("remove", r"\.tmp-layers\.json-storaged.*"),
        ("remove", r"overlay-images"),
        ("remove", r"overlay"),
    ],
)
def test_one_forgotten_flush_is_found(benches: dict[str, Bench], mutation: str, flushed: str) -> None:
    where = benches["overlay"]
    where.reset()
    complete = Unflushed(where.store.top, 0)
    mutate(where.store, mutation, complete)
    number = next(
        number for number, path in enumerate(complete.flushed, 1) if re.fullmatch(flushed, os.path.basename(path))
    )
    tally = lose_power(
        where,
        mutation,
        seed=1,
        most=500,
        recorder=lambda bench: Unflushed(bench.store.top, number),
        until_wrong=True,
    )
    assert tally.wrong != []
