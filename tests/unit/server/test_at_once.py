"""Requests that are answered without a task of their own: in their order, counted and bounded as all others."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import anyio
import pytest

from storaged.server.limits import Limits
from tests.support.connection import Methods, logged, served

from .test_connection import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged("storaged.server.request_tasks") as written:
        yield written


async def test_they_come_in_the_order_they_were_sent_and_before_what_still_waits() -> None:
    async with served(Methods()) as it:
        await it.wire.send(
            *({"jsonrpc": "2.0", "id": number, "method": "now.echo", "params": [number]} for number in range(40)),
            {"jsonrpc": "2.0", "id": "stuck", "method": "stick", "params": []},
            *({"jsonrpc": "2.0", "id": number, "method": "now.echo", "params": [number]} for number in range(40, 80)),
        )
        assert [(await it.wire.line())["result"] for _ in range(80)] == [[number] for number in range(80)]
        assert it.connection.budget.in_flight == 1


async def test_their_errors_and_our_mistakes_are_answers_and_name_their_request_in_the_log(log: io.StringIO) -> None:
    async with served(Methods()) as it:
        await it.wire.call(1, "now.unknown", name="a")
        assert (await it.wire.line())["error"]["data"] == {"image": "a", "name": "ImageUnknown"}
        await it.wire.call("mine", "now.broken")
        assert (await it.wire.line())["error"]["data"]["name"] == "InternalError"
        assert it.metrics.counters["requests.failed"] == 1
    line = log.getvalue().splitlines()[0]
    assert line == "<3>storaged.server.request_tasks: request failed connection=1 method=now.broken request=mine"


async def test_nothing_of_them_is_counted_when_they_are_answered() -> None:
    async with served(Methods()) as it:
        batch: list[dict[str, Any]] = [
            {"jsonrpc": "2.0", "id": 1, "method": "now.echo", "params": [1]},
            {"jsonrpc": "2.0", "method": "now.echo", "params": [2]},
            {"jsonrpc": "2.0", "id": 2, "method": "echo", "params": [3]},
        ]
        await it.wire.write(json.dumps(batch).encode() + b"\n")
        assert [answer["result"] for answer in await it.wire.line()] == [[1], [3]]
        await it.wire.send({"jsonrpc": "2.0", "method": "now.broken"})
        await it.wire.call(4, "now.echo")
        await it.wire.line()
        await until(lambda: not it.connection.budget.in_flight)
        assert (it.quotas.in_flight, it.quotas.bytes, it.quotas.request_bytes) == (0, 0, 0)


async def test_who_does_not_read_them_is_not_read_from_either() -> None:
    limits = Limits(in_flight=4)
    methods = Methods()
    async with served(methods, limits) as it:
        for number in range(60):
            await it.wire.call(number, "now.big", size=100_000)
        with anyio.fail_after(5):
            while it.metrics.counters["limits.in_flight"] == 0:  # noqa: ASYNC110 - it tells nobody
                await anyio.sleep(0.002)
        assert it.connection.budget.in_flight == 4
        assert len(methods.ended) < 60
        assert [len((await it.wire.line())["result"]) for _ in range(60)] == [99_998] * 60


async def test_an_answer_longer_than_may_be_sent_is_an_error() -> None:
    async with served(Methods(), Limits(reply_bytes=1000)) as it:
        await it.wire.call(1, "now.big", size=2000)
        assert (await it.wire.line())["error"]["data"]["name"] == "TooLarge"
