"""One line in the log for every mutation, whatever became of it."""

from __future__ import annotations

import io
import logging
import re

import anyio
import pytest

from storaged.logs import Lines, Throttled
from storaged.service.access import Access, audit, audit_log, audit_refused, target_of
from storaged.service.session import Credentials, Session
from storaged_client.contract import params as p
from storaged_client.contract.errors import InvalidName, InvalidParams, NotPermitted
from tests.support.connection import logged
from tests.support.service import OWN_UID, Desk

pytestmark = pytest.mark.anyio

LINE = re.compile(r"audit method=(\S+) uid=(\d+) pid=(\d+) target=(\S+) result=(\S+)")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "storaged.audit")
    return caplog


def audited(lines: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    found = [record.getMessage() for record in lines.records if record.name == "storaged.audit"]
    lines.clear()
    return [match.groups() for line in found if (match := LINE.fullmatch(line)) is not None or pytest.fail(line)]


async def test_each_mutation_leaves_one_line_with_its_target_and_its_result(
    desk: Desk, lines: pytest.LogCaptureFixture
) -> None:
    image = sorted(desk.ground.sample.dangling)[0]
    async with desk.ground.running():
        await desk.ask("images.tag", {"name": image, "tags": ["localhost/a:1", "localhost/b:1"]})
        assert audited(lines) == [("images.tag", "0", "1", f"{image},localhost/a:1,localhost/b:1", "ok")]
        with pytest.raises(InvalidName):
            await desk.ask("images.tag", {"name": "no ne\n:1", "tags": ["x"]}, uid=OWN_UID)
        assert audited(lines) == [("images.tag", str(OWN_UID), "1", r"no\x20ne\n:1,x", "InvalidName")]
        with pytest.raises(NotPermitted):
            await desk.ask("images.tag", {"name": image, "tags": ["x"]}, uid=OWN_UID + 1)
        assert audited(lines) == [("images.tag", str(OWN_UID + 1), "1", f"{image},x", "NotPermitted")]
        with pytest.raises(InvalidParams):
            await desk.ask("images.tag", {"name": 5})
        assert audited(lines) == [("images.tag", "0", "1", "-", "InvalidParams")]
        await desk.ask("server.shutdown")
        assert audited(lines) == [("server.shutdown", "0", "1", "-", "ok")]
        await desk.ask("images.list")
        assert audited(lines) == []


async def test_a_mutation_that_was_cancelled_is_audited_as_such(desk: Desk, lines: pytest.LogCaptureFixture) -> None:
    async with desk.ground.running(), desk.transactions.exclusively():
        with anyio.move_on_after(0.02):
            await desk.ask("images.tag", {"name": sorted(desk.ground.sample.dangling)[0], "tags": ["x"]})
    assert [line[4] for line in audited(lines)] == ["RequestCancelled"]


async def test_a_mutation_is_never_answered_unchanged(desk: Desk) -> None:
    async with desk.ground.running():
        generation = (await desk.ask("server.ping"))["generation"]
        with pytest.raises(InvalidParams, match="if_generation"):
            await desk.ask("images.untag", {"name": "x", "if_generation": generation})


async def test_a_prune_tells_what_went_and_a_dry_run_nothing(desk: Desk, lines: pytest.LogCaptureFixture) -> None:
    async with desk.ground.running():
        await desk.ask("images.prune", {"dry_run": True})
        assert audited(lines) == [("images.prune", "0", "1", "-", "ok")]
        report = await desk.ask("images.prune")
    gone = [each["id"] for each in report["removed"]]
    assert set(gone) >= set(desk.ground.sample.dangling)
    (line,) = (record.getMessage() for record in lines.records if "method=images.prune" in record.getMessage())
    assert line.endswith(f"target=- result=ok removed={','.join(gone)}")


def test_what_is_long_goes_on_in_further_lines_and_nothing_is_cut(lines: pytest.LogCaptureFixture) -> None:
    names = [f"localhost/{at}" for at in range(10_000)]
    gone = [f"{at:064x}" for at in range(4_000)]
    target = target_of(p.ImagesRemove(names=(*names, "x" * 20_000)))
    with logged("storaged.audit") as written:
        audit(peer(0, 0), "images.remove", target=target, result="ok", removed=gone)
    told = written.getvalue().splitlines()
    assert all(len(line) < 48 << 10 for line in told)
    parts = [re.fullmatch(r"<6>.* target=(\S+) result=ok removed=(\S+) part=(\d+)/(\d+)", line) for line in told]
    assert [part[3] for part in parts if part] == [str(number) for number in range(1, len(told) + 1)]
    assert {part[4] for part in parts if part} == {str(len(told))}
    targets = [part[1] for part in parts if part and part[1] != "-"]
    assert ",".join(targets).replace(",", "") == target.replace(",", "")
    assert ",".join(part[2] for part in parts if part and part[2] != "-").split(",") == gone


def test_of_90_000_refusals_the_first_and_their_number_are_told_and_every_other_line(
    lines: pytest.LogCaptureFixture,
) -> None:
    now = 0.0
    written = io.StringIO()
    handler = Throttled(written, clock=lambda: now)
    handler.setFormatter(Lines(journal=False))
    audit_log.addHandler(handler)
    audit_log.propagate = False
    try:
        for number in range(90_000):
            now = number / 1000
            audit_refused(peer(1000, 1000), "images.tag", target=f"a:{number}", result="NotPermitted")
            if number % 100 == 0:
                audit(peer(0, 0), "images.tag", target=f"b:{number}", result="ok")
        handler.close()
    finally:
        audit_log.removeHandler(handler)
        audit_log.propagate = True
    told = [line.partition("audit ")[2] for line in written.getvalue().splitlines()]
    others = [line for line in told if "uid=0" in line]
    assert len(others) == 900
    refused = [line for line in told if line not in others]
    assert refused == [
        "method=images.tag uid=1000 pid=1 target=a:0 result=NotPermitted",
        "method=images.tag uid=1000 result=NotPermitted repeated=59999 seconds=60",
        "method=images.tag uid=1000 pid=1 target=a:60000 result=NotPermitted",
        "method=images.tag uid=1000 result=NotPermitted repeated=29999 seconds=30",
    ]


def test_a_target_is_one_word_of_bounded_length() -> None:
    word = target_of(p.ImagesTag(name="a b\nc\x1b[31m é=1", tags=("ok",)))
    assert word == r"a\x20b\nc\x1b[31m\x20\xe9=1,ok"
    many = p.ImagesRemove(names=tuple(f"localhost/{at}" for at in range(10_000)))
    assert target_of(many) == ",".join(many.names)
    assert target_of(many, whole=False) == target_of(many)[:300]
    assert target_of(p.ImagesPrune()) == "-"


def test_root_the_daemons_user_and_those_of_the_configuration_may_change_the_store() -> None:
    access = Access(own_uid=OWN_UID, uids=frozenset({7}), gids=frozenset({8}))
    allowed = {(uid, gid) for uid in (0, OWN_UID, 7, 9) for gid in (8, 9) if access.may_mutate(peer(uid, gid))}
    assert allowed == {(0, 8), (0, 9), (OWN_UID, 8), (OWN_UID, 9), (7, 8), (7, 9), (9, 8)}


def peer(uid: int, gid: int) -> Session:
    return Session(credentials=Credentials(pid=1, uid=uid, gid=gid), number=1)
