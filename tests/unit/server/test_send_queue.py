"""What is put comes out in order, no more in a turn than may be, and each is told when its last byte is out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

import anyio
import pytest

from storaged.server.send_queue import TURN, Part, SendQueue

pytestmark = pytest.mark.anyio

SIZES = (0, 1, 100, TURN - 1, TURN, TURN + 1, 3 * TURN + 7)


class Pipe:
    """Takes as much as there is room for."""

    def __init__(self, room: int = 0) -> None:
        self.room = room
        self.taken = bytearray()
        self.most = self.most_parts = 0

    def give(self, parts: Sequence[Part]) -> int:
        whole = b"".join(parts)
        self.most, self.most_parts = max(self.most, len(whole)), max(self.most_parts, len(parts))
        some = whole[: self.room]
        self.taken += some
        self.room -= len(some)
        return len(some)


@pytest.mark.parametrize("seed", range(6))
async def test_messages_come_out_whole_in_order_and_are_told_with_their_last_bytes(seed: int) -> None:
    random = Random(seed)
    pipe = Pipe()
    queue = SendQueue(pipe.give)
    ends: list[int] = []
    told: list[int] = []
    put = b""
    for number in range(20):
        parts = [random.randbytes(random.choice(SIZES)) for _ in range(random.randrange(4))]
        put += b"".join(parts)
        ends.append(len(put))
        queue.put(parts, lambda number=number: told.append(number))
    queue.finish()
    while await queue.filled():
        pipe.room = random.choice([1, 1000, TURN, 10 * TURN])
        waiting = queue.size
        done = queue.write()
        assert done is (waiting - queue.size == min(waiting, TURN))
        at = len(pipe.taken)
        assert queue.size == len(put) - at
        assert told == [number for number, end in enumerate(ends) if end <= at]
    assert pipe.taken == put
    assert pipe.most == TURN
    assert len(told) == len(ends)


async def test_many_small_parts_are_more_than_one_write() -> None:
    pipe = Pipe(room=1 << 20)
    queue = SendQueue(pipe.give)
    told: list[str] = []
    queue.put([b"x"] * 3000, lambda: told.append("done"))
    queue.finish()
    while await queue.filled():
        assert queue.write()
    assert pipe.taken == b"x" * 3000
    assert pipe.most_parts <= 1024
    assert told == ["done"]


async def test_nothing_is_written_after_an_end_in_the_middle() -> None:
    pipe = Pipe(room=10)
    queue = SendQueue(pipe.give)
    queue.put([b"x" * 100, b"y"], lambda: pytest.fail("it was not written"))
    queue.clear()
    # In the middle of what was cut it would be read as a part of that.
    queue.put([b"z"], lambda: pytest.fail("it was not written"))
    queue.finish()
    assert not await queue.filled()
    assert len(pipe.taken) == 10


def test_what_finds_nothing_waiting_is_written_at_once_and_the_rest_waits_in_its_order() -> None:
    pipe = Pipe(room=5)
    queue = SendQueue(pipe.give)
    told: list[str] = []
    queue.put([b"ab", b"c"], lambda: told.append("first"))
    assert (pipe.taken, told, queue.size) == (b"abc", ["first"], 0)
    queue.put([b"defg"], lambda: told.append("second"))
    assert (pipe.taken, told, queue.size) == (b"abcde", ["first"], 2)
    pipe.room = 100
    queue.put([b"hi"], lambda: told.append("third"))
    assert (pipe.taken, queue.size) == (b"abcde", 4)
    assert queue.write()
    assert (pipe.taken, told, queue.size) == (b"abcdefghi", ["first", "second", "third"], 0)


async def test_who_waits_is_woken_by_what_was_not_written_at_once() -> None:
    pipe = Pipe(room=2)
    queue = SendQueue(pipe.give)
    woken: list[bool] = []

    async def wait() -> None:
        woken.append(await queue.filled())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait)
        await anyio.wait_all_tasks_blocked()
        queue.put([b"ab"], lambda: None)
        await anyio.wait_all_tasks_blocked()
        assert woken == []
        queue.put([b"c"], lambda: None)
        await anyio.wait_all_tasks_blocked()
        assert woken == [True]


def test_who_is_told_may_put_more() -> None:
    pipe = Pipe(room=100)
    queue = SendQueue(pipe.give)
    told: list[str] = []

    def more(name: str, then: Callable[[], None] | None = None) -> Callable[[], None]:
        def written() -> None:
            told.append(name)
            if then is not None:
                then()

        return written

    queue.put([b"a"], more("a", lambda: queue.put([b"b"], more("b", lambda: queue.put([b"c"], more("c"))))))
    assert (pipe.taken, told, queue.size) == (b"abc", ["a", "b", "c"], 0)
    pipe.room = 1
    queue.put([b"de"], more("d", lambda: queue.put([b"g"], more("g"))))
    queue.put([b"f"], more("f"))
    pipe.room = 100
    assert queue.write()
    queue.write()
    assert (pipe.taken, told, queue.size) == (b"abcdefg", ["a", "b", "c", "d", "f", "g"], 0)


def test_a_connection_that_is_lost_is_left_to_who_waits_for_the_queue() -> None:
    def lost(parts: Sequence[Part]) -> int:
        raise anyio.BrokenResourceError

    queue = SendQueue(lost)
    queue.put([b"abc"], lambda: pytest.fail("it was not written"))
    assert queue.size == 3
    with pytest.raises(anyio.BrokenResourceError):
        queue.write()
