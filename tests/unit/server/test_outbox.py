"""What is put comes out in pieces that can be written at once, and each is told when its last byte is."""

from __future__ import annotations

from random import Random

import pytest

from storaged.server.outbox import PIECE, Outbox

pytestmark = pytest.mark.anyio

SIZES = (0, 1, 100, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 3 * PIECE + 7)


@pytest.mark.parametrize("seed", range(20))
async def test_messages_come_out_whole_in_order_and_are_told_with_their_last_bytes(seed: int) -> None:
    random = Random(seed)
    outbox = Outbox()
    ends: list[int] = []
    told: list[int] = []
    written = b""
    for number in range(30):
        parts = [random.randbytes(random.choice(SIZES)) for _ in range(random.randrange(4))]
        written += b"".join(parts)
        ends.append(len(written))
        outbox.put(parts, lambda number=number: told.append(number))
    assert outbox.size == len(written)
    outbox.finish()
    at = 0
    while (entry := await outbox.take()) is not None:
        data, calls = entry
        assert data == written[at : at + len(data)]
        assert len(data) <= PIECE
        assert len(data) == PIECE or at + len(data) in ends
        at += len(data)
        for call in calls:
            call()
        assert told == [number for number, end in enumerate(ends) if end <= at]
    assert at == len(written)


async def test_nothing_is_taken_after_an_end_in_the_middle() -> None:
    outbox = Outbox()
    outbox.put([b"x" * PIECE, b"y"], lambda: pytest.fail("it was not written"))
    await outbox.take()
    outbox.clear()
    outbox.finish()
    assert await outbox.take() is None
