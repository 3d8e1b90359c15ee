"""Budgets: what is spent is refused, the last place is for somebody who has none."""

from __future__ import annotations

import pytest

from storaged.metrics import Metrics
from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged_client.contract.errors import TooManyRequests


def test_the_last_connection_is_kept_for_another_uid() -> None:
    quotas = Quotas(Limits(connections=4, uid_connections=100), Metrics())
    for _ in range(3):
        quotas.enter(1000, 1)
    for pid in (1, 2):
        with pytest.raises(TooManyRequests):
            quotas.enter(1000, pid)
    quotas.enter(1001, 1)
    assert quotas.connections == 4
    with pytest.raises(TooManyRequests):
        quotas.enter(1002, 1)
    quotas.leave(1000, 1)
    quotas.enter(1002, 1)


def test_a_uid_has_its_own_limit_of_connections() -> None:
    quotas = Quotas(Limits(connections=100, uid_connections=2), Metrics())
    quotas.enter(1000, 1)
    quotas.enter(1000, 2)
    with pytest.raises(TooManyRequests) as caught:
        quotas.enter(1000, 3)
    assert caught.value.data == {"what": "connections", "limit": 2}
    quotas.enter(1001, 1)


def test_a_process_that_takes_all_it_can_get_leaves_one_connection_to_the_next_of_its_uid() -> None:
    quotas = Quotas(Limits(connections=100, uid_connections=4), Metrics())
    for _ in range(3):
        quotas.enter(1000, 1)
    with pytest.raises(TooManyRequests) as caught:
        quotas.enter(1000, 1)
    assert caught.value.data == {"what": "connections", "limit": 3}
    for _ in range(5):
        quotas.enter(1000, 2)
        quotas.leave(1000, 2)


def test_long_requests_leave_their_uid_room_for_a_sister() -> None:
    quotas = Quotas(Limits(in_flight_bytes=30, uid_request_bytes=100), Metrics())
    quotas.hold_request(7, 60, beside=0)
    with pytest.raises(TooManyRequests) as caught:
        quotas.hold_request(7, 20, beside=60)
    assert caught.value.data == {"what": "request_bytes", "limit": 70}
    quotas.hold_request(7, 20, beside=0)
    quotas.hold_request(8, 500, beside=0)
    quotas.free_request(7, 60)
    quotas.hold_request(7, 60, beside=0)


def test_an_answer_that_must_be_sent_is_counted_though_the_budget_is_spent() -> None:
    metrics = Metrics()
    quotas = Quotas(Limits(uid_bytes=100), metrics)
    quotas.hold(7, 100, beside=0)
    quotas.hold(7, 50, beside=100, insist=True)
    assert quotas.bytes == 150
    with pytest.raises(TooManyRequests):
        quotas.hold(7, 0, beside=150)
    assert metrics.counters["limits.uid_bytes"] == 1


def test_a_busy_connection_leaves_its_uid_room_for_a_sister() -> None:
    quotas = Quotas(Limits(in_flight=2, uid_in_flight=5), Metrics())
    for beside in range(3):
        quotas.begin(7, beside=beside)
    with pytest.raises(TooManyRequests):
        quotas.begin(7, beside=3)
    quotas.begin(7, beside=0)
    quotas.begin(7, beside=0)
    with pytest.raises(TooManyRequests):
        quotas.begin(7, beside=0)
    quotas.begin(8, beside=0)


def test_one_reply_larger_than_the_budget_still_gets_through_alone() -> None:
    quotas = Quotas(Limits(uid_bytes=100), Metrics())
    quotas.hold(7, 150, beside=0)
    with pytest.raises(TooManyRequests):
        quotas.hold(7, 1, beside=0)
    quotas.free(7, 150)
    quotas.hold(7, 100, beside=0)
    assert quotas.bytes == 100


def test_a_connection_with_unread_answers_leaves_room_for_a_long_one_to_a_sister() -> None:
    quotas = Quotas(Limits(uid_bytes=100, reply_bytes=30), Metrics())
    quotas.hold(7, 30, beside=0)
    quotas.hold(7, 40, beside=30)
    with pytest.raises(TooManyRequests) as caught:
        quotas.hold(7, 1, beside=70)
    assert caught.value.data == {"what": "bytes", "limit": 70}
    quotas.hold(7, 30, beside=0)
    with pytest.raises(TooManyRequests):
        quotas.hold(7, 1, beside=0)


def test_what_is_given_back_leaves_nothing_behind() -> None:
    metrics = Metrics()
    quotas = Quotas(Limits(connections=1), metrics)
    for uid in range(50):
        quotas.enter(uid, uid)
        quotas.begin(uid, beside=0)
        quotas.hold(uid, 10, beside=0)
        quotas.hold_request(uid, 10, beside=0)
        with pytest.raises(TooManyRequests):
            quotas.enter(uid + 1000, uid)
        quotas.free(uid, 10)
        quotas.free_request(uid, 10)
        quotas.end(uid)
        quotas.leave(uid, uid)
    assert (quotas.connections, quotas.in_flight, quotas.bytes, quotas.request_bytes) == (0, 0, 0, 0)
    assert not any(counts for counts in vars(quotas).values() if isinstance(counts, dict))
    assert metrics.counters["limits.connections"] == 50
