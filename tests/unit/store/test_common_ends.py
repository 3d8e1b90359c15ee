from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.errors import StoreCorrupt
from storaged.metrics import Metrics
from storaged.store.layout.common_ends import split_beside
from storaged.store.layout.table import emit, split
from storaged.store.reader import StoreReader
from tests.unit.store.builders import Disk, hexes

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
        return error.text


def records_beside(data: bytes, before: list[bytes]) -> list[bytes] | str:
    try:
        parts = split_beside(data, [(raw, None) for raw in before], file="t")
    except StoreCorrupt as error:
        return error.text
    return [*before[: parts.first], *parts.between, *before[len(before) - parts.last :]]


def compact(elements: list[object]) -> list[bytes]:
    return [json.dumps(each, separators=(",", ":"), ensure_ascii=False).encode() for each in elements]


@given(tables, tables, tables, tables)
def test_what_was_compared_and_what_was_split_are_the_table(
    start: list[object], old: list[object], new: list[object], end: list[object]
) -> None:
    before, now = compact([*start, *old, *end]), emit(compact([*start, *new, *end]))
    assert records_beside(now, before) == records(now)


@given(tables, st.integers(0, 60), st.integers(0, 3), st.lists(pieces, max_size=3))
def test_any_damage_to_a_known_table_is_seen_as_by_the_plain_split(
    old: list[object], at: int, length: int, put: list[bytes]
) -> None:
    before = compact(old)
    whole = emit(before)
    at = min(at, len(whole))
    damaged = whole[:at] + b"".join(put) + whole[at + length :]
    assert records_beside(damaged, before) == records(damaged)


@pytest.mark.parametrize("put", PIECES)
@pytest.mark.parametrize("length", [0, 1, 2])
def test_every_single_damage_to_a_table_is_seen_as_by_the_plain_split(put: bytes, length: int) -> None:
    before = compact([{}, 5, "a", [], {}, {"a": "b,{}"}, 5])
    whole = emit(before)
    for at in range(len(whole) + 1):
        damaged = whole[:at] + put + whole[at + length :]
        assert records_beside(damaged, before) == records(damaged), damaged


@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 1000])
@pytest.mark.parametrize("at", [0, 1, 127, 128, 500, 999, 1000])
def test_one_change_leaves_little_to_split_wherever_it_lies(count: int, at: int) -> None:
    before = compact([{"id": number} for number in range(count)])
    at = min(at, count)
    known = [(raw, None) for raw in before]
    added = split_beside(emit([*before[:at], b'{"id":-1}', *before[at:]]), known, file="t")
    assert list(added.between) == [b'{"id":-1}']
    assert (added.first, added.last) == (at, count - at)
    if at < count:
        dropped = split_beside(emit([*before[:at], *before[at + 1 :]]), known, file="t")
        assert len(dropped.between) <= (at in (0, count - 1))
        altered = split_beside(emit([*before[:at], b'{"id":-1}', *before[at + 1 :]]), known, file="t")
        assert list(altered.between) == [b'{"id":-1}']


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
    reader.close()
