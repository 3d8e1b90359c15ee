"""Parameters of many members are looked at by a thread, and names of one request are bounded."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pytest

from storaged.service import service as module
from storaged.service.params import MOST_NAMES, bulky
from storaged_client.contract.errors import InvalidParams
from tests.support.service import Desk

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        (None, False),
        ({"filters": ["a=b"] * 64}, False),
        ({"filters": ["a=b"] * 65}, True),
        ([["a"] * 65], True),
        ({"artifact": {"layers": [{"data": ""}] * 65}}, True),
        ({"artifact": {"annotations": dict.fromkeys(map(str, range(65)), "")}}, True),
        ({"name": "x" * 100_000}, False),
        ({str(n): 1 for n in range(65)}, True),
    ],
)
def test_what_is_bulky(params: Any, expected: bool) -> None:
    assert bulky(params) is expected


@pytest.mark.parametrize("method", ["images.list", "images.get", "images.remove"])
async def test_many_parameters_are_structured_by_a_thread(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    threads: list[bool] = []
    real = module.structure

    def watched(*asked: Any) -> Any:
        threads.append(threading.current_thread() is threading.main_thread())
        return real(*asked)

    monkeypatch.setattr(module, "structure", watched)
    params: dict[str, Any] = {"images.list": {"filters": ["id!=x"] * 100}}.get(method, {"names": ["x"] * 100})
    if method == "images.remove":
        params["dry_run"] = True
    async with desk.ground.running():
        await desk.ask(method, params)
    assert threads == [False]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("images.tag", {"name": "x", "tags": ["a"] * (MOST_NAMES + 1)}),
        ("images.untag", {"name": "x", "tags": ["a"] * (MOST_NAMES + 1)}),
        ("images.create", {"config": {}, "names": ["a"] * (MOST_NAMES + 1)}),
        ("store.lease", {"images": ["a"] * (MOST_NAMES + 1)}),
        ("images.list", {"fields": ["id"] * 200}),
    ],
)
async def test_too_many_names_of_one_request_are_refused(desk: Desk, method: str, params: Any) -> None:
    async with desk.ground.running():
        with pytest.raises(InvalidParams, match="too many"):
            await desk.ask(method, params)


async def test_a_long_line_of_audit_is_written_by_a_thread(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "storaged.audit")
    async with desk.ground.running():
        await desk.ask("images.remove", {"names": ["x" * 100_000], "ignore": True, "dry_run": True})
    lines = [record for record in caplog.records if record.name == "storaged.audit"]
    assert sum(record.getMessage().count("x") for record in lines) >= 100_000
    assert {record.thread for record in lines} != {threading.get_ident()}
