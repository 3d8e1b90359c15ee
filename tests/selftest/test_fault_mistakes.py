"""The harness finds mistakes in the real writer: in every way that a change comes about."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterator

import pytest

from tests.acceptance.faults.campaign import fail_each_call, kill_at_each_call, lose_power
from tests.acceptance.faults.mistakes import Hoarding, LateToken, Outdated, Unflushed
from tests.acceptance.faults.running import Bench, bench, calls_of, mutate


@pytest.fixture(scope="module")
def where() -> Iterator[Bench]:
    with bench("overlay") as overlay:
        yield overlay


@pytest.mark.parametrize(
    "mutation",
    [
        "tag",
        "remove",
        "list add",
        "tag, under locks",
        "remove, under locks",
        "remove, under locks, beside a pull",
        "prune, under locks, one tagged meanwhile",
        "list add, under locks",
        "list add, under locks, named meanwhile",
    ],
)
def test_token_after_the_table_is_found(where: Bench, mutation: str) -> None:
    first = _published(where, mutation, "images.json")
    # The late token is no call before its rename: that comes one earlier.
    tally = kill_at_each_call(where, mutation, first=first - 1, victim=LateToken, most=8)
    assert any("token was not renewed before" in each for each in tally.wrong)
    assert kill_at_each_call(where, mutation, first=first - 1, most=8).wrong == []


@pytest.mark.parametrize("mutation", ["remove, under locks, beside a pull", "prune, under locks, one tagged meanwhile"])
def test_table_written_ahead_and_used_though_another_is_needed_is_found(where: Bench, mutation: str) -> None:
    first = _published(where, mutation, "layers.json")
    tally = kill_at_each_call(where, mutation, first=first, victim=Outdated, most=4)
    found = re.compile("records of layers that stay are gone|stays and is flagged incomplete")
    assert any(found.search(each) for each in tally.wrong)
    assert kill_at_each_call(where, mutation, first=first, most=4).wrong == []


@pytest.mark.parametrize(
    "mutation",
    [
        "remove, under locks, beside a pull",
        "remove, under locks, tagged meanwhile",
        "prune, under locks, one tagged meanwhile",
    ],
)
def test_table_written_ahead_and_never_removed_is_found(where: Bench, mutation: str) -> None:
    tally = fail_each_call(where, mutation, errno.EIO, step=61, victim=Hoarding)
    assert any(re.search(r"\.tmp-layers\.json-storaged-.* was not removed", each) for each in tally.wrong)


def _published(where: Bench, mutation: str, table: str) -> int:
    """The number of the call that first puts a table in its place."""
    return next(
        number
        for number, call in enumerate(calls_of(where, mutation), 1)
        if call.name == "rename" and call.arguments["target"].endswith(f"/{table}")
    )


@pytest.mark.parametrize(
    ("mutation", "flushed", "which"),
    [
        ("tag", r"\.tmp-images\.json-storaged.*", 0),
        ("tag", r"\.tmp-images\.json\.before.*", 0),
        ("tag", r"overlay-images", 0),
        ("create", r"\.tmp-manifest-storaged.*", 0),
        ("create", r"[0-9a-f]{64}", 0),
        ("list add", r"\.tmp-journal.*", 0),
        ("list add", r"\.tmp-instances\.json.*", 0),
        ("list add", r"\.tmp-manifest-storaged.*", 0),
        ("list add", r"[0-9a-f]{64}", 0),
        ("list add", r"overlay-images", 0),
        ("list add, the first change", r"root", 0),
        ("remove", r"\.tmp-journal.*", 0),
        ("remove", r"\.tmp-images\.json-storaged.*", 0),
        ("remove", r"\.tmp-layers\.json-storaged.*", 0),
        ("remove", r"overlay-images", 0),
        ("remove", r"overlay", 0),
        # Written ahead, and used.
        ("remove, under locks", r"\.tmp-layers\.json-storaged.*", 0),
        ("remove, under locks", r"\.tmp-layers\.json-storaged.*", 1),
        ("remove, under locks", r"overlay-images", 0),
        # Written ahead in vain, and once more under the locks.
        ("remove, under locks, beside a pull", r"\.tmp-layers\.json-storaged.*", 2),
        ("remove, under locks, beside a pull", r"\.tmp-layers\.json-storaged.*", 3),
        ("prune, under locks, one tagged meanwhile", r"\.tmp-layers\.json-storaged.*", 2),
        ("prune, under locks, one tagged meanwhile", r"\.tmp-images\.json-storaged.*", 0),
        ("list add, under locks", r"\.tmp-journal.*", 0),
        ("list add, under locks", r"\.tmp-manifest-storaged.*", 0),
        ("list add, under locks, named meanwhile", r"\.tmp-manifest-storaged.*", 0),
    ],
)
def test_one_forgotten_flush_is_found(where: Bench, mutation: str, flushed: str, which: int) -> None:
    where = where.of(mutation)
    where.reset()
    complete = Unflushed(where.store.top, 0)
    mutate(where.store, mutation, complete)
    number = [
        number for number, path in enumerate(complete.flushed, 1) if re.fullmatch(flushed, os.path.basename(path))
    ][which]
    tally = lose_power(
        where,
        mutation,
        seed=1,
        most=500,
        recorder=lambda bench: Unflushed(bench.store.top, number),
        until_wrong=True,
    )
    assert tally.wrong != []
