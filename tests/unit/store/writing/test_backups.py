"""Copies of tables before they change: which are made, and which stay as time goes by."""

from __future__ import annotations

import calendar
import os
import time
from pathlib import Path

import pytest
from msgspec import structs

from storaged.store.files import Files
from storaged.store.inventory import table_files
from storaged.store.layout.table import split
from storaged.store.writing.backup import Backups, surplus
from storaged.store.writing.preconditions import CurrentTable
from tests.unit.store.writing.workshop import Workshop, opened

MINUTE, HOUR, DAY, WEEK = 60, 3600, 86400, 7 * 86400
START = calendar.timegm((2026, 11, 1, 0, 0, 0))


class Desk:
    """Runs of a daemon over one table, on a clock of their own."""

    def __init__(self, shop: Workshop) -> None:
        self.now = float(START)
        self._shop = shop
        self._file = next(table for table in table_files(shop.location) if table.path == str(shop.images_json))
        self.folder = Path(shop.location.graphroot) / "storaged"
        self.run = self.start()

    def start(self) -> Backups:
        self.run = Backups(self._shop.location.graphroot, Files(), lambda: self.now)
        return self.run

    def change(self, data: bytes) -> None:
        """A copy before a change of a table that has this data; its file is of this clock's moment."""
        raws = tuple(split(data, file="t"))
        records = tuple(self._shop.images().values()) if raws else ()
        before = self._newest()
        self.run.keep(CurrentTable(file=self._file, data=data, raws=raws, records=records), needed=True)
        if self._newest() != before:
            os.utime(self.folder / "images.json.before", (self.now, self.now))

    def _newest(self) -> int | None:
        path = self.folder / "images.json.before"
        return path.stat().st_ino if path.exists() else None

    def copies(self) -> list[bytes]:
        """The newest first."""
        names = sorted(os.listdir(self.folder))
        assert all(name.startswith("images.json.before") for name in names)
        return [(self.folder / name).read_bytes() for name in [names[0], *reversed(names[1:])]]


@pytest.fixture
def desk(tmp_path: Path):
    with opened(tmp_path) as shop:
        yield Desk(shop)


def test_the_next_run_keeps_the_copy_of_the_one_before(desk: Desk) -> None:
    desk.change(b"[1]")
    desk.now += 10 * MINUTE
    desk.start()
    desk.change(b"[2]")
    assert desk.copies() == [b"[2]", b"[1]"]


def test_what_was_lost_can_be_had_a_week_later_however_many_runs_there_were_since(desk: Desk) -> None:
    desk.change(b"[1,2,3]")
    # Emptied by another tool, and filled again by run after run.
    for number in range(7 * 24):
        desk.now += HOUR
        desk.start()
        desk.change(b"[%d]" % number)
    assert b"[1,2,3]" in desk.copies()
    assert len(desk.copies()) <= 7


def test_a_long_run_makes_a_copy_an_hour_and_none_between(desk: Desk) -> None:
    desk.change(b"[1]")
    desk.now += 59 * MINUTE
    desk.change(b"[2]")
    assert desk.copies() == [b"[1]"]
    desk.now += MINUTE
    desk.change(b"[3]")
    assert desk.copies() == [b"[3]", b"[1]"]


def test_an_emptied_table_is_not_copied_nor_what_this_run_adds_to_it(desk: Desk) -> None:
    desk.change(b"[1]")
    desk.now += DAY
    desk.start()
    desk.change(b"[]")
    desk.now += DAY
    desk.change(b"[2]")
    assert desk.copies() == [b"[1]"]


def test_a_clock_that_was_put_back_loses_no_copy(desk: Desk) -> None:
    desk.change(b"[1]")
    desk.now -= DAY
    desk.change(b"[2]")
    desk.start()
    desk.now += 1
    desk.change(b"[3]")
    assert b"[1]" in desk.copies()
    assert desk.copies()[0] == b"[3]"


def test_a_volatile_table_has_no_copy(desk: Desk) -> None:
    volatile = structs.replace(desk._file, volatile=True)
    desk.run.keep(CurrentTable(file=volatile, data=b"[1]", raws=(b"1",), records=(1,)), needed=True)
    assert not desk.folder.exists()


def _name(moment: float) -> str:
    return "images.json.before-" + time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment))


@pytest.mark.parametrize("every", [10 * MINUTE, HOUR, 5 * HOUR, DAY, 3 * DAY])
def test_of_all_ages_one_stays_and_of_none_many(every: int) -> None:
    names: list[str] = []
    now = float(START)
    for _ in range(40 * DAY // every):
        names.append(_name(now))
        now += every
        gone = surplus(names, "images.json.before", now)
        names = [name for name in names if name not in gone]
        ages = [now - calendar.timegm(time.strptime(name[-16:], "%Y%m%dT%H%M%SZ")) for name in names]
        assert len(names) <= 6
        if now - START > 2 * WEEK + every:
            assert any(WEEK <= age <= 2 * WEEK + every for age in ages)
            assert any(DAY <= age <= 2 * (DAY + every) for age in ages)
            assert any(HOUR <= age <= 2 * (HOUR + every) for age in ages)


def test_other_files_are_left_alone() -> None:
    names = [
        "daemon.lock",
        "layers.json.before-20260101T000000Z",
        "images.json.before",
        "images.json.before-x",
        "images.json.before-20261399T000000Z",
        ".tmp-images.json.before-storaged-" + "0" * 32 + "-00000000",
    ]
    assert surplus(names, "images.json.before", START) == []
