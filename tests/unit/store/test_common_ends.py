from __future__ import annotations

import json
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.metrics import Metrics
from storaged.store.layout.common_ends import RUN, Run, split_beside
from storaged.store.layout.table import emit, split
from storaged.store.reader import StoreReader
from storaged_client.contract.errors import StoreCorrupt
from tests.support.disk import Disk, hexes

values = (
    st.integers(0, 120)
    | st.sampled_from(["", "a", ",", "]", '"', "é"])
    | st.sampled_from([{}, [], None, {"a": "b,{}"}, {"a": [1, {}]}, [[1], "2"]])
)
tables = st.lists(values, max_size=8)
PIECES = [b",", b"[", b"]", b"}", b"{}", b'"', b" ", b"1", b"null", b'"a"', b"\xff", b'"\\ud800"', b""]
pieces = st.sampled_from(PIECES)


def records(data: bytes) -> list[bytes] | str:
    try:
        return split(data, file="t")
    except StoreCorrupt as error:
        return error.message


def runs_of(before: list[bytes], length: int = RUN) -> list[Run]:
    """The runs of a table of these records; shorter ones, so that small tables have many."""
    found: list[Run] = []
    for at in range(0, len(before), length):
        found += split_beside(emit(before[at : at + length]), (), file="t").runs(())
    return found


def records_beside(data: bytes, before: list[bytes], length: int = 1) -> list[bytes] | str:
    try:
        parts = split_beside(data, runs_of(before, length), file="t")
    except StoreCorrupt as error:
        return error.message
    found = [*before[: parts.first], *parts.between, *before[len(before) - parts.last :]]
    runs = parts.runs(())
    assert sum(run.count for run in runs) == len(found)
    # What is known of the new table finds all of it again, but for a single run that stands alone.
    if data == emit(found) and len(runs) > 1:
        again = split_beside(data, runs, file="t")
        assert (again.between, again.first + again.last) == ([], len(found))
    return found


def compact(elements: list[object]) -> list[bytes]:
    return [json.dumps(each, separators=(",", ":"), ensure_ascii=False).encode() for each in elements]


@given(tables, tables, tables, tables, st.integers(1, 4))
def test_what_was_compared_and_what_was_split_are_the_table(
    start: list[object], old: list[object], new: list[object], end: list[object], run: int
) -> None:
    before, now = compact([*start, *old, *end]), emit(compact([*start, *new, *end]))
    assert records_beside(now, before, run) == records(now)


@given(tables, st.integers(0, 60), st.integers(0, 3), st.lists(pieces, max_size=3), st.integers(1, 4))
def test_any_damage_to_a_known_table_is_seen_as_by_the_plain_split(
    old: list[object], at: int, length: int, put: list[bytes], run: int
) -> None:
    before = compact(old)
    whole = emit(before)
    at = min(at, len(whole))
    damaged = whole[:at] + b"".join(put) + whole[at + length :]
    assert records_beside(damaged, before, run) == records(damaged)


@pytest.mark.parametrize("put", PIECES)
@pytest.mark.parametrize("length", [0, 1, 2])
def test_every_single_damage_to_a_table_is_seen_as_by_the_plain_split(put: bytes, length: int) -> None:
    before = compact([{}, 5, "a", [], {}, {"a": "b,{}"}, 5])
    whole = emit(before)
    for at in range(len(whole) + 1):
        damaged = whole[:at] + put + whole[at + length :]
        assert records_beside(damaged, before) == records(damaged), damaged


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 1000])
@pytest.mark.parametrize("at", [0, 1, 63, 64, 500, 999, 1000])
def test_one_change_leaves_little_to_split_wherever_it_lies(count: int, at: int) -> None:
    before = compact([{"id": number} for number in range(count)])
    at = min(at, count)
    tables = [
        [*before[:at], b'{"id":-1}', *before[at:]],
        [*before[:at], *before[at + 1 :]],
        [*before[:at], b'{"id":-1}', *before[at + 1 :]],
    ]
    for table in tables:
        found = split_beside(emit(table), runs_of(before), file="t")
        assert [*before[: found.first], *found.between, *before[count - found.last :]] == table
        assert len(found.between) <= RUN + 1


def test_however_many_changes_came_the_runs_are_few() -> None:
    random = Random(1)
    table: list[bytes] = []
    runs: tuple[Run, ...] = ()
    for number in range(2000):
        if table and random.random() < 0.3:
            del table[random.randrange(len(table))]
        else:
            table.insert(random.choice((len(table), random.randrange(len(table) + 1))), b"%d" % number)
        parts = split_beside(emit(table), runs, file="t")
        assert len(parts.between) <= 2 * RUN
        runs = parts.runs(())
        assert sum(run.count for run in runs) == len(table)
    assert len(runs) <= 2 * len(table) / RUN + 2


def test_a_record_of_which_nothing_was_kept_is_met_again_each_time() -> None:
    table = compact([{"id": number} for number in range(300)])
    runs = split_beside(emit(table), (), file="t").runs({150})
    assert sum(run.count for run in runs) == 299
    parts = split_beside(emit(table), runs, file="t")
    assert table[150] in parts.between
    assert [*table[: parts.first], *parts.between, *table[300 - parts.last :]] == table
    assert parts.last > 0


def test_a_reload_takes_over_the_rows_around_a_change_in_their_order(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.locks()
    table: list[dict[str, object]] = [{"id": hexes(number)} for number in range(300)]
    disk.write("layers", table)
    metrics = Metrics()
    reader = StoreReader(disk.location, metrics=metrics)
    first = reader.load().tables.layers
    table[150:152] = [{"id": hexes(1000)}, {"id": "no id"}, {"id": hexes(1001)}]
    disk.write("layers", table)
    second = reader.load()
    assert [row.record.id for row in second.tables.layers] == [row["id"] for row in table if row["id"] != "no id"]
    assert second.decoded == 3
    assert [flaw.index for flaw in second.tables.flaws] == [151]
    assert all(a is b for a, b in zip(first[:150], second.tables.layers[:150], strict=True))
    assert all(a is b for a, b in zip(first[152:], second.tables.layers[152:], strict=True))
    table[151:152] = []
    disk.write("layers", table)
    third = reader.load()
    assert [row.record.id for row in third.tables.layers] == [row["id"] for row in table]
    assert third.tables.flaws == ()
    assert third.decoded == 0
    assert all(a is b for a, b in zip(second.tables.layers, third.tables.layers, strict=True))
    reader.close()


def test_a_flag_that_became_true_is_seen_beside_one_that_equals_it(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    disk.locks()
    disk.write("layers", [{"id": hexes(1), "flags": {"incomplete": 1}}, {"id": hexes(2)}])
    reader = StoreReader(disk.location, metrics=Metrics())
    assert not reader.load().tables.layers[0].record.incomplete
    disk.write("layers", [{"id": hexes(1), "flags": {"incomplete": True}}, {"id": hexes(2)}])
    assert reader.load().tables.layers[0].record.incomplete
    reader.close()
