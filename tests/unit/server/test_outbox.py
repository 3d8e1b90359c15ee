"""What is put comes out in pieces that can be written at once, and each is told when its last byte is."""

from __future__ import annotations

from random import Random

import anyio
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


async def test_what_finds_nothing_waiting_is_written_at_once_and_the_rest_waits_in_its_order() -> None:
    room = 5
    kernel = b""

    def send(data: bytes) -> memoryview:
        nonlocal kernel, room
        taken = data[:room]
        kernel, room = kernel + taken, room - len(taken)
        return memoryview(data)[len(taken) :]

    outbox = Outbox(send)
    told: list[str] = []
    outbox.put([b"ab", b"c"], lambda: told.append("first"))
    assert (kernel, told, outbox.size) == (b"abc", ["first"], 0)
    outbox.put([b"defg"], lambda: told.append("second"))
    assert (kernel, told, outbox.size) == (b"abcde", ["first"], 2)
    room = 100
    outbox.put([b"hi"], lambda: told.append("third"))
    assert (kernel, outbox.size) == (b"abcde", 4)
    entry = await outbox.take()
    assert entry is not None
    assert bytes(entry[0]) == b"fghi"
    # Taken is not written yet: what comes now would overtake it.
    outbox.put([b"jk"], lambda: told.append("fourth"))
    assert kernel == b"abcde"
    assert outbox.size == 6


async def test_a_connection_that_is_lost_is_left_to_the_reader_of_the_queue() -> None:
    def lost(data: bytes) -> memoryview:
        raise anyio.BrokenResourceError

    outbox = Outbox(lost)
    outbox.put([b"abc"], lambda: pytest.fail("it was not written"))
    entry = await outbox.take()
    assert entry is not None
    assert bytes(entry[0]) == b"abc"
