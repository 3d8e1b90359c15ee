"""One connection with many requests in flight, and another with one: who is served when, by counted order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from storaged.service import encoding
from storaged.service.limiters import Limiters, pause
from storaged.service.session import Session
from storaged.store.content import ContentReader
from storaged_client.contract.errors import StoreBusy
from tests.support.service import Desk, connected

pytestmark = pytest.mark.anyio

MANY = 16


class Race:
    """Requests of two connections; ``done`` names the connection of each that ended, in order."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.greedy, self.modest = connected(), connected()
        self.done: list[str] = []

    async def ask(self, method: str, params: Any, session: Session) -> None:
        await self.desk.ask(method, params, session=session)
        self.done.append("greedy" if session is self.greedy else "modest")

    async def run(self, method: str, params: Callable[[int], Any], begin: Callable[[], Awaitable[None]]) -> int:
        """Have the greedy one ask for many, then the modest one for one; then all is let go. What came before him?"""
        async with anyio.create_task_group() as tasks:
            for number in range(MANY):
                tasks.start_soon(self.ask, method, params(number), self.greedy)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(self.ask, method, params(MANY), self.modest)
            await anyio.wait_all_tasks_blocked()
            assert self.done == []
            await begin()
        assert len(self.done) == MANY + 1
        return self.done.index("modest")


async def test_worker_threads_serve_another_connection_before_the_rest_of_a_greedy_one(desk: Desk) -> None:
    threads = desk.engine.blob_threads
    holders = [object() for _ in range(int(threads.total_tokens))]
    image = sorted(desk.ground.sample.dangling)[0]
    async with desk.ground.running():
        for holder in holders:
            await threads.acquire_on_behalf_of(holder)

        async def begin() -> None:
            # One thread: work ends in the order in which it was begun.
            threads.release_on_behalf_of(holders.pop())

        before = await Race(desk).run("images.data", lambda _: {"name": image, "key": "manifest"}, begin)
        assert before <= 2
        threads.release_on_behalf_of(holders.pop())


async def test_the_writer_slot_serves_another_connection_before_the_rest_of_a_greedy_one(desk: Desk) -> None:
    image = sorted(desk.ground.sample.dangling)[0]
    async with desk.ground.running(), anyio.create_task_group() as tasks:
        let_go, held = anyio.Event(), anyio.Event()

        async def hold() -> None:
            async with desk.transactions.exclusively():
                held.set()
                await let_go.wait()

        async def begin() -> None:
            let_go.set()

        tasks.start_soon(hold)
        await held.wait()
        before = await Race(desk).run("images.tag", lambda number: {"name": image, "tags": [f"t:{number}"]}, begin)
        assert before <= 1


async def test_work_of_a_cancelled_request_that_has_no_thread_yet_is_never_begun(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = desk.engine.blob_threads
    begun: list[str] = []
    blob = ContentReader.blob

    def counted(reader: ContentReader, *arguments: Any) -> bytes:
        begun.append(arguments[2])
        return blob(reader, *arguments)

    monkeypatch.setattr(ContentReader, "blob", counted)
    asked = {"name": sorted(desk.ground.sample.dangling)[0], "key": "manifest"}
    holders = [object() for _ in range(int(threads.total_tokens))]
    async with desk.ground.running():
        for holder in holders:
            await threads.acquire_on_behalf_of(holder)
        async with anyio.create_task_group() as tasks:
            for session in (connected(), connected()):
                for _ in range(5):
                    tasks.start_soon(lambda one=session: desk.ask("images.data", asked, session=one))
            await anyio.wait_all_tasks_blocked()
            tasks.cancel_scope.cancel()
        for holder in holders:
            threads.release_on_behalf_of(holder)
        assert begun == []
        await desk.ask("images.data", asked)
        assert begun == ["manifest"]


async def test_a_change_that_waits_for_its_own_connection_is_told_so_in_time(desk: Desk) -> None:
    session = connected()
    image = sorted(desk.ground.sample.dangling)[0]
    asked = {"name": image, "tags": ["x"]}
    held, let_go = anyio.Event(), anyio.Event()

    async def hold() -> None:
        async with session.shares.change(1.0) as left:
            assert 0 < left <= 1.0
            held.set()
            await let_go.wait()

    async with desk.ground.running(), anyio.create_task_group() as tasks:
        tasks.start_soon(hold)
        await held.wait()
        for timeout in (0.0, 0.02):
            with pytest.raises(StoreBusy, match="this connection"):
                await desk.ask("images.tag", {**asked, "timeout": timeout}, session=session)
        await desk.ask("images.tag", {"name": image, "tags": ["y"]}, session=connected())
        let_go.set()
        assert (await desk.ask("images.tag", asked, session=session))["changed"]


async def test_a_connection_has_one_check_at_a_time(desk: Desk) -> None:
    session = connected()
    running = 0
    together: list[int] = []
    run = desk.engine.checker.run

    async def counting(**arguments: Any) -> Any:
        nonlocal running
        running += 1
        together.append(running)
        try:
            return await run(**arguments)
        finally:
            running -= 1

    desk.engine.checker.run = counting  # type: ignore[method-assign]
    async with desk.ground.running(), anyio.create_task_group() as tasks:
        for query_context in (session, session, session, connected()):
            tasks.start_soon(lambda one=query_context: desk.ask("store.check", session=one))
    assert max(together) == 2


async def test_long_listings_of_one_connection_let_another_end_first(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(encoding, "_PIECE", 1)  # each of the rows is a step
    race = Race(desk)
    long = {"filters": ["until=2100-01-01"]}  # what was answered before takes no steps, unless it goes by the time
    async with desk.ground.running(), anyio.create_task_group() as tasks:
        await desk.ask("images.list", long)
        for _ in range(MANY):
            tasks.start_soon(race.ask, "images.list", long, race.greedy)
        await anyio.lowlevel.checkpoint()
        tasks.start_soon(race.ask, "images.list", long, race.modest)
    assert len(race.done) == MANY + 1
    assert race.done.index("modest") <= 2


async def test_of_one_connection_one_answer_goes_on_between_two_looks_at_everybody_else() -> None:
    steps: list[str] = []
    shares = Limiters()

    async def answer() -> None:
        with shares.answering():
            for _ in range(10):
                await pause()
                steps.append("answer")

    async def everybody_else() -> None:
        while steps.count("answer") < 100:
            await anyio.lowlevel.checkpoint()
            steps.append("else")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(everybody_else)
        for _ in range(10):
            tasks.start_soon(answer)
    runs = "".join("a" if step == "answer" else "." for step in steps).split(".")
    assert max(map(len, runs)) <= 2


async def test_a_cancelled_answer_leaves_its_turn_to_the_next() -> None:
    shares = Limiters()
    done: list[int] = []

    async def answer(number: int) -> None:
        with shares.answering():
            for _ in range(5):
                await pause()
        done.append(number)

    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:
            for number in range(4):
                scope = anyio.CancelScope()

                async def cancelled(scope: anyio.CancelScope = scope, number: int = number) -> None:
                    with scope:
                        await answer(number)

                tasks.start_soon(cancelled)
                if number % 2:
                    await anyio.lowlevel.checkpoint()
                    scope.cancel()
    assert sorted(done) == [0, 2]
