"""One connection with 64 costly requests in flight does not keep another's ping waiting: by counted steps."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from storaged.server.limits import Limits
from storaged.service.limiters import pause
from tests.support.connection import Methods, Served, served

pytestmark = pytest.mark.anyio

MANY = 64
FEW = 32
"""Steps for which a ping may have to wait: its bytes must come through the socket first."""


class Costly:
    """A method of several steps; at the first of all the other connection asks for something."""

    def __init__(self, methods: Methods, steps: int) -> None:
        self._steps = steps
        self.methods = methods
        self.hostile: Served | None = None
        self.honest: Served | None = None
        self.asked = False
        self.done = 0
        self.done_before: int | None = None
        methods.extra["costly"] = self
        methods.extra["ping"] = self._ping

    async def __call__(self, params: Any) -> bytes:
        assert self.hostile is not None
        assert self.honest is not None
        if not self.asked:
            self.asked = True
            await self.honest.wire.call(1, "ping")
        with self.hostile.connection.session.shares.answering():
            for _ in range(self._steps):
                self.done += 1
                await pause()
        return b"1"

    async def _ping(self, params: Any) -> bytes:
        self.done_before = self.done
        return b"{}"


@pytest.mark.parametrize("steps", [1, 30])
async def test_a_ping_waits_for_a_few_steps_of_64_costly_requests(steps: int) -> None:
    methods = Methods()
    costly = Costly(methods, steps)
    async with served(methods) as hostile, served(methods) as honest:
        costly.hostile, costly.honest = hostile, honest
        await hostile.wire.send(
            *({"jsonrpc": "2.0", "id": number, "method": "costly", "params": {}} for number in range(MANY))
        )
        await honest.wire.line()
        assert {(await hostile.wire.line())["id"] for _ in range(MANY)} == set(range(MANY))
        assert costly.done == MANY * steps
        assert costly.done_before is not None
        assert costly.done_before <= FEW


async def test_a_batch_of_costly_requests_is_begun_in_turns_too() -> None:
    methods = Methods()
    costly = Costly(methods, 1)
    async with served(methods, Limits(batch=MANY)) as hostile, served(methods) as honest:
        costly.hostile, costly.honest = hostile, honest
        batch = [{"jsonrpc": "2.0", "id": number, "method": "costly", "params": {}} for number in range(MANY)]
        await hostile.wire.send(batch)
        await honest.wire.line()
        assert len(await hostile.wire.line()) == MANY
        assert costly.done_before is not None
        assert costly.done_before <= FEW


async def test_a_flood_that_is_refused_lets_the_others_in_as_well() -> None:
    """What is refused begins nothing, and is answered all the same."""
    methods = Methods()
    async with served(methods, Limits(uid_in_flight=1)) as hostile, served(methods) as honest:
        await hostile.wire.call("stuck", "stick")
        with anyio.fail_after(5):
            while not methods.begun:  # noqa: ASYNC110 - it looks at the other task's state, which tells nobody
                await anyio.sleep(0.002)
        await hostile.wire.send(
            *({"jsonrpc": "2.0", "id": number, "method": "echo", "params": {}} for number in range(500))
        )
        await honest.wire.call(1, "echo")
        assert (await honest.wire.line())["id"] == 1
        answers = [await hostile.wire.line() for _ in range(500)]
        assert {answer["error"]["data"]["name"] for answer in answers} == {"TooManyRequests"}
        assert hostile.metrics.counters["limits.uid_in_flight"] == 500
        methods.release.set()
