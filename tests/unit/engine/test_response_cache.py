"""Answers that are kept: each to its own question, within the room there is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.engine.response_cache import ResponseCache, cache_key

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=6,
)


def same(one: object, other: object) -> bool:
    """As JSON tells values apart: ``1``, ``1.0`` and ``true`` are three."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return repr(one) == repr(other)  # 0.0 and -0.0 are two, too


@given(VALUES, VALUES)
def test_one_question_stands_for_one_value(one: object, other: object) -> None:
    assert (cache_key(0, "m", one) == cache_key(0, "m", other)) is same(one, other)


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), ("1", 1), ([], {}), (None, "None"), ("a', 'b", "a")])
def test_what_is_nearly_equal_is_another_question(one: object, other: object) -> None:
    assert cache_key(0, "m", {"x": one}) != cache_key(0, "m", {"x": other})


def test_the_method_and_the_circumstances_are_of_the_question() -> None:
    assert len({cache_key(0, "a", {}), cache_key(0, "b", {}), cache_key(1, "a", {})}) == 3


def test_a_question_is_short() -> None:
    assert cache_key(0, "m", {"name": "a" * 900}) is not None
    assert cache_key(0, "m", {"name": "a" * 1100}) is None
    assert cache_key(0, "m", {"a" * 1100: 1}) is None
    assert cache_key(0, "m", [0] * 1100) is None
    assert cache_key(0, "m", {"filters": [{"key": "label", "value": "a=b"}] * 3}) is not None
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert cache_key(0, "m", deep) is None


def asked(number: int) -> tuple[int, str, str]:
    return (0, "m", str(number))


def test_an_answer_is_found_by_its_question_alone() -> None:
    kept = ResponseCache()
    kept.keep(asked(1), b"one")
    kept.keep(asked(2), [b"t", b"wo"])
    assert (kept.find(asked(1)), kept.find(asked(2)), kept.find(asked(3))) == (b"one", [b"t", b"wo"], None)


def test_what_was_not_asked_for_longest_makes_room_and_one_that_is_too_long_takes_none() -> None:
    kept = ResponseCache(room=10_000)
    for number in range(100):
        kept.keep(asked(number), bytes(1000))
        assert kept.find(asked(0)) is not None
    found = [number for number in range(100) if kept.find(asked(number)) is not None]
    assert found == [0, *range(101 - len(found), 100)]
    assert 5 <= len(found) <= 9
    kept.keep(asked(100), [bytes(5000), bytes(6000)])
    assert [number for number in range(101) if kept.find(asked(number)) is not None] == found


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 4000)), max_size=60))
def test_no_more_is_kept_than_there_is_room_for(steps: list[tuple[int, int]]) -> None:
    kept = ResponseCache(room=8_000)
    for number, size in steps:
        kept.keep(asked(number), bytes(size))
        known = [answer for each in range(10) if (answer := kept.find(asked(each))) is not None]
        assert sum(map(len, known)) <= 8_000
