"""Requests that came in one read do not go before those of everybody else."""

from __future__ import annotations

import anyio
import pytest

from .conftest import Methods, served

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
