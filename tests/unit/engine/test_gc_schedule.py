from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest

from storaged.engine.gc_schedule import SELDOM, GCSchedule


class Knot:
    """A value in a circle."""

    def __init__(self) -> None:
        self.me = self


def load_in_vain(kept: GCSchedule, made: list[object]) -> None:
    with kept.paused():
        made.extend([] for _ in range(1000))
        raise ValueError("torn")


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    yield
    gc.freeze()  # as tests/conftest.py has it
    gc.enable()


def test_nothing_is_put_aside_where_it_was_not_begun() -> None:
    gc.unfreeze()
    with GCSchedule().paused():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_a_process_that_does_not_collect_yet_does_not_begin_by_a_load() -> None:
    gc.disable()
    with GCSchedule().paused():
        pass
    assert not gc.isenabled()


def test_what_a_load_made_is_put_aside_even_where_it_failed() -> None:
    kept = GCSchedule()
    kept.begin()
    made: list[object] = []
    with pytest.raises(ValueError, match="torn"):
        load_in_vain(kept, made)
    assert gc.isenabled()
    assert {id(each) for each in made}.isdisjoint(map(id, gc.get_objects()))


def test_circles_made_between_two_loads_are_found_before_the_second() -> None:
    kept = GCSchedule()
    kept.begin()
    gc.disable()
    knot = weakref.ref(Knot())
    with kept.paused():
        assert knot() is None


def test_circles_that_were_there_when_a_load_ended_are_found_once_a_minute() -> None:
    now = [1000.0]
    kept = GCSchedule(lambda: now[0])
    kept.begin()
    with kept.paused():
        knot = weakref.ref(Knot())
    gc.collect()
    assert knot() is not None
    now[0] += SELDOM - 1
    with kept.paused():
        assert knot() is not None
    now[0] += 1
    with kept.paused():
        assert knot() is None


def test_a_hurried_load_looks_for_nothing() -> None:
    now = [1000.0]
    kept = GCSchedule(lambda: now[0])
    kept.begin()
    gc.disable()
    knot = weakref.ref(Knot())
    now[0] += SELDOM
    with kept.paused(hurried=True):
        assert knot() is not None
    with kept.paused():
        assert knot() is None
