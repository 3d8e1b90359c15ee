"""``store.check`` over the service: its report, its parameters, and a store whose tables cannot be read."""

from __future__ import annotations

import os

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged_client.contract import types as t
from storaged_client.contract import wire
from storaged_client.contract.errors import InvalidParams
from tests.support.service import OWN_UID, Desk

pytestmark = pytest.mark.anyio


async def test_a_check_reports_findings_in_the_contracts_form(desk: Desk) -> None:
    async with desk.ground.running():
        answer = await desk.ask("store.check", {"scope": "files"}, uid=1000)
    report = wire.structure_result(t.CheckReport, answer)
    # This ground's layers were never written.
    assert {each.name for each in report} == {"layer_directory_missing"}
    assert report.done == report.total
    assert report.resume is None
    assert all(each.endangers and each.detail for each in report)
    assert any(each.images for each in report)
    assert report.generation == desk.ground.cache.generation


async def test_records_alone_are_clean(desk: Desk) -> None:
    async with desk.ground.running():
        assert (await desk.ask("store.check", {"scope": "records"}))["findings"] == []


async def test_a_slice_ends_with_a_token_that_leads_to_the_end(desk: Desk) -> None:
    async with desk.ground.running():
        whole = await desk.ask("store.check")
        params: dict[str, object] = {"slice": 0.000001}
        found = []
        while True:
            answer = await desk.ask("store.check", params)
            found += answer["findings"]
            if answer["resume"] is None:
                break
            params["resume"] = answer["resume"]
    assert found == whole["findings"]


async def test_a_file_whose_name_is_no_utf8_is_a_finding_whose_command_removes_it(desk: Desk) -> None:
    folder = os.path.join(os.path.dirname(desk.ground.images_json), desk.ground.sample.images[0])
    stray = os.path.join(os.fsencode(folder), b"\xffad '$x")
    await anyio.Path(os.fsdecode(stray)).touch()
    async with desk.ground.running():
        answer = await desk.ask("store.check", {"scope": "files"})
    (found,) = (each for each in answer["findings"] if each["name"] == "big_data_extra")
    assert os.fsencode(found["file"]) == stray
    assert found["mend"].startswith("rm ")
    await anyio.run_process(["bash", "-c", found["mend"]])
    assert not await anyio.Path(os.fsdecode(stray)).exists()


@pytest.mark.parametrize(
    ("params", "path"),
    [({"slice": 0}, "slice"), ({"slice": -1.5}, "slice"), ({"resume": "x"}, "resume"), ({"scope": "all"}, "scope")],
)
async def test_wrong_parameters_are_refused_with_their_path(desk: Desk, params: dict[str, object], path: str) -> None:
    async with desk.ground.running():
        with pytest.raises(InvalidParams) as refused:
            await desk.ask("store.check", params)
    assert path in str(refused.value.data)


async def test_a_torn_table_is_a_finding_and_no_error(desk: Desk) -> None:
    path = desk.ground.images_json
    async with desk.ground.running():
        await run_sync(lambda: path.write_bytes(path.read_bytes()[:700]))
        answer = await desk.ask("store.check", {"scope": "records"})
    assert [(each["name"], each["id"]) for each in answer["findings"]] == [("table_unreadable", str(path))]


async def test_who_may_only_read_is_told_what_was_found_lately(desk: Desk) -> None:
    async with desk.ground.running():
        mine = await desk.ask("store.check", {"scope": "contents"})
        steps = desk.ground.metrics.counters["check.steps"]
        theirs = await desk.ask("store.check", {"scope": "contents"}, uid=1000)
        assert theirs["findings"] == mine["findings"]
        assert theirs["age"] > 0
        assert desk.ground.metrics.counters["check.steps"] == steps
        again = await desk.ask("store.check", {"scope": "contents"}, uid=OWN_UID)
        assert again["age"] == 0
        assert desk.ground.metrics.counters["check.steps"] == 2 * steps
