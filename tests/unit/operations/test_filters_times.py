"""``until``, ``since``, ``after`` and ``before``."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from storaged.operations.filters.times import moment
from tests.support.stores import AMD64, ARM64, Store, config, image_id
from tests.unit.operations.asking import choose, refused

NOW = datetime(2026, 6, 1, 12, 0, 0, 500000, tzinfo=timezone(timedelta(hours=2)))


def at(text: str) -> tuple[int, int]:
    whole, _, fraction = text.partition(".")
    return int(datetime.fromisoformat(f"{whole}+00:00").timestamp()), int(fraction.ljust(9, "0"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-02", "2026-01-01T22:00:00"),
        ("2026-01-02Z", "2026-01-02T00:00:00"),
        ("2026-01-02-05:30", "2026-01-02T05:30:00"),
        ("2026-01-02T15", "2026-01-02T13:00:00"),
        ("2026-01-02T7:05", "2026-01-02T05:05:00"),
        ("2026-01-02T15:04:05", "2026-01-02T13:04:05"),
        ("2026-01-02T15:04:05.000000001", "2026-01-02T13:04:05.000000001"),
        ("2026-01-02T15:04:05,25Z", "2026-01-02T15:04:05.25"),
        ("2026-01-02T15:04Z", "2026-01-02T15:04:00"),
        ("2024-02-29T00+01:00", "2024-02-28T23:00:00"),
        ("0", "1970-01-01T00:00:00"),
        ("1767369845", "2026-01-02T16:04:05"),
        ("+1767369845.5", "2026-01-02T16:04:05.5"),
        ("1h", "2026-06-01T09:00:00"),
        ("1h30m", "2026-06-01T08:30:00"),
        ("1.5h", "2026-06-01T08:30:00"),
        ("-90m", "2026-06-01T11:30:00"),
        ("+.5s", "2026-06-01T10:00:00"),
        ("501ms", "2026-06-01T09:59:59"),
        ("5.s", "2026-06-01T09:59:55"),
        ("1us2µs3μs4ns", "2026-06-01T10:00:00"),
    ],
)
def test_a_time_means_what_it_means_to_podman(text: str, expected: str) -> None:
    assert moment(text, NOW) == at(expected)


@pytest.mark.parametrize(
    "text",
    [
        *("", "now", "1d", "1h 2m", "1_000", "-5", "1.", ".5", "٣", "2026-1-2", "2026-13-01", "2026-02-29"),
        *("2026-01-02T24:00", "2026-01-02T23:60", "2026-01-02T23:59:60Z", "2026-01-02t15:04:05z", "2026-01-02 15:04"),
        *("9999999999h", "2026-01-02Z ", "2026-01-02T15:04:05.Z", "1" * 400, "9" * 400 + "h"),
    ],
)
def test_what_is_no_time_is_refused(text: str) -> None:
    error = refused(Store(), f"until={text}")
    assert error.data["path"] == "$.filters[0].value"
    assert '"until"' in error.message


def aged() -> Store:
    store = Store()
    store.image("a", ("q.io/a:1",), config=config(), created="2026-05-01T00:00:00Z")
    store.image("b", ("q.io/b:1",), config=config(), created="2026-05-01T02:00:00.000000001+02:00")
    store.image("c", ("q.io/c:1",), config=config(), created="2026-06-01T11:30:00Z")
    store.image("d", ("q.io/d:1",), config=config(), created="never")
    return store


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (("until=2026-05-01T00:00:00Z",), ""),
        (("until=2026-05-01T00:00:00.000000001Z",), "a"),
        (("until=2026-05-01T00:00:00.000000002Z",), "ab"),
        (("until=1h",), "ab"),
        (("until!=1h",), "c"),
        (("until!=2026-05-01T00:00:00.000000001Z", "until=1h"), "b"),
        (("before=q.io/b:1",), "a"),
        (("before!=q.io/b:1",), "bc"),
        (("since=q.io/a:1",), "bc"),
        (("after=a:1", "before=c:1"), "b"),
        ((f"since={image_id('b')[:8]}",), "c"),
    ],
)
def test_times_are_compared_to_the_nanosecond(filters: tuple[str, ...], expected: str) -> None:
    assert "".join(choose(aged(), *filters)) == expected


def test_an_image_whose_time_is_none_is_neither_old_nor_new() -> None:
    for asked in ("until=0", "until!=0", "since=q.io/a:1", "since!=q.io/a:1", "before=q.io/c:1", "before!=q.io/c:1"):
        assert "d" not in choose(aged(), asked)
    assert "cannot be read" in refused(aged(), "before=q.io/d:1").message


def test_a_list_means_its_instance_here() -> None:
    store = aged()
    store.list("list", ("q.io/list:1",), instances=(("c", ARM64), ("b", AMD64)))
    assert choose(store, "before=q.io/list:1") == ["a", "list"]


@pytest.mark.parametrize("key", ["before", "since", "after"])
def test_an_image_that_is_not_there_is_told_in_podmans_words(key: str) -> None:
    error = refused(aged(), "id!=x", f"{key}=q.io/none:1")
    assert error.message == f'could not find local image for filter "{key}"="q.io/none:1": q.io/none:1: image not known'
    assert error.data["path"] == "$.filters[1].value"


def test_a_day_without_a_zone_is_that_of_the_clock() -> None:
    store = Store()
    store.image("a", config=config(), created="2026-05-01T23:00:00Z")
    assert choose(store, "until=2026-05-02", now=datetime(2026, 6, 1, tzinfo=UTC)) == ["a"]
    assert choose(store, "until=2026-05-02", now=NOW) == []
