"""``$/progress``: at most ten a second, merged for who reads slowly, none after the answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from storaged.service import progress
from storaged.service.progress import Progress
from storaged.service.session import Credentials, Session
from storaged_client.contract.errors import InvalidParams
from tests.support.service import Desk

pytestmark = pytest.mark.anyio


class Peer:
    """The other end of a session: takes each message at once, or only when told to."""

    def __init__(self, *, reads: bool = True) -> None:
        self.told: list[dict[str, Any]] = []
        self.reads = reads
        self.unread: list[Callable[[], None]] = []
        self.session = Session(credentials=Credentials(pid=1, uid=0, gid=0), number=1, notify=self.notify)

    def notify(self, method: str, params: dict[str, Any], written: Callable[[], None]) -> None:
        assert method == "$/progress"
        self.told.append(params)
        if self.reads:
            written()
        else:
            self.unread.append(written)

    @property
    def done(self) -> list[int]:
        return [params["done"] for params in self.told]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [100.0]
    monkeypatch.setattr(progress.anyio, "current_time", lambda: now[0])

    def advance(seconds: float) -> None:
        now[0] += seconds

    return advance


def test_what_comes_within_a_tenth_of_a_second_is_left_out(clock: Callable[[float], None]) -> None:
    peer = Peer()
    told = Progress(peer.session, "t")
    for done in range(100):
        told.tell(done, 100, "files", "deleting")
        clock(0.01)
    assert len(peer.told) == 10
    assert peer.told[0] == {"token": "t", "done": 0, "total": 100, "unit": "files", "message": "deleting"}


def test_a_reader_that_takes_nothing_has_one_message_waiting_and_then_gets_the_newest(
    clock: Callable[[float], None],
) -> None:
    peer = Peer(reads=False)
    told = Progress(peer.session, 7)
    for done in range(5):
        told.tell(done, 9, "files")
        clock(1)
    assert peer.done == [0]
    peer.unread.pop()()
    told.tell(5, 9, "files")
    assert peer.done == [0, 5]


def test_nothing_is_told_after_the_end_nor_without_a_token(clock: Callable[[float], None]) -> None:
    peer = Peer()
    told = Progress(peer.session, "t")
    told.end()
    told.tell(1, 2, "files")
    Progress(peer.session, None).tell(1, 2, "files")
    assert peer.told == []


async def test_a_check_tells_its_progress_and_only_to_who_asked(desk: Desk) -> None:
    peer = Peer()
    async with desk.ground.running():
        await desk.ask("store.check", session=peer.session)
        assert peer.told == []
        report = await desk.ask("store.check", {"progress_token": "mine"}, session=peer.session)
        assert peer.told
        assert {params["token"] for params in peer.told} == {"mine"}
        assert peer.done == sorted(peer.done)
        assert peer.told[-1]["total"] == report["total"]
        assert (peer.told[-1]["unit"], peer.told[-1]["message"]) == ("units", "checking")


async def test_a_removal_tells_its_progress(desk: Desk) -> None:
    peer = Peer()
    image = sorted(desk.ground.sample.dangling)[0]
    async with desk.ground.running():
        report = await desk.ask("images.remove", {"names": [image], "progress_token": 1}, session=peer.session)
        assert [one["id"] for one in report["removed"]][:1] == [image]
        assert peer.told
        assert all(0 <= params["done"] <= params["total"] for params in peer.told)


async def test_a_token_that_is_a_novel_is_refused(desk: Desk) -> None:
    async with desk.ground.running():
        with pytest.raises(InvalidParams) as refused:
            await desk.ask("store.check", {"progress_token": "x" * 1000})
        assert refused.value.data["path"] == "$.progress_token"


@pytest.mark.parametrize("method", ["server.info", "server.ping", "server.stats", "store.refresh", "images.list"])
async def test_every_read_honours_if_generation(desk: Desk, method: str) -> None:
    async with desk.ground.running():
        generation = (await desk.ask("images.list", {"limit": 1}))["generation"]
        assert await desk.ask(method, {"if_generation": generation}) == {
            "generation": generation,
            "stale": None,
            "unchanged": True,
        }
        assert "unchanged" not in await desk.ask(method, {"if_generation": "another"})
