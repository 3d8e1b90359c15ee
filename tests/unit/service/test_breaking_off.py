"""A disk that refuses in the middle of a change: nothing waits for the next start, and the answer says what is so."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio import from_thread
from anyio.to_thread import run_sync

from storaged.store.files import Files
from storaged.store.layout import paths
from storaged_client.contract.errors import DiskFailure, ImageUnknown, StoreBusy
from tests.support.ground import DRIVER, held
from tests.support.service import Desk

pytestmark = pytest.mark.anyio


def refuse_renames(
    patch: pytest.MonkeyPatch, name: str, *, times: int = 1, then: Callable[[], None] = lambda: None
) -> None:
    """Let the next renames onto a file of this name fail, as a failing disk does."""
    rename, left = Files.rename, [times]

    def refusing(files: Files, source: str, target: str) -> None:
        if os.path.basename(target) == name and left[0]:
            left[0] -= 1
            then()
            raise OSError(errno.EIO, os.strerror(errno.EIO), target)
        rename(files, source, target)

    patch.setattr(Files, "rename", refusing)


def ids(desk: Desk, noun: str) -> set[str]:
    table = Path(desk.ground.location.graphroot) / f"{DRIVER}-{noun}" / f"{noun}.json"
    return {record["id"] for record in json.loads(table.read_bytes())}


def left_behind(desk: Desk) -> list[str]:
    """Entries of the journal and staging folders."""
    root = Path(desk.ground.location.graphroot)
    own = [path.name for path in (root / "storaged").glob("journal-*")]
    return own + [path.name for path in root.rglob("temp-dir-*")]


async def one(desk: Desk) -> dict[str, Any]:
    """A dangling image whose layer nothing else needs."""
    listed = await desk.ask("images.list", {"filters": ["dangling=true", "readonly=false", "containers=false"]})
    snapshot = desk.ground.cache.known().snapshot
    tops = [image.record.layer for image in snapshot.images]
    parents = {layer.record.parent for layer in snapshot.layer_by_id.values()}
    return dict(
        next(
            image
            for image in listed["images"]
            if (top := snapshot.by_id[image["id"]].record.layer) and tops.count(top) == 1 and top not in parents
        )
    )


async def test_a_removal_that_breaks_off_is_gone_on_with_and_answered_as_done(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.ground.running():
        image = await one(desk)
        layers = await run_sync(ids, desk, "layers")
        refuse_renames(monkeypatch, "layers.json")
        report = await desk.ask("images.remove", {"names": [image["id"]]})
        assert [row["id"] for row in report["removed"]] == [image["id"]]
        assert (report["failed"], report["unfinished"]) == ([], None)
        assert desk.ground.metrics.counters["changes.broken_off"] == 1
        assert image["id"] not in await run_sync(ids, desk, "images")
        assert await run_sync(ids, desk, "layers") < layers
        assert await run_sync(left_behind, desk) == []
        with pytest.raises(ImageUnknown):
            await desk.ask("images.resolve", {"name": image["id"]})


async def test_where_recovery_fails_as_well_the_image_is_gone_and_the_report_tells_what_is_left(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.ground.running():
        image = await one(desk)
        with monkeypatch.context() as patch:
            refuse_renames(patch, "layers.json", times=1000)
            report = await desk.ask("images.remove", {"names": [image["id"]]})
        assert [row["id"] for row in report["removed"]] == [image["id"]]
        assert "layers.json" in report["unfinished"]
        assert await run_sync(left_behind, desk) != []
        # The next one that breaks off takes the rest along.
        other = await one(desk)
        refuse_renames(monkeypatch, "layers.json")
        report = await desk.ask("images.remove", {"names": [other["id"]]})
        assert report["unfinished"] is None
        assert await run_sync(left_behind, desk) == []


async def test_a_list_that_got_no_record_leaves_no_folder_and_is_an_error(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.ground.running():
        await desk.ask("images.list")
        folders = await run_sync(os.listdir, desk.ground.images_json.parent)
        refuse_renames(monkeypatch, "images.json")
        with pytest.raises(DiskFailure, match="was not made") as failed:
            await desk.ask("manifests.create", {"name": "localhost/l:1"})
        assert failed.value.data["partial"] is False
        assert await run_sync(os.listdir, desk.ground.images_json.parent) == folders
        assert await run_sync(left_behind, desk) == []


async def test_an_edit_of_a_list_that_breaks_off_is_carried_on_and_answered(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.ground.running():
        image = await one(desk)
        made = await desk.ask("manifests.create", {"name": "localhost/l:1"})
        refuse_renames(monkeypatch, "images.json")
        edited = await desk.ask("manifests.add", {"name": "localhost/l:1", "image": image["id"]})
        assert edited["digest"] != made["digest"]
        listed = await desk.ask("manifests.list")
        assert listed["generation"] == edited["generation"]
        assert edited["digest"] in [row["digest"] for row in listed["manifests"] if row["id"] == made["id"]]
        assert desk.ground.metrics.counters["changes.mended"] == 1


async def test_a_name_that_may_be_lost_with_the_power_is_an_error_that_says_so(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with desk.ground.running():
        image = await one(desk)
        fsync = Files.fsync

        def refusing(files: Files, fd: int) -> None:
            if os.readlink(f"/proc/self/fd/{fd}") == str(desk.ground.images_json.parent):
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            fsync(files, fd)

        monkeypatch.setattr(Files, "fsync", refusing)
        with pytest.raises(DiskFailure, match="power loss") as failed:
            await desk.ask("images.tag", {"name": image["id"], "tags": ["new:1"]})
        assert failed.value.data["partial"] is True
        assert (await desk.ask("images.resolve", {"name": "new:1"}))["id"] == image["id"]


async def test_a_lease_asked_for_meanwhile_is_not_answered_on_an_image_that_is_gone(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: list[str] = []

    async def lease(image: str) -> None:
        try:
            await desk.ask("store.lease", {"images": [image]})
        except ImageUnknown:
            answers.append("unknown")

    async with desk.ground.running(), anyio.create_task_group() as tasks:
        image = (await one(desk))["id"]
        refuse_renames(monkeypatch, "layers.json", then=lambda: from_thread.run_sync(tasks.start_soon, lease, image))
        await desk.ask("images.remove", {"names": [image]})
    assert answers == ["unknown"]
    assert len(desk.ground.cache.context.leases) == 0


async def test_a_lease_waits_while_the_change_before_it_cannot_be_read_back(desk: Desk) -> None:
    async with desk.ground.running():
        image = (await one(desk))["id"]
        async with held(paths.images_lock(desk.ground.location.graphroot, DRIVER)):
            await run_sync(_drop, desk, image)
            desk.ground.cache.pending_readback.begin()
            with pytest.raises(StoreBusy, match="being removed"):
                await desk.ask("store.lease", {"images": [image], "timeout": 0.1})
        with pytest.raises(ImageUnknown):
            await desk.ask("store.lease", {"images": [image]})


def _drop(desk: Desk, image: str) -> None:
    table = desk.ground.images_json
    records = [record for record in json.loads(table.read_bytes()) if record["id"] != image]
    fresh = table.with_name(".tmp-images.json-test")
    fresh.write_text(json.dumps(records))
    fresh.rename(table)
