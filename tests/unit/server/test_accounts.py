"""Subordinate ids count as the user they were given to, and budgets of all users together leave room."""

from __future__ import annotations

from pathlib import Path

import pytest

from storaged.engine.tokens import crowded
from storaged.metrics import Metrics
from storaged.server.accounts import Accounts
from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged_client.contract.errors import TooManyRequests


@pytest.fixture
def subuid(tmp_path: Path) -> Path:
    return tmp_path / "subuid"


def read(file: Path) -> Accounts:
    accounts = Accounts(str(file))
    accounts.refresh()
    return accounts


def test_a_subordinate_id_counts_as_the_user_it_was_given_to(subuid: Path) -> None:
    subuid.write_text("1000:100000:65536\nroot:300000:10\n1001:165536:65536\n")
    accounts = read(subuid)
    told = [accounts.owner(uid) for uid in (0, 1000, 99999, 100000, 165535, 165536, 231071, 231072, 300009)]
    assert told == [0, 1000, 99999, 1000, 1000, 1001, 1001, 231072, 0]


def test_lines_that_say_nothing_are_left_out_and_overlaps_are_the_first_ones(subuid: Path) -> None:
    subuid.write_text("# 1\nx\n1000:10:0\n1000:a:5\nnobody-of-that-name:500:5\n1000:100:50\n1001:120:100\n1002:130:5\n")
    accounts = read(subuid)
    assert [accounts.owner(uid) for uid in (10, 500, 100, 149, 150, 219, 220)] == [10, 500, 1000, 1000, 1001, 1001, 220]


def test_a_file_that_changed_or_is_gone_is_heeded(subuid: Path) -> None:
    accounts = read(subuid)
    assert accounts.owner(100000) == 100000
    subuid.write_text("1000:100000:65536\n")
    accounts.refresh()
    assert accounts.owner(100000) == 1000
    subuid.unlink()
    accounts.refresh()
    assert accounts.owner(100000) == 100000


def quotas(**limits: int) -> Quotas:
    """Uids from 100000 on are subordinate to 1000; the daemon is 500's."""
    return Quotas(Limits(**limits), Metrics(), owner=lambda uid: 1000 if uid >= 100000 else uid, favoured=(0, 500))


def test_all_ids_of_a_user_have_the_budgets_of_one_and_leave_some_to_the_user() -> None:
    it = quotas(uid_connections=80, uid_in_flight=80, in_flight=1)
    for uid in range(100000, 100070):
        it.enter(uid, uid)
        it.begin(uid, beside=0)
    with pytest.raises(TooManyRequests):
        it.enter(100071, 1)
    with pytest.raises(TooManyRequests):
        it.begin(100000, beside=0)
    it.enter(1000, 1)
    it.begin(1000, beside=0)
    for uid in range(100000, 100070):
        it.end(uid)
        it.leave(uid, uid)
    assert (it.connections, it.in_flight) == (1, 1)


def test_whom_a_connection_counts_as_stays_while_it_lasts() -> None:
    owners = {7: 1000}
    it = Quotas(Limits(), Metrics(), owner=lambda uid: owners.get(uid, uid))
    it.enter(7, 1)
    it.hold(7, 100, beside=0)
    owners.clear()
    it.free(7, 100)
    it.leave(7, 1)
    assert (it.bytes, it.connections, it.account(7)) == (0, 0, 7)


def test_many_users_together_leave_room_to_root_and_the_own_user() -> None:
    it = quotas(connections=64, total_in_flight=64, total_bytes=800, total_request_bytes=800)
    for uid in range(2000, 2060):
        it.enter(uid, 1)
    with pytest.raises(TooManyRequests) as caught:
        it.enter(3000, 1)
    assert caught.value.data == {"what": "connections", "limit": 60}
    for uid in range(2000, 2056):
        it.begin(uid, beside=0)
    for uid in range(2000, 2007):
        it.hold(uid, 100, beside=0)
        it.hold_request(uid, 100, beside=0)
    for ask in (
        lambda uid: it.begin(uid, beside=0),
        lambda uid: it.hold(uid, 100, beside=0),
        lambda uid: it.hold_request(uid, 100, beside=0),
    ):
        with pytest.raises(TooManyRequests, match="of all users"):
            ask(2058)
    for uid in (0, 500):
        it.enter(uid, 1)
        it.begin(uid, beside=0)
    it.hold(0, 50, beside=0)
    it.hold_request(500, 50, beside=0)


def test_one_more_listing_costs_the_user_who_has_most() -> None:
    kept = [(f"a{number}", 1, False) for number in range(4)] + [("b", 2, False)]
    assert crowded(kept, 3, of_account=4, total=5) == ["a0"]
    assert crowded(kept, 3, of_account=4, total=6) == []
    assert crowded(kept, 1, of_account=4, total=9) == ["a0"]
    assert crowded([*kept[:2], ("a2", 1, True)], 1, of_account=3, total=9) == ["a2"]
    assert crowded([("b", 2, False)], 1, of_account=1, total=1) == ["b"]


def test_the_unit_allows_the_memory_that_the_limits_do() -> None:
    unit = (Path(__file__).parents[3] / "storaged/units/storaged.service").read_text()
    high = int(unit.partition("MemoryHigh=")[2].partition("M\n")[0]) << 20
    assert high == Limits().most_memory() + (512 << 20)
    assert f"{Limits().most_memory() >> 20} MiB" in unit
    assert high < (int(unit.partition("MemoryMax=")[2].partition("G\n")[0]) << 30)
