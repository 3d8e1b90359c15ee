"""The writer slot on a real store, with the real writer and a rival that keeps the rules."""

from __future__ import annotations

import errno
import gc
import json
import os
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import anyio
import pytest
from anyio import from_thread
from anyio.to_thread import run_sync
from attrs import define, field

from storaged.engine.cancellation import change_scope
from storaged.engine.transactions import ROUNDS, Outcome, Transactions
from storaged.metrics import Metrics
from storaged.sample.exclusive import exclusive, publish
from storaged.snapshot.model import Snapshot
from storaged.store.changes import Change, ChangeSet, ImageEdit
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.layout.records import ImageID, LayerID
from storaged.store.locks.order import hold
from storaged.store.writing.prepared import PlanOutdated
from storaged_client.contract.errors import (
    DiskFailure,
    ImageUnknown,
    Leased,
    NoSpace,
    StoreBusy,
    StoreCorrupt,
    StoreReadOnly,
)
from tests.support.files import Call, FaultyFiles
from tests.support.ground import DRIVER, Ground, held, transactions_of
from tests.unit.store.holding import held_elsewhere

pytestmark = pytest.mark.anyio

NEW = "localhost/new:1"


@pytest.fixture
def transactions(ground: Ground) -> Transactions:
    return transactions_of(ground)


def some(ground: Ground) -> ImageID:
    """An image without children, containers and lists."""
    return ImageID(next(iter(sorted(ground.sample.dangling))))


@define
class Naming:
    """A plan that gives an image one more name, and does ``between`` while it is decided on."""

    image: ImageID
    name: str = NEW
    between: Callable[[int], None] = lambda time: None
    seen: list[Snapshot] = field(factory=list)

    def __call__(self, snapshot: Snapshot) -> ChangeSet[tuple[str, ...]]:
        self.seen.append(snapshot)
        names = (*snapshot.by_id[self.image].names, self.name)
        self.between(len(self.seen))
        edit = ImageEdit(image=self.image, members={"names": list(names), "names-history": list(names)})
        return ChangeSet(change=Change(edits=(edit,)), result=names)


def removal(image: ImageID, between: Callable[[int], None] = lambda time: None) -> Callable[[Snapshot], ChangeSet[str]]:
    """A plan that drops the record of an image and leaves its layers."""
    times: list[int] = []

    def plan(snapshot: Snapshot) -> ChangeSet[str]:
        times.append(1)
        if image not in snapshot.by_id:
            raise ImageUnknown("gone already")
        between(len(times))
        return ChangeSet(change=Change(removed=(image,)), result=image)

    return plan


async def leftovers(ground: Ground) -> list[str]:
    names = await run_sync(lambda: os.listdir(ground.images_json.parent))
    return [name for name in names if name.startswith(".tmp-")]


# ---------------------------------------------------------------- what a change answers


async def test_a_change_is_in_its_own_view_and_in_every_later_read_without_a_reload(
    ground: Ground, transactions: Transactions
) -> None:
    async with ground.running():
        before = await ground.cache.view()
        loads = ground.metrics.counters["loads"]
        outcome = await transactions.run(Naming(some(ground)), timeout=5)
        assert outcome.result == (NEW,)
        assert outcome.view.snapshot.by_name[NEW].id == some(ground)
        assert outcome.view.generation != before.generation
        for consistency in ("cached", "fresh"):
            view = await ground.cache.view(consistency)  # type: ignore[arg-type]
            assert (view.generation, view.stale) == (outcome.view.generation, None)
        assert ground.metrics.counters["loads"] == loads
        assert some(ground) in await anyio.Path(ground.images_json).read_text()
        assert await leftovers(ground) == []


async def test_a_change_that_changes_nothing_writes_nothing(ground: Ground, transactions: Transactions) -> None:
    async with ground.running():
        before = await ground.cache.view()
        seen = await run_sync(lambda: os.stat(ground.images_json))
        outcome = await transactions.run(lambda snapshot: ChangeSet(change=Change(), result=1), timeout=5)
        assert (outcome.result, outcome.view.generation) == (1, before.generation)
        assert await run_sync(lambda: os.stat(ground.images_json)) == seen
        assert ground.metrics.counters["commits"] == 0


@pytest.mark.usefixtures("no_collection")
async def test_a_plan_that_lost_its_race_is_made_again_on_what_the_rival_left(
    ground: Ground, transactions: Transactions
) -> None:
    image, rival = some(ground), sorted(ground.sample.dangling)[1]

    def between(time: int) -> None:
        if time == 1:
            ground.writer.set_names(rival, ["localhost/rival:1"])

    plan = Naming(image, between=between)
    async with ground.running():
        outcome = await transactions.run(plan, timeout=5)
    assert len(plan.seen) == 2
    assert plan.seen[1].by_name["localhost/rival:1"].id == rival
    assert {NEW, "localhost/rival:1"} <= set(outcome.view.snapshot.by_name)
    assert await leftovers(ground) == []
    assert not [each for each in gc.get_objects() if isinstance(each, PlanOutdated)]


async def test_a_rival_under_another_lock_disturbs_no_change_and_is_in_its_view(
    ground: Ground, transactions: Transactions
) -> None:
    table = Path(paths.layers_json(ground.location.graphroot, DRIVER))

    def between(time: int) -> None:
        with exclusive(paths.layers_lock(ground.location.graphroot, DRIVER)) as lock:
            records = json.loads(table.read_bytes())
            records[0]["names"] = ["moved"]
            publish(table, records, lock)

    plan = Naming(some(ground), between=between)
    async with ground.running():
        outcome = await transactions.run(plan, timeout=5)
        assert len(plan.seen) == 1
        assert NEW in outcome.view.snapshot.by_name
        view = await ground.cache.view("cached")
        assert view.generation == outcome.view.generation
        assert ground.cache.current is not None
        assert ground.cache.current.stamp == await run_sync(ground.reader.stamp)


async def test_after_three_lost_races_a_change_is_decided_under_the_locks(
    ground: Ground, transactions: Transactions
) -> None:
    image, rival = some(ground), sorted(ground.sample.dangling)[1]
    late: list[threading.Thread] = []

    def between(time: int) -> None:
        # After the last round it is planned once before the locks are taken, and then under them.
        if time <= ROUNDS + 1:
            ground.writer.set_names(rival, [f"localhost/rival:{time}"])
            return
        # The rival has to wait for our locks now, and comes after us.
        late.append(threading.Thread(target=ground.writer.set_names, args=(rival, ["localhost/rival:late"])))
        late[-1].start()

    plan = Naming(image, between=between)
    async with ground.running():
        outcome = await transactions.run(plan, timeout=5)
        assert len(plan.seen) == ROUNDS + 2
        assert NEW in outcome.view.snapshot.by_name
        await run_sync(late[0].join)
        view = await ground.cache.view("strict")
        assert {NEW, "localhost/rival:late"} <= set(view.snapshot.by_name)
    assert ground.metrics.counters["changes.decided_under_locks"] == 1


async def test_changes_and_reads_beside_a_busy_rival_lose_nothing_and_read_their_own_writes(
    ground: Ground, transactions: Transactions
) -> None:
    images = sorted(ground.sample.dangling)
    ours, theirs = ImageID(images[0]), images[1]
    stop = threading.Event()
    count = 0

    def work() -> None:
        nonlocal count
        while not stop.is_set():
            count += 1
            ground.writer.set_names(theirs, [f"localhost/theirs:{at}" for at in range(count)])
            stop.wait(0.002)

    async with ground.running():
        rival = threading.Thread(target=work)
        rival.start()
        try:
            for at in range(30):
                outcome = await transactions.run(Naming(ours, f"localhost/ours:{at}"), timeout=10)
                assert f"localhost/ours:{at}" in outcome.view.snapshot.by_name
                for _ in range(3):
                    for consistency in ("cached", "fresh"):
                        view = await ground.cache.view(consistency)  # type: ignore[arg-type]
                        assert f"localhost/ours:{at}" in view.snapshot.by_name
        finally:
            stop.set()
            await run_sync(rival.join)
        names = (await ground.cache.view("strict")).snapshot.by_name
        assert {f"localhost/ours:{at}" for at in range(30)} <= set(names)
        assert {f"localhost/theirs:{at}" for at in range(count)} <= set(names)


# ---------------------------------------------------------------- what stands against it


async def test_a_second_change_waits_for_its_turn_and_says_so_when_its_time_is_over(
    ground: Ground, transactions: Transactions
) -> None:
    async with ground.running():
        async with transactions.exclusively():
            with pytest.raises(StoreBusy, match="another change of this daemon"):
                await transactions.run(Naming(some(ground)), timeout=0.05)
        assert (await transactions.run(Naming(some(ground)), timeout=0)).result == (NEW,)


async def test_a_daemon_that_may_not_write_refuses_before_it_plans(ground: Ground) -> None:
    plan = Naming(some(ground))
    writer = ground.store_writer()
    refusing = Transactions(ground.cache, writer, ground.metrics, why_not_writable=lambda: "started with --read-only")
    async with ground.running():
        with pytest.raises(StoreReadOnly, match="--read-only"):
            await refusing.run(plan, timeout=5)
    assert plan.seen == []


@define
class Import:
    """A foreign reader of layers, as composefs-rs is one: a shared flock on layers.lock; it begins once."""

    ground: Ground
    begun: threading.Event = field(factory=threading.Event)
    ended: threading.Event = field(factory=threading.Event)
    stack: ExitStack = field(factory=ExitStack)
    pid: int = 0

    @property
    def lock(self) -> str:
        return paths.layers_lock(self.ground.location.graphroot, DRIVER)

    def begin(self) -> None:
        if not self.begun.is_set():
            self.pid = self.stack.enter_context(held_elsewhere(self.lock, "read", "flock")).pid
            self.begun.set()

    def end(self) -> None:
        self.ended.set()
        self.stack.close()


def with_a_layer(ground: Ground) -> tuple[ImageID, LayerID, Path]:
    """An image whose layer nobody else has, and a file of that layer."""
    image = ImageID(ground.writer.add_image("goes"))
    table = json.loads(ground.images_json.read_bytes())
    layer = LayerID(next(record["layer"] for record in table if record["id"] == image))
    file = Path(paths.layer_contents(ground.location.graphroot, DRIVER, layer)) / "diff" / "file"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)  # a base layer's is 0555
    file.write_bytes(b"1")
    return image, layer, file


def take_all(ground: Ground) -> None:
    """Have every lock of the store for a moment, as any podman would."""
    graphroot = ground.location.graphroot
    names = [name(graphroot, DRIVER) for name in (paths.layers_lock, paths.images_lock, paths.containers_lock)]
    with hold(names, "exclusive", deadline=time.monotonic() + 20, files=Files(), metrics=Metrics()):
        pass


@pytest.mark.parametrize("moment", ["before", "prepared", "under the locks"])
async def test_layers_that_an_import_reads_go_when_it_has_ended_and_keep_nobody_from_the_store(
    ground: Ground, moment: str
) -> None:
    image, layer, file = await run_sync(with_a_layer, ground)
    rival = sorted(ground.sample.dangling)[1]
    reader = Import(ground)
    times: list[int] = []

    def before_a_rename(call: Call) -> None:
        target = call.path
        if moment == "prepared" and os.path.basename(target).startswith("journal-"):
            reader.begin()
        if target.endswith(f"-{layer}"):
            beside.append(reader.begun.is_set() and not reader.ended.is_set())

    def plan(snapshot: Snapshot) -> ChangeSet[str]:
        times.append(1)
        if moment == "under the locks":
            if len(times) <= ROUNDS + 1:
                ground.writer.set_names(rival, [f"localhost/rival:{len(times)}"])
            else:
                reader.begin()
        return ChangeSet(change=Change(removed=(image,), layers=(layer,)), result=image)

    async def give_way() -> None:
        await run_sync(reader.begun.wait, 20)
        for _ in range(5):
            await run_sync(take_all, ground)
        await run_sync(reader.end)

    beside: list[bool] = []
    """Of each move of the layer, whether the import was at work."""
    with reader.stack:
        async with ground.running(), anyio.create_task_group() as tasks:
            if moment == "before":
                await run_sync(reader.begin)
            tasks.start_soon(give_way)
            outcome = await transactions_of(ground, FaultyFiles("rename", before=before_a_rename)).run(plan, timeout=60)
        assert image not in outcome.view.snapshot.by_id
    assert beside == [False]
    assert not await anyio.Path(file).exists()


async def test_an_import_that_does_not_end_is_named_when_the_time_is_over(
    ground: Ground, transactions: Transactions
) -> None:
    image, layer, file = await run_sync(with_a_layer, ground)
    reader = Import(ground)
    with reader.stack:
        await run_sync(reader.begin)
        async with ground.running():
            with pytest.raises(StoreBusy) as busy:
                await transactions.run(
                    lambda snapshot: ChangeSet(change=Change(removed=(image,), layers=(layer,)), result=1), timeout=0.3
                )
            assert (await ground.cache.view("strict")).snapshot.by_id[image]
        await run_sync(reader.end)
    assert (busy.value.data["lock"], busy.value.data["holder"]["pid"]) == (reader.lock, reader.pid)
    assert await anyio.Path(file).exists()
    assert await leftovers(ground) == []


async def test_a_lock_held_by_another_process_is_named_when_the_time_is_over(
    ground: Ground, transactions: Transactions
) -> None:
    async with ground.running():
        await ground.cache.view()
        async with held(ground.images_lock) as pid:
            with pytest.raises(StoreBusy) as busy:
                await transactions.run(Naming(some(ground)), timeout=0.2)
        assert busy.value.data["lock"] == ground.images_lock
        assert busy.value.data["holder"]["pid"] == pid
        assert await leftovers(ground) == []
        assert (await transactions.run(Naming(some(ground)), timeout=5)).result == (NEW,)


@pytest.mark.parametrize(("number", "error"), [(errno.ENOSPC, NoSpace), (errno.EIO, DiskFailure)])
async def test_a_disk_that_refuses_before_the_commit_leaves_the_store_as_it_was(
    ground: Ground, number: int, error: type[Exception]
) -> None:
    async with ground.running():
        before = await ground.cache.view()
        text = await anyio.Path(ground.images_json).read_bytes()
        with pytest.raises(error):
            await transactions_of(ground, FaultyFiles("fdatasync", error=number)).run(Naming(some(ground)), timeout=5)
        assert await anyio.Path(ground.images_json).read_bytes() == text
        assert await leftovers(ground) == []
        assert set((await ground.cache.view()).snapshot.by_name) == set(before.snapshot.by_name)
        assert (await transactions_of(ground).run(Naming(some(ground)), timeout=5)).result == (NEW,)


# ---------------------------------------------------------------- cancelling


async def test_a_change_cancelled_while_it_waits_for_a_lock_leaves_nothing(
    ground: Ground, transactions: Transactions
) -> None:
    ready = threading.Event()
    async with ground.running():
        await ground.cache.view()
        text = await anyio.Path(ground.images_json).read_bytes()
        async with anyio.create_task_group() as tasks:

            async def change() -> None:
                with change_scope():
                    await transactions.run(Naming(some(ground), between=lambda time: ready.set()), timeout=20)
                pytest.fail("it was not cancelled")

            async with held(ground.images_lock):
                # The store is known, so the plan is made although somebody holds the lock.
                tasks.start_soon(change)
                await run_sync(ready.wait)
                tasks.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await anyio.sleep(0.05)
        assert await anyio.Path(ground.images_json).read_bytes() == text
        assert await leftovers(ground) == []


async def test_a_change_cancelled_at_its_commit_still_answers_with_what_it_did(ground: Ground) -> None:
    answers: list[Outcome[tuple[str, ...]]] = []
    async with ground.running():
        await ground.cache.view()
        with anyio.CancelScope() as request:

            def cancel(_: Call) -> None:
                from_thread.run_sync(request.cancel)

            files = FaultyFiles("rename", path=str(ground.images_json), before=cancel)
            with change_scope():
                answers.append(await transactions_of(ground, files).run(Naming(some(ground)), timeout=5))
                await anyio.lowlevel.checkpoint()  # further work of the same request
        assert request.cancel_called
        assert not request.cancelled_caught
        assert answers[0].result == (NEW,)
        assert NEW in (await ground.cache.view()).snapshot.by_name


# ---------------------------------------------------------------- leases


async def test_a_lease_taken_while_a_removal_is_planned_holds(ground: Ground, transactions: Transactions) -> None:
    image, leases = some(ground), ground.cache.context.leases

    def take() -> None:
        assert leases.take([image], owner="client", uid=0, ttl=60) is not None

    async with ground.running():
        with pytest.raises(Leased) as refused:
            await transactions.run(
                removal(image, lambda time: from_thread.run_sync(take) if time == 1 else None), timeout=5
            )
        assert refused.value.data["images"] == [image]
        assert image in (await ground.cache.view()).snapshot.by_id
        assert await leftovers(ground) == []
        leases.end("client")
        await transactions.run(removal(image), timeout=5)
        assert image not in (await ground.cache.view()).snapshot.by_id


async def test_a_lease_that_comes_while_its_image_is_removed_waits_for_the_end(ground: Ground) -> None:
    image, leases = some(ground), ground.cache.context.leases
    taken: list[object] = []

    async with ground.running():
        async with anyio.create_task_group() as tasks:

            async def settle() -> None:
                await leases.settled()
                taken.append(image in ground.cache.known().snapshot.by_id)

            def at_commit(_: Call) -> None:
                taken.append(from_thread.run_sync(lambda: leases.take([image], owner="late", uid=0, ttl=60)))
                from_thread.run_sync(tasks.start_soon, settle)

            await transactions_of(ground, FaultyFiles("rename", path=str(ground.images_json), before=at_commit)).run(
                removal(image), timeout=5
            )
        assert taken == [None, False]
        assert len(leases) == 0


# ---------------------------------------------------------------- after the commit


async def test_files_that_cannot_be_deleted_are_told_and_fail_nothing(ground: Ground) -> None:
    files = FaultyFiles("rmdir", error=errno.EBUSY)
    async with ground.running():
        outcome = await transactions_of(ground, files).run(removal(some(ground)), timeout=5)
        assert outcome.result not in outcome.view.snapshot.by_id
        assert outcome.unfinished is not None
        assert ground.metrics.counters["changes.unfinished"] == 1


async def test_a_removal_whose_new_state_cannot_be_taken_over_is_finished_and_answered(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(ground.reader, "adopt", exhausted)
    async with ground.running():
        outcome = await transactions_of(ground).run(removal(some(ground)), timeout=5)
        assert outcome.result not in outcome.view.snapshot.by_id
        assert outcome.unfinished is None
        assert await rests(ground) == []


async def test_a_removal_whose_new_state_cannot_be_served_is_finished_before_its_error_says_that_it_is_made(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ground.running():
        await ground.cache.view()

        def exhausted(*_: object) -> None:
            raise MemoryError

        monkeypatch.setattr(ground.cache, "adopt", exhausted)
        with pytest.raises(DiskFailure, match="the change is made") as failure:
            await transactions_of(ground).run(removal(some(ground)), timeout=5)
        assert failure.value.data["partial"] is True
        shown = ground.cache.snapshot
        assert shown is not None
        assert ground.cache.pending_readback.lasts or some(ground) not in shown.by_id, "what is gone might be leased"
        assert await rests(ground) == []
        assert some(ground) not in (await ground.cache.view("strict")).snapshot.by_id


async def test_a_commit_that_anything_breaks_off_is_gone_on_with_at_once(ground: Ground) -> None:
    files = FaultyFiles("rename", path=lambda call: "/temp-dir-" in call.path, error=MemoryError, times=1)
    async with ground.running():
        outcome = await transactions_of(ground, files).run(removal(some(ground)), timeout=5)
        assert outcome.result not in outcome.view.snapshot.by_id
        assert ground.metrics.counters["changes.mended"] == 1
        assert await rests(ground) == []


async def test_a_removal_whose_files_anything_keeps_is_answered(ground: Ground) -> None:
    files = FaultyFiles("rmdir", error=MemoryError)
    async with ground.running():
        outcome = await transactions_of(ground, files).run(removal(some(ground)), timeout=5)
        assert outcome.result not in outcome.view.snapshot.by_id
        assert outcome.unfinished is not None
        assert "MemoryError" in outcome.unfinished


async def rests(ground: Ground) -> list[str]:
    """Entries of the journal and staging folders."""
    found = await run_sync(lambda: list(Path(ground.location.graphroot, "storaged").rglob("*")))
    return [path.name for path in found if path.name.startswith(("journal-", "temp-dir-", "lock-"))]


async def test_a_deletion_stops_when_the_daemon_is_about_to_end(ground: Ground) -> None:
    async with ground.running():
        transactions = transactions_of(ground)
        transactions.hurry()
        outcome = await transactions.run(removal(some(ground)), timeout=5)
        assert outcome.result not in outcome.view.snapshot.by_id
        assert outcome.unfinished is not None


async def test_a_reload_that_began_before_a_change_and_ends_after_it_is_not_served(
    ground: Ground, transactions: Transactions
) -> None:
    async with ground.running():
        await ground.cache.view()
        before = ground.cache.current
        assert before is not None
        outcome = await transactions.run(Naming(some(ground)), timeout=5)
        view = ground.cache.adopt(before)
        assert view.generation == outcome.view.generation
        assert NEW in (await ground.cache.view("cached")).snapshot.by_name


async def test_room_for_removals_is_provided_once_with_the_first_change(ground: Ground) -> None:
    provided: list[int] = []
    writer = ground.store_writer()
    transactions = Transactions(ground.cache, writer, ground.metrics, provide=lambda: provided.append(1))
    async with ground.running():
        await transactions.run(lambda snapshot: ChangeSet(change=Change(), result=1), timeout=5)
        assert provided == []
        for at in range(2):
            await transactions.run(Naming(some(ground), f"localhost/new:{at}"), timeout=5)
            assert provided == [1]


async def test_a_table_that_cannot_be_read_is_not_written(ground: Ground, transactions: Transactions) -> None:
    async with ground.running():
        await ground.cache.view()
        await anyio.Path(ground.images_json).write_text("[{")
        with pytest.raises(StoreCorrupt):
            await transactions.run(Naming(some(ground)), timeout=0.5)
        assert await anyio.Path(ground.images_json).read_text() == "[{"
