"""What becomes of an answer: long ones are not copied, and a change that was made is never told as refused."""

from __future__ import annotations

import logging
import re
import tracemalloc
import weakref
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from storaged.metrics import Metrics
from storaged.server.limits import Limits
from storaged.server.quotas import Quotas
from storaged_client.contract.errors import ImageUnknown
from tests.support.connection import Methods, Served, served

from .test_connection import until

pytestmark = pytest.mark.anyio

MIB = 1 << 20
CHANGE = "images.prune"
"""A method that changes the store; its handler here is a few lines."""


def audited(caplog: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    lines = [record.getMessage() for record in caplog.records if record.name == "storaged.audit"]
    return [re.fullmatch(r"audit method=(\S+) .* target=(\S+) result=(\S+)", line).groups() for line in lines]  # type: ignore[union-attr]


def changing(methods: Methods, size: int) -> list[Any]:
    """Have the change answer with so many bytes; what it was asked for is kept."""
    made: list[Any] = []

    async def change(params: Any) -> bytes:
        made.append(params)
        return b'"' + b"x" * (size - 2) + b'"'

    methods.extra[CHANGE] = change
    return made


async def spend(it: Served, size: int) -> None:
    """Have unread answers wait: more than the socket takes, so that the rest counts."""
    await it.wire.call("unread", "big", size=size)
    await until(lambda: it.quotas.bytes)


async def test_what_a_change_did_is_told_though_the_budget_of_bytes_was_spent_meanwhile() -> None:
    methods = Methods()
    limits = Limits(uid_bytes=2 * MIB)
    quotas = Quotas(limits, Metrics())
    async with served(methods, limits, quotas) as slow, served(methods, limits, quotas) as it:

        async def change(params: Any) -> bytes:
            await spend(slow, 2 * MIB)
            return b'"' + b"x" * MIB + b'"'

        methods.extra[CHANGE] = change
        await it.wire.call(1, CHANGE)
        assert len((await it.wire.line())["result"]) == MIB
        await it.wire.call(2, "big", size=MIB)
        assert (await it.wire.line())["error"]["data"]["name"] == "TooManyRequests"


async def test_a_change_does_not_begin_where_there_is_no_room_for_its_answer(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "storaged.audit")
    methods = Methods()
    made = changing(methods, 10)
    limits = Limits(uid_bytes=MIB)
    quotas = Quotas(limits, Metrics())
    async with served(methods, limits, quotas) as slow, served(methods, limits, quotas) as it:
        await spend(slow, 3 * MIB)
        await it.wire.call(1, CHANGE, filters=[], plan="p")
        assert (await it.wire.line())["error"]["data"]["name"] == "TooManyRequests"
        assert made == []
        assert audited(caplog) == [(CHANGE, "p", "TooManyRequests")]


async def test_a_change_whose_report_is_too_long_is_told_as_carried_out() -> None:
    methods = Methods()
    made = changing(methods, 5000)
    async with served(methods, Limits(reply_bytes=1000)) as it:
        await it.wire.call(1, CHANGE)
        error = (await it.wire.line())["error"]
        assert (error["data"]["name"], error["data"]["carried_out"], len(made)) == ("TooLarge", True, 1)
        assert "carried out" in error["message"]


async def test_a_mutation_refused_before_it_begins_leaves_its_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "storaged.audit")
    methods = Methods()
    async with served(methods, Limits(uid_in_flight=1)) as it:
        await it.wire.call(1, "stick")
        await until(lambda: methods.begun)
        await it.wire.call(2, "images.tag", name="a", tags=["b"])
        await it.wire.send({"jsonrpc": "2.0", "method": "images.tag", "params": {"name": "silent", "tags": []}})
        await it.wire.call(3, "images.tag", nonsense=1)
        await it.wire.call(4, "images.list")
        for number in (2, 3, 4):
            assert (await it.wire.line())["id"] == number
        it.connection.refuse_rest()
        assert (await it.wire.line())["id"] == 1
        await it.wire.call(5, "images.tag", name="late", tags=[])
        assert (await it.wire.line())["error"]["data"]["name"] == "ShuttingDown"
    assert audited(caplog) == [
        ("images.tag", "a,b", "TooManyRequests"),
        ("images.tag", "silent", "TooManyRequests"),
        ("images.tag", "-", "TooManyRequests"),
        ("images.tag", "late", "ShuttingDown"),
    ]


async def test_a_notification_that_is_under_way_ends_with_the_rest() -> None:
    methods = Methods()
    async with served(methods) as it:
        await it.wire.send({"jsonrpc": "2.0", "method": "stick"})
        await until(lambda: methods.begun)
        assert not methods.ended
        it.connection.refuse_rest()
        await until(lambda: methods.ended)


async def test_a_mutation_whose_client_went_before_it_could_begin_leaves_its_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "storaged.audit")
    methods = Methods()
    async with served(methods, Limits(in_flight=1)) as it:
        # In one write: what was never read leaves no line.
        await it.wire.send(
            {"jsonrpc": "2.0", "id": 1, "method": "stick"},
            {"jsonrpc": "2.0", "id": 2, "method": "images.tag", "params": {"name": "a", "tags": []}},
        )
        await until(lambda: it.metrics.counters["limits.in_flight"])
        await it.wire.stream.aclose()
        await it.ended.wait()
    assert audited(caplog) == [("images.tag", "a", "RequestCancelled")]


async def test_requests_in_flight_are_bounded_by_their_bytes_and_all_are_answered() -> None:
    methods = Methods()
    async with served(methods, Limits(in_flight_bytes=100_000)) as it:
        async with anyio.create_task_group() as tasks:
            call = {"jsonrpc": "2.0", "method": "stick", "params": {"text": "x" * 30_000}}
            tasks.start_soon(it.wire.send, *({**call, "id": number} for number in range(10)))
            await until(lambda: it.metrics.counters["limits.in_flight_bytes"])
            await anyio.wait_all_tasks_blocked()
            assert len(methods.begun) == 4
            assert 100_000 <= it.quotas.request_bytes < 125_000
            methods.release.set()
            assert {(await it.wire.line())["id"] for _ in range(10)} == set(range(10))
        await until(lambda: it.quotas.request_bytes == 0)


class Burden:
    """What a method is at work on."""


async def freed(burdens: list[weakref.ref[Burden]]) -> bool:
    """Whether all are, once the loop has let go of the tasks that had them."""
    for _ in range(20):
        await anyio.lowlevel.checkpoint()
    return burdens != [] and not any(burden() for burden in burdens)


@pytest.mark.usefixtures("no_collection")
async def test_what_an_error_left_behind_is_freed_with_its_answer() -> None:
    methods = Methods()
    left: list[weakref.ref[Burden]] = []

    async def failing(params: Any) -> bytes:
        burden = Burden()
        left.append(weakref.ref(burden))
        raise ImageUnknown("none", {"why": str(params)})

    methods.extra["failing"] = failing
    async with served(methods) as it:
        await it.wire.call(1, "failing")
        assert (await it.wire.line())["error"]["data"]["name"] == "ImageUnknown"
        await it.wire.call(2, "echo")
        await it.wire.line()
        assert await freed(left)


@pytest.mark.usefixtures("no_collection")
async def test_what_requests_were_at_work_on_is_freed_when_their_connection_ends() -> None:
    methods = Methods()
    left: list[weakref.ref[Burden]] = []

    async def busy(params: Any) -> bytes:
        burden = Burden()
        left.append(weakref.ref(burden))
        await anyio.sleep_forever()
        return str(burden).encode()

    methods.extra["busy"] = busy
    async with served(methods) as it:
        for number in range(3):
            await it.wire.call(number, "busy")
        await until(lambda: len(left) == 3)
        await it.wire.stream.aclose()
        await it.ended.wait()
        assert await freed(left)


@pytest.mark.parametrize("rows", [1, 1000])
@pytest.mark.parametrize("batch", [False, True])
async def test_a_long_reply_is_sent_without_a_copy_of_it(rows: int, batch: bool) -> None:
    """A handler's bytes are written from where they are: what is written is taken from there."""
    methods = Methods()
    size = 12 * MIB
    kept = [b" " * (size // rows - 3) + b"1,\n" for _ in range(rows)]

    async def listing(params: Any) -> Any:
        return [b"[", *kept, b"1]"]

    methods.extra["listing"] = listing
    async with served(methods) as it:
        # Warm, so that what is made once does not count.
        await it.wire.call(0, "echo")
        await it.wire.line()
        tracemalloc.start()
        try:
            call = {"jsonrpc": "2.0", "id": 1, "method": "listing", "params": {}}
            await it.wire.send([call] if batch else call)
            received = 0
            tracemalloc.reset_peak()
            while received < sum(map(len, kept)):
                received += len(await it.wire.stream.receive(MIB))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # The test's own end reads a MiB at a time; a copy would be 12.
        assert peak < 6 * MIB
