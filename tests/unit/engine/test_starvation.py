"""When a reload may take locks."""

from __future__ import annotations

from storaged.engine.starvation import AFTER, PAUSE, StarvationFallback


def test_a_wish_gives_way_to_writers_for_two_seconds_however_often_it_is_made() -> None:
    insistence = StarvationFallback()
    assert not insistence.due(1000.0)
    insistence.wished(1000.0)
    insistence.wished(1001.9)
    assert not insistence.due(1000.0 + AFTER - 0.01)
    assert insistence.due(1000.0 + AFTER)


def test_two_attempts_are_a_second_apart_whatever_becomes_of_the_wish() -> None:
    insistence = StarvationFallback()
    insistence.wished(0.0)
    insistence.insisted(AFTER)
    assert not insistence.due(AFTER + PAUSE - 0.01)
    assert insistence.due(AFTER + PAUSE)
    insistence.fulfilled()
    assert not insistence.due(100.0)
    insistence.wished(100.0)
    assert not insistence.due(100.0)
