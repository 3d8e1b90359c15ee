"""Leases: who takes them, what they keep, how they end."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import anyio
import pytest
from anyio import from_thread
from anyio.to_thread import run_sync

from storaged.engine import leases as leasing
from storaged.engine.transactions import Transactions
from storaged.store.layout.records import ImageID
from storaged_client.contract.errors import ImageUnknown, InvalidParams, LeaseUnknown, StoreBusy, TooManyRequests
from tests.support.files import Call, FaultyFiles
from tests.support.service import OWN_UID, Desk, connected
from tests.unit.engine.test_transactions import removal

pytestmark = pytest.mark.anyio


def dangling(desk: Desk) -> list[str]:
    return sorted(desk.ground.sample.dangling)


async def test_a_lease_keeps_an_image_and_why_says_which_lease(desk: Desk) -> None:
    image, client = dangling(desk)[0], connected(OWN_UID + 1)
    async with desk.ground.running():
        before = await desk.ask("images.why", {"name": image})
        lease = await desk.ask("store.lease", {"images": [image[:12]]}, session=client)
        assert lease["images"] == [image]
        assert datetime.fromisoformat(lease["expires"]) > datetime.now(UTC)
        why = await desk.ask("images.why", {"name": image})
        assert [reason["name"] for reason in why["reasons"] if reason["code"] == "lease"] == [lease["lease"]]
        assert (why["prunable"], why["removable"]) == (False, False)
        assert len({before["generation"], lease["generation"]}) == 2
        assert why["generation"] == lease["generation"]
        released = await desk.ask("store.release", {"lease": lease["lease"]}, session=client)
        assert released["generation"] not in (before["generation"], lease["generation"])
        assert (await desk.ask("images.why", {"name": image}))["prunable"]


async def test_a_lease_of_a_list_keeps_the_list_and_its_local_instances(desk: Desk) -> None:
    image = await run_sync(lambda: desk.ground.writer.add_image("instance"))
    listing = await run_sync(lambda: desk.ground.writer.create_list("localhost/list:1", [image]))
    async with desk.ground.running():
        lease = await desk.ask("store.lease", {"images": ["localhost/list:1"]})
        assert lease["images"] == [listing, image]


async def test_an_unknown_name_leases_nothing_at_all(desk: Desk) -> None:
    async with desk.ground.running():
        with pytest.raises(ImageUnknown):
            await desk.ask("store.lease", {"images": [dangling(desk)[0], "localhost/none:1"]})
        assert len(desk.ground.cache.context.leases) == 0


async def test_a_lease_can_be_released_by_its_own_connection_only_and_once(desk: Desk) -> None:
    one, other = connected(), connected()
    async with desk.ground.running():
        lease = await desk.ask("store.lease", {"images": dangling(desk)[:1]}, session=one)
        with pytest.raises(LeaseUnknown):
            await desk.ask("store.release", {"lease": lease["lease"]}, session=other)
        await desk.ask("store.release", {"lease": lease["lease"]}, session=one)
        with pytest.raises(LeaseUnknown):
            await desk.ask("store.release", {"lease": lease["lease"]}, session=one)


async def test_a_lease_ends_with_its_connection(desk: Desk) -> None:
    one, other = connected(), connected()
    async with desk.ground.running():
        await desk.ask("store.lease", {"images": dangling(desk)[:1]}, session=one)
        kept = await desk.ask("store.lease", {"images": dangling(desk)[:1]}, session=other)
        one.end()
        why = await desk.ask("images.why", {"name": dangling(desk)[0]})
        assert [reason["name"] for reason in why["reasons"] if reason["code"] == "lease"] == [kept["lease"]]
        await desk.ask("store.lease", {"images": dangling(desk)[:1]}, session=one)  # came after its end
        assert len(desk.ground.cache.context.leases) == 1


async def test_a_lease_ends_with_its_time_and_the_generation_tells(desk: Desk) -> None:
    leases = desk.ground.cache.context.leases
    async with desk.ground.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(leases.run)
        lease = await desk.ask("store.lease", {"images": dangling(desk)[:1], "ttl": 0.01})
        await desk.ground.cache.moved(lease["generation"])
        assert len(leases) == 0
        assert (await desk.ask("server.ping"))["generation"] != lease["generation"]
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("params", [{"images": []}, {"images": ["x"], "ttl": 0}, {"images": ["x"], "ttl": 1e9}])
async def test_a_lease_of_nothing_or_for_no_time_is_refused(desk: Desk, params: dict[str, object]) -> None:
    async with desk.ground.running():
        with pytest.raises(InvalidParams):
            await desk.ask("store.lease", params)


async def test_no_user_can_hold_more_than_his_share(desk: Desk) -> None:
    """Leases are for everybody, so that each is bounded by himself."""
    images = dangling(desk)
    async with desk.ground.running():
        for _ in range(leasing.PER_UID):
            await desk.ask("store.lease", {"images": images[:1]}, uid=OWN_UID + 1)
        with pytest.raises(TooManyRequests) as refused:
            await desk.ask("store.lease", {"images": images[:1]}, uid=OWN_UID + 1)
        assert refused.value.data["limit"] == leasing.PER_UID
        await desk.ask("store.lease", {"images": images[:1]}, uid=OWN_UID + 2)


async def test_a_lease_asked_for_while_its_image_goes_is_told_that_there_is_no_such_image(desk: Desk) -> None:
    """Whoever is answered with a lease has the image; here the removal was first."""
    ground, image = desk.ground, ImageID(dangling(desk)[0])
    asked = threading.Event()

    def at_commit(_: Call) -> None:
        from_thread.run_sync(tasks.start_soon, lease, image)
        asked.wait(10)

    answers: list[str] = []

    async def lease(name: str) -> None:
        with pytest.raises(StoreBusy, match="being removed"):
            await desk.ask("store.lease", {"images": [name], "timeout": 0})
        asked.set()
        try:
            await desk.ask("store.lease", {"images": [name]})
        except ImageUnknown:
            answers.append("unknown")

    writer = ground.store_writer(FaultyFiles("rename", path=str(ground.images_json), before=at_commit))
    async with ground.running(), anyio.create_task_group() as tasks:
        await Transactions(ground.cache, writer, ground.metrics).run(removal(image), timeout=5)
    assert answers == ["unknown"]


@pytest.mark.parametrize("method", ["store.lease", "store.release"])
async def test_a_lease_is_never_answered_by_unchanged(desk: Desk, method: str) -> None:
    async with desk.ground.running():
        image = dangling(desk)[0]
        lease = await desk.ask("store.lease", {"images": [image]})
        params = {"store.lease": {"images": [image]}, "store.release": {"lease": lease["lease"]}}[method]
        with pytest.raises(InvalidParams) as refused:
            await desk.ask(method, {**params, "if_generation": lease["generation"]})
        assert refused.value.data["path"] == "$.if_generation"


async def test_a_connection_has_one_ending_for_all_that_it_ever_held_of_one_holder() -> None:
    client, ended = connected(), []
    for number in range(3):
        client.at_end("leases", lambda number=number: ended.append(number))
    client.at_end("others", lambda: ended.append("others"))
    client.end()
    assert ended == ["others", 0]
    client.at_end("leases", lambda: ended.append("at once"))
    assert ended[-1] == "at once"
