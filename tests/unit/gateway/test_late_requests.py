"""A request sent after another tool's change shows it, also in the turn of the event loop that began before both."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from blockbuster import BlockBuster

from storaged.gateway.answers import Answer, Streamed
from storaged.gateway.connection import HttpConnection
from storaged.gateway.request import Request
from storaged.service.session import Session
from tests.support.connection import served
from tests.unit.service.conftest import Desk

from .conftest import resting

pytestmark = pytest.mark.anyio

LATE = "localhost/late:1"


async def test_over_json_rpc(desk: Desk, blocking_calls_fail: BlockBuster) -> None:
    second = {"jsonrpc": "2.0", "id": 2, "method": "images.list", "params": {"fields": ["id", "names"]}}

    def answer(session: Session, method: str, params: Any, descriptors: Sequence[int] = (), /) -> Any:
        answered = desk.service.begin(session, method, params, descriptors)
        if not callable(answered) and not changed:
            changed.append(_change(desk, blocking_calls_fail))
            it.wire.socket.send(json.dumps(second).encode() + b"\n")
        return answered

    changed: list[str] = []
    async with desk.ground.running(), served(answer) as it:
        await it.wire.call(1, "images.exists", name=LATE)
        assert (await it.wire.line())["result"]["exists"] is False
        assert changed[0] in {image["id"] for image in (await it.wire.line())["result"]["images"]}


async def test_over_http(desk: Desk, blocking_calls_fail: BlockBuster, monkeypatch: pytest.MonkeyPatch) -> None:
    changed: list[str] = []
    target = "/v5.0.0/libpod/images/json"
    async with resting(desk) as rest:
        answer = rest.gateway.answer

        async def answered(connection: HttpConnection, request: Request) -> Answer | Streamed | None:
            found = await answer(connection, request)
            if not changed:
                changed.append(_change(desk, blocking_calls_fail))
                wire.socket.send(f"GET {target} HTTP/1.1\r\nHost: d\r\n\r\n".encode())
            return found

        monkeypatch.setattr(rest.gateway, "answer", answered)
        async with rest.client() as wire:
            before = {row["Id"] for row in (await wire.get(target)).json}
            after = {row["Id"] for row in (await wire.reply()).json}
        assert after - before == set(changed)


def _change(desk: Desk, detector: BlockBuster) -> str:
    """Another tool's, within the turn; returns the new image's id."""
    detector.deactivate()
    return desk.ground.writer.add_image("late", names=[LATE])
