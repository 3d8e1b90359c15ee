"""Budgets: what is spent is refused, the last place is for somebody who has none."""

from __future__ import annotations

import pytest

from storaged.metrics import Metrics
from storaged.server.guard import Guard, Limits
from storaged_client.contract.errors import TooManyRequests


def test_the_last_connection_is_kept_for_another_uid() -> None:
    guard = Guard(Limits(connections=4, uid_connections=100), Metrics())
    for _ in range(3):
        guard.enter(1000)
    with pytest.raises(TooManyRequests):
        guard.enter(1000)
    guard.enter(1001)
    assert guard.connections == 4
    with pytest.raises(TooManyRequests):
        guard.enter(1002)
    guard.leave(1000)
    guard.enter(1002)


def test_a_uid_has_its_own_limit_of_connections() -> None:
    guard = Guard(Limits(connections=100, uid_connections=2), Metrics())
    guard.enter(1000)
    guard.enter(1000)
    with pytest.raises(TooManyRequests) as caught:
        guard.enter(1000)
    assert caught.value.data == {"what": "connections", "limit": 2}
    guard.enter(1001)


def test_a_busy_connection_leaves_its_uid_room_for_a_sister() -> None:
    guard = Guard(Limits(in_flight=2, uid_in_flight=5), Metrics())
    for beside in range(3):
        guard.begin(7, beside=beside)
    with pytest.raises(TooManyRequests):
        guard.begin(7, beside=3)
    guard.begin(7, beside=0)
    guard.begin(7, beside=0)
    with pytest.raises(TooManyRequests):
        guard.begin(7, beside=0)
    guard.begin(8, beside=0)


def test_one_reply_larger_than_the_budget_still_gets_through_alone() -> None:
    guard = Guard(Limits(uid_bytes=100), Metrics())
    guard.hold(7, 150, beside=0)
    with pytest.raises(TooManyRequests):
        guard.hold(7, 1, beside=0)
    guard.free(7, 150)
    guard.hold(7, 100, beside=0)
    assert guard.bytes == 100


def test_a_connection_with_unread_answers_leaves_room_for_a_long_one_to_a_sister() -> None:
    guard = Guard(Limits(uid_bytes=100, reply_bytes=30), Metrics())
    guard.hold(7, 30, beside=0)
    guard.hold(7, 40, beside=30)
    with pytest.raises(TooManyRequests) as caught:
        guard.hold(7, 1, beside=70)
    assert caught.value.data == {"what": "bytes", "limit": 70}
    guard.hold(7, 30, beside=0)
    with pytest.raises(TooManyRequests):
        guard.hold(7, 1, beside=0)


def test_what_is_given_back_leaves_nothing_behind() -> None:
    metrics = Metrics()
    guard = Guard(Limits(connections=1), metrics)
    for uid in range(50):
        guard.enter(uid)
        guard.begin(uid, beside=0)
        guard.hold(uid, 10, beside=0)
        with pytest.raises(TooManyRequests):
            guard.enter(uid + 1000)
        guard.free(uid, 10)
        guard.end(uid)
        guard.leave(uid)
    assert (guard.connections, guard.in_flight, guard.bytes) == (0, 0, 0)
    assert not any(vars(guard)[name] for name in ("_connections", "_in_flight", "_bytes"))
    assert metrics.counters["refused.connections"] == 50
