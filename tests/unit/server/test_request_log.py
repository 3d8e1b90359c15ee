"""Whose request a line of the log is about, wherever it was written."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

from tests.support.connection import Methods, logged, served

pytestmark = pytest.mark.anyio


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    with logged("storaged.testing") as written:
        yield written


async def test_a_line_bears_its_request_from_any_thread_and_no_other_requests(log: io.StringIO) -> None:
    both = anyio.Event()
    began: list[Any] = []

    async def work(params: Any) -> bytes:
        began.append(params)
        if len(began) == 2:
            both.set()
        await both.wait()
        await run_sync(lambda: logging.getLogger("storaged.testing").warning("worked for=%s", params["who"]))
        return json.dumps(params).encode()

    methods = Methods()
    methods.extra["work"] = work
    async with served(methods) as it:
        await it.wire.call("a\n<0>b", "work", who="first")
        await it.wire.call(2, "work", who="second")
        await it.wire.line()
        await it.wire.line()
        await it.wire.send({"jsonrpc": "2.0", "method": "work", "params": {"who": "nobody"}})
        await it.wire.call(3, "work", who="third")
        await it.wire.line()
        with anyio.fail_after(5):
            while log.getvalue().count("\n") < 4:  # noqa: ASYNC110 - a notification has no answer
                await anyio.sleep(0.002)
    assert sorted(log.getvalue().splitlines()) == [
        '<4>storaged.testing: worked for=first connection=1 request="a\\n<0>b"',
        "<4>storaged.testing: worked for=nobody connection=1 request=-",
        "<4>storaged.testing: worked for=second connection=1 request=2",
        "<4>storaged.testing: worked for=third connection=1 request=3",
    ]
