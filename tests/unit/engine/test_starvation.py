"""When a reload may take locks."""

from __future__ import annotations

from storaged.engine.starvation import AFTER, PAUSE, StarvationFallback


def test_a_wish_gives_way_to_writers_for_two_seconds_however_often_it_is_made() -> None:
    fallback = StarvationFallback()
    assert not fallback.due(1000.0)
    fallback.requested(1000.0)
    fallback.requested(1001.9)
    assert not fallback.due(1000.0 + AFTER - 0.01)
    assert fallback.due(1000.0 + AFTER)


def test_two_attempts_are_a_second_apart_whatever_becomes_of_the_wish() -> None:
    fallback = StarvationFallback()
    fallback.requested(0.0)
    fallback.tried(AFTER)
    assert not fallback.due(AFTER + PAUSE - 0.01)
    assert fallback.due(AFTER + PAUSE)
    fallback.done()
    assert not fallback.due(100.0)
    fallback.requested(100.0)
    assert not fallback.due(100.0)
