"""One look at the files for all requests of one turn of the event loop."""

from __future__ import annotations

import anyio
import pytest
from anyio.lowlevel import checkpoint

from storaged.engine.loop_turn import LoopTurn
from tests.support.ground import Ground

pytestmark = pytest.mark.anyio


async def test_a_turn_is_over_when_everybody_ran_once() -> None:
    turn = LoopTurn()
    assert turn.over
    for _ in range(3):
        turn.begin()
        assert not turn.over
        await checkpoint()
        await checkpoint()
        assert turn.over


async def test_requests_of_one_turn_share_a_look_and_later_ones_do_not(
    ground: Ground, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ground.running():
        looks = 0
        take = ground.reader.stamp

        def counted() -> object:
            nonlocal looks
            looks += 1
            return take()

        monkeypatch.setattr(ground.reader, "stamp", counted)
        for turns in (1, 2, 3):
            await anyio.sleep(0.01)
            for _ in range(5):
                assert ground.cache.view_now() is not None
            assert looks == turns
        assert ground.cache.view_now("strict") is not None
        await ground.cache.view()
        assert looks == 5
