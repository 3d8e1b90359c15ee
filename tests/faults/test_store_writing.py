"""Every change, a part of the faults: each leaves the store as it was or as it shall be, and the next start ends it.

All of them, call by call: ``python -m tests.acceptance.faults.matrix --scale full``.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator

import pytest

from storaged.store.files import Files
from tests.acceptance.faults.calls import Intercepted, changes
from tests.acceptance.faults.campaign import (
    CODES,
    fail_and_try_again,
    fail_each_call,
    kill_at_each_call,
    lose_power,
    shorten_each_write,
)
from tests.acceptance.faults.judging import judge
from tests.acceptance.faults.kinds import KINDS
from tests.acceptance.faults.recovery import fail_recovery, kill_recovery
from tests.acceptance.faults.running import Bench, bench, calls_of, mutate, recover
from tests.acceptance.faults.tree import Tree, difference
from tests.acceptance.faults.victim import command
from tests.support.files import Call

CASES = [(driver, mutation) for mutation, kind in KINDS.items() for driver in kind.drivers]
CASES += [("vfs", "remove, under locks"), ("vfs", "prune, under locks")]
SOME = [
    ("overlay", "prune"),
    ("vfs", "remove"),
    ("overlay", "list add"),
    ("overlay", "list add, the first change"),
    ("overlay", "create"),
    ("overlay", "remove, under locks"),
    ("overlay", "list add, under locks"),
]
BESIDE = [("overlay", mutation) for mutation, kind in KINDS.items() if kind.deed is not None]


def _step(mutation: str, step: int) -> int:
    """Under locks a change reads all of the store once more, which leaves nothing."""
    return 2 * step if KINDS[mutation].under_locks else step


@pytest.fixture(scope="module")
def benches() -> Iterator[dict[str, Bench]]:
    with bench("overlay") as overlay, bench("vfs") as vfs:
        yield {"overlay": overlay, "vfs": vfs}


@pytest.mark.parametrize(("driver", "mutation"), CASES)
def test_failing_call_leaves_the_store_before_or_after(benches: dict[str, Bench], driver: str, mutation: str) -> None:
    code = CODES[CASES.index((driver, mutation)) % len(CODES)]
    tally = fail_each_call(benches[driver].of(mutation), mutation, code, step=_step(mutation, 7))
    assert tally.wrong == []
    assert tally.tried > 5


@pytest.mark.parametrize("mutation", ["list add, the first change", "list remove instance, under locks"])
def test_change_that_is_no_row_of_the_matrix_holds_after_each_of_its_calls(
    benches: dict[str, Bench], mutation: str
) -> None:
    where = benches["overlay"].of(mutation)
    tally = kill_at_each_call(where, mutation, changing=True)
    assert tally.wrong == []
    assert tally.tried == len([call for call in calls_of(where, mutation) if changes(call)])


@pytest.mark.parametrize(("driver", "mutation"), [*SOME, *BESIDE])
def test_short_write_on_a_full_disk_leaves_the_store_before_or_after(
    benches: dict[str, Bench], driver: str, mutation: str
) -> None:
    tally = shorten_each_write(benches[driver].of(mutation), mutation)
    assert tally.wrong == []
    assert tally.tried > 1


@pytest.mark.parametrize("mutation", ["list add", "remove, under locks, beside a pull"])
def test_disk_that_stays_full_leaves_the_store_before_or_after(benches: dict[str, Bench], mutation: str) -> None:
    tally = fail_each_call(benches["overlay"], mutation, errno.ENOSPC, step=_step(mutation, 5), times=10_000)
    assert tally.wrong == []
    assert tally.tried > 10


@pytest.mark.parametrize(("driver", "mutation"), SOME)
def test_change_that_failed_can_be_made_again_by_the_same_daemon(
    benches: dict[str, Bench], driver: str, mutation: str
) -> None:
    tally = fail_and_try_again(benches[driver].of(mutation), mutation, errno.EIO, step=7)
    assert tally.wrong == []
    assert tally.tried > 5


@pytest.mark.parametrize(("driver", "mutation"), CASES)
def test_killed_process_leaves_the_store_before_or_after(benches: dict[str, Bench], driver: str, mutation: str) -> None:
    tally = kill_at_each_call(benches[driver].of(mutation), mutation, step=_step(mutation, 9))
    assert tally.wrong == []
    assert tally.tried > 5


def test_kills_after_changing_calls_leave_every_state_that_any_kill_leaves(benches: dict[str, Bench]) -> None:
    where = benches["overlay"]
    every = kill_at_each_call(where, "tag, under locks", keep=True)
    some = kill_at_each_call(where, "tag, under locks", keep=True, changing=True)
    start = _shape(where.template)
    assert {_shape(tree) for tree in some.seen} | {start} == {_shape(tree) for tree in every.seen}
    assert 3 < some.tried < every.tried / 10


def _shape(tree: Tree) -> frozenset[tuple[str, int, bytes]]:
    """A tree without what chance decides: the ends of temporary names, and tokens."""
    return frozenset(
        (re.sub(r"-[0-9a-f]{8}$", "", path), entry.mode, b"" if path.endswith(".lock") else entry.data)
        for path, entry in tree.items()
    )


@pytest.mark.parametrize(("driver", "mutation"), SOME)
def test_really_killed_process_leaves_the_store_before_or_after(
    benches: dict[str, Bench], driver: str, mutation: str
) -> None:
    where = benches[driver].of(mutation)
    checker = where.checker(mutation)
    calls = len(calls_of(where, mutation))
    for number in (calls // 3, calls // 2, 2 * calls // 3, calls - 5):
        where.reset()
        done = subprocess.run(command(where.store, mutation, number), capture_output=True, text=True, check=False)
        assert done.returncode == -signal.SIGKILL, done.stderr
        assert judge(where, checker, where.look(), alive=True, ended=False) == []


@pytest.mark.parametrize(("driver", "mutation"), CASES)
def test_power_loss_leaves_the_store_before_or_after(benches: dict[str, Bench], driver: str, mutation: str) -> None:
    tally = lose_power(benches[driver].of(mutation), mutation, seed=1, most=80)
    assert tally.wrong == []
    assert tally.tried > 10


@pytest.mark.parametrize(("driver", "mutation"), SOME)
def test_killed_recovery_is_recovered_by_recovery(benches: dict[str, Bench], driver: str, mutation: str) -> None:
    tally = kill_recovery(benches[driver].of(mutation), mutation, step=61, within=31)
    assert tally.wrong == []
    assert tally.tried > 3


@pytest.mark.parametrize(("driver", "mutation"), SOME)
def test_failing_recovery_is_done_again_at_the_next_start(
    benches: dict[str, Bench], driver: str, mutation: str
) -> None:
    tally = fail_recovery(benches[driver].of(mutation), mutation, errno.EIO, step=61, within=31)
    assert tally.wrong == []
    assert tally.tried > 3


@pytest.mark.parametrize("mutation", KINDS)
def test_recovery_of_a_store_where_nothing_died_changes_nothing(benches: dict[str, Bench], mutation: str) -> None:
    where = benches["overlay"].of(mutation)
    where.reset()
    mutate(where.store, mutation, Intercepted())
    before = where.look()
    assert recover(where.store, Files()) == ()
    assert difference(before, where.look()) == []


# ---------------------------------------------------------------- the ways of a change under all locks


@pytest.mark.parametrize(
    ("mutation", "written", "dropped"),
    [
        ("remove", 2, 0),
        ("remove, under locks", 2, 0),
        ("prune, under locks", 2, 0),
        ("remove, under locks, beside a pull", 4, 2),
        ("remove, under locks, tagged meanwhile", 2, 2),
        ("prune, under locks, one tagged meanwhile", 4, 2),
    ],
)
def test_tables_of_layers_written_ahead_are_used_or_removed(
    benches: dict[str, Bench], mutation: str, written: int, dropped: int
) -> None:
    calls = calls_of(benches["overlay"], mutation)
    table = re.compile(r"\.tmp-layers\.json-storaged.*")
    made = [os.path.basename(str(call.arguments.get("path", call.arguments.get("source")))) for call in calls]
    found = Counter(call.name for call, name in zip(calls, made, strict=True) if table.fullmatch(name))
    assert (found["open"], found["unlink"], found["rename"]) == (written, dropped, written - dropped)
    first = next(place for place, name in enumerate(made) if table.fullmatch(name))
    assert first < _opened(calls, r".*-layers/layers\.lock")


@pytest.mark.parametrize(
    ("mutation", "foreseen"),
    [("list add, under locks", True), ("list add, under locks, named meanwhile", False)],
)
def test_lock_of_a_list_is_had_before_the_locks_of_the_store_where_its_edit_was_foreseen(
    benches: dict[str, Bench], mutation: str, foreseen: bool
) -> None:
    calls = calls_of(benches["overlay"], mutation)
    own, first = _opened(calls, r".*-locks/sha256:[0-9a-f]{64}"), _opened(calls, r".*-layers/layers\.lock")
    assert (own < first) is foreseen


def _opened(calls: list[Call], lock: str) -> int:
    """The place of the call that opens a lock file to hold it."""
    return next(
        place
        for place, call in enumerate(calls)
        if call.name == "open" and call.arguments["flags"] & os.O_RDWR and re.fullmatch(lock, call.arguments["path"])
    )
