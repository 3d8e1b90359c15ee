"""Requests that came in one read do not go before those of everybody else."""

from __future__ import annotations

import json
from contextlib import AsyncExitStack

import anyio
import anyio.lowlevel
import pytest

from storaged.service.fair_queue import SELDOM, FairQueue, Pace
from storaged.service.limiters import Limiters
from tests.support.connection import Methods, Served, served

pytestmark = pytest.mark.anyio


async def test_one_request_of_another_client_does_not_wait_for_sixty_of_this_one() -> None:
    methods = Methods()
    async with served(methods) as greedy, served(methods) as modest:
        many = [{"jsonrpc": "2.0", "id": n, "method": "echo", "params": {"greedy": n}} for n in range(60)]
        await greedy.wire.send(*many)
        await modest.wire.call(1, "echo", modest=1)
        with anyio.fail_after(5):
            await modest.wire.line()
            for _ in many:
                await greedy.wire.line()
    assert methods.begun.index({"modest": 1}) < 30


BUSY = 40
EACH = 60


@pytest.mark.parametrize("accounts", [1, 3])
async def test_who_asks_seldom_waits_for_a_step_of_one_of_forty_busy_connections(accounts: int) -> None:
    """By counted requests: those of others that begin between the question and its answer."""
    methods = Methods()
    fair_queue = FairQueue()
    asked: list[int] = []
    begun = 0
    modest: Served | None = None

    async def count(params: object) -> bytes:
        nonlocal begun
        begun += 1
        # By then all have spent what waits for nobody.
        if begun > BUSY * 20 and begun % 50 == 0 and len(asked) < 10:
            assert modest is not None
            asked.append(begun)
            text = {"jsonrpc": "2.0", "id": len(asked), "method": "now.seldom", "params": {"asked": begun}}
            modest.wire.socket.send(json.dumps(text).encode() + b"\n")
        return b"{}"

    waited: list[int] = []

    async def seldom(params: dict[str, int]) -> bytes:
        waited.append(begun - params["asked"])
        return b"{}"

    methods.extra |= {"count": count, "seldom": seldom}
    many = [{"jsonrpc": "2.0", "id": n, "method": "now.count"} for n in range(EACH)]
    # The greedy ones' own requests are answered at once: nothing but the fair_queue keeps them apart.
    async with AsyncExitStack() as stack:
        modest = await stack.enter_async_context(served(methods, shares=Limiters(fair_queue, 7)))
        busy = [
            await stack.enter_async_context(served(methods, shares=Limiters(fair_queue, number % accounts)))
            for number in range(BUSY)
        ]
        with anyio.fail_after(20):
            for one in busy:
                await one.wire.send(*many)
            for one in busy:
                for _ in many:
                    await one.wire.line()
            for _ in asked:
                await modest.wire.line()
    assert len(waited) == len(asked) == 10
    assert max(waited) <= 12


async def test_a_cancelled_wait_in_the_lane_leaves_the_turn_to_the_next() -> None:
    fair_queue = FairQueue()
    done: list[int] = []

    async def stand(number: int) -> None:
        await fair_queue.turn(number % 3)
        done.append(number)

    with anyio.fail_after(5):
        for steps in range(6):
            done.clear()
            async with anyio.create_task_group() as tasks:
                scopes = [anyio.CancelScope() for _ in range(9)]

                async def cancellable(number: int, scopes: list[anyio.CancelScope] = scopes) -> None:
                    with scopes[number]:
                        await stand(number)

                for number in range(9):
                    tasks.start_soon(cancellable, number)
                for _ in range(steps):
                    await anyio.lowlevel.checkpoint()
                for number in (0, 3, 4, 8):
                    scopes[number].cancel()
            assert {1, 2, 5, 6, 7} <= set(done)
            await fair_queue.turn(0)


async def test_who_does_not_read_asks_seldom_again_after_a_round() -> None:
    fair_queue = FairQueue()
    pace = Pace(fair_queue, 1)
    pace.spend(SELDOM)
    pace.rest(all_read=True)
    assert not pace.spent
    pace.spend(SELDOM)
    assert pace.spent
    async with anyio.create_task_group() as tasks:
        for _ in range(6):
            tasks.start_soon(fair_queue.turn, 2)
        for _ in range(2):
            await anyio.lowlevel.checkpoint()
        pace.rest(all_read=False)
        assert pace.spent
    assert not pace.spent
