"""Rows of a listing: what is encoded, and what that costs."""

import json
import sys
from collections.abc import Callable

from storaged.engine.row_cache import RowCache
from tests.support.stores import Store, config, family, missing


def calls(work: Callable[[], object]) -> int:
    """How many functions of Python are called."""
    count = 0

    def profile(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event == "call"

    sys.setprofile(profile)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def damaged() -> Store:
    store = family()
    store.image("torn", config=config(labels={"a": "b"}), damage=(missing(),))
    return store


def test_members_asked_for_are_those_of_the_whole_row() -> None:
    snapshot = damaged().snapshot()
    rows = RowCache(snapshot)
    whole = json.loads(b"".join(rows.parts(snapshot.images, None)))
    for name in whole[0]:
        assert json.loads(b"".join(rows.parts(snapshot.images, (name,)))) == [{name: row[name]} for row in whole]
    assert whole[-1]["damage"]["name"] == "manifest_missing"


def test_an_image_answers_with_some_of_its_names_where_only_those_were_asked_for() -> None:
    store = family()
    store.image("named", ("q.io/a:1", "q.io/b:1"), config=config())
    snapshot = store.snapshot()
    rows, named = RowCache(snapshot), snapshot.by_name["q.io/a:1"]
    whole = json.loads(b"".join(rows.parts(snapshot.images, None)))
    some = {id(named): ("q.io/b:1",)}
    assert json.loads(b"".join(rows.parts(snapshot.images, None, some))) == [
        {**row, "names": ["q.io/b:1"]} if row["id"] == named.id else row for row in whole
    ]
    assert json.loads(b"".join(rows.parts((named,), ("names",), some))) == [{"names": ["q.io/b:1"]}]
    assert json.loads(b"".join(rows.parts(snapshot.images, None))) == whole


def test_a_row_is_encoded_once_a_generation() -> None:
    snapshot = damaged().snapshot()
    rows = RowCache(snapshot)
    first = rows.parts(snapshot.images, None)
    again = calls(lambda: rows.parts(snapshot.images, None))
    assert again <= 3
    assert rows.parts(snapshot.images, None) == first


def test_narrow_rows_cost_no_more_calls_than_whole_ones_and_one_for_the_choice() -> None:
    snapshot = damaged().snapshot()
    whole = calls(lambda: RowCache(snapshot).parts(snapshot.images, None))
    narrow = calls(lambda: RowCache(snapshot).parts(snapshot.images, ("id", "names")))
    assert narrow <= whole + 4 * len(snapshot.images)
