"""``images.tag``, ``untag``, ``remove`` and ``prune`` on a real store, with the real writer."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anyio.to_thread import run_sync

from storaged.service import removal_batches
from storaged.store.files import Files
from storaged_client.contract.errors import (
    InvalidParams,
    NoSpace,
    NotPermitted,
    PlanStale,
    TagUnknown,
)
from tests.support.ground import DRIVER, lay
from tests.support.service import Desk, desk_of

pytestmark = pytest.mark.anyio


def tables(desk: Desk) -> dict[str, list[dict[str, Any]]]:
    """What lies on the disk."""
    root = Path(desk.ground.location.graphroot)
    return {
        noun: json.loads((root / f"{DRIVER}-{noun}" / f"{noun}.json").read_bytes()) for noun in ("images", "layers")
    }


def mount(desk: Desk, *layers: str) -> None:
    """Have layers look mounted, as podman writes it down."""
    path = Path(desk.ground.location.runroot) / f"{DRIVER}-layers" / "mountpoints.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{"id": layer, "path": f"/merged/{layer}", "count": 1} for layer in layers]))


async def dangling(desk: Desk) -> list[dict[str, Any]]:
    filters = ["dangling=true", "readonly=false", "containers=false"]
    return list((await desk.ask("images.list", {"filters": filters}))["images"])


async def one(desk: Desk) -> dict[str, Any]:
    found, *_ = [image for image in await dangling(desk) if not image["manifest_list"]]
    return dict(found)


async def test_a_name_given_and_taken_is_in_the_next_read_and_on_the_disk(desk: Desk) -> None:
    async with desk.ground.running():
        image = await one(desk)
        tagged = await desk.ask("images.tag", {"name": image["id"], "tags": ["new:1", "new:2"]})
        assert tagged["names"] == ["localhost/new:2", "localhost/new:1"]
        assert (await desk.ask("images.resolve", {"name": "new:1"}))["id"] == image["id"]
        (record,) = [row for row in (await run_sync(tables, desk))["images"] if row["id"] == image["id"]]
        assert record["names-history"][:2] == ["localhost/new:1", "localhost/new:2"]
        again = await desk.ask("images.tag", {"name": image["id"], "tags": ["new:2"]})
        assert (again["changed"], again["generation"]) == (False, tagged["generation"])
        with pytest.raises(TagUnknown):
            await desk.ask("images.untag", {"name": "new:1", "tags": ["new:1", "nobody"]})
        left = await desk.ask("images.untag", {"name": "new:1"})
        assert (left["names"], left["changed"]) == ([], True)


async def test_prune_takes_what_dangles_with_its_layers_and_reports_every_image(desk: Desk) -> None:
    async with desk.ground.running():
        before = await run_sync(tables, desk)
        expected = {image["id"] for image in await dangling(desk)}
        dry = await desk.ask("images.prune", {"dry_run": True})
        assert await run_sync(tables, desk) == before
        report = await desk.ask("images.prune")
        for name in ("removed", "kept", "failed", "freed", "untagged"):
            assert report[name] == dry[name], name
        removed = {row["id"] for row in report["removed"]}
        assert expected <= removed
        assert report["failed"] == []
        after = await run_sync(tables, desk)
        assert {row["id"] for row in after["images"]} == {row["id"] for row in before["images"]} - removed
        assert await dangling(desk) == []
        every = {row["id"] for row in (await desk.ask("images.list", {"all": True}))["images"]}
        assert {row["id"] for row in report["kept"]} == every
        lost = {row["id"]: row for row in before["layers"]}.keys() - {row["id"] for row in after["layers"]}
        assert lost
        folders = set(await run_sync(os.listdir, Path(desk.ground.location.graphroot) / DRIVER))
        assert not lost & folders
        assert (await desk.ask("images.prune"))["removed"] == []


async def test_a_plan_is_applied_as_it_was_made_and_to_nothing_else(desk: Desk) -> None:
    async with desk.ground.running():
        first, second, *_ = [image for image in await dangling(desk) if not image["manifest_list"]]
        await desk.ask("images.tag", {"name": first["id"], "tags": ["later"]})
        plan = await desk.ask("images.prune", {"dry_run": True})
        await desk.ask("images.untag", {"name": first["id"]})
        await desk.ask("images.tag", {"name": second["id"], "tags": ["kept"]})
        with pytest.raises(InvalidParams):
            await desk.ask("images.prune", {"plan": plan["plan"], "all": True})
        looked = await desk.ask("images.prune", {"plan": plan["plan"], "dry_run": True})
        report = await desk.ask("images.prune", {"plan": plan["plan"]})
        removed = {row["id"] for row in report["removed"]}
        # A look at a plan names the very images that its application takes, keeps and frees, and makes no other plan.
        assert {**report, "plan": plan["plan"], "generation": looked["generation"], "stale": None} == looked
        listed = {row["id"] for row in plan["removed"]}
        assert first["id"] not in listed
        assert removed <= listed - {second["id"]}
        changed = {row["id"]: row["reasons"] for row in report["changed"]}
        assert [reason["code"] for reason in changed[second["id"]]] == ["named"]
        assert removed | changed.keys() == listed
        with pytest.raises(PlanStale):
            await desk.ask("images.prune", {"plan": plan["plan"]}, uid=4711)
        with pytest.raises(PlanStale):
            await desk.ask("images.prune", {"plan": "another"})
        with pytest.raises(PlanStale):
            await desk.ask("images.prune", {"plan": "another", "dry_run": True})


@pytest.fixture
def crowded_desk(tmp_path: Path) -> Iterator[Desk]:
    """A service with more dangling images, which share layers."""
    with lay(tmp_path, images=40) as ground:
        yield desk_of(ground)


async def test_one_mounted_image_fails_alone_and_hinders_no_other(crowded_desk: Desk) -> None:
    desk = crowded_desk
    async with desk.ground.running():
        dry = await desk.ask("images.prune", {"dry_run": True})
        listed = [row["id"] for row in dry["removed"]]
        layers = {row["id"]: row["layer"] for row in (await run_sync(tables, desk))["images"] if row.get("layer")}
        chosen = next(row for row in dry["removed"] if row["id"] in layers and row["freed"] and row["freed"] > 1000)
        await run_sync(mount, desk, layers[chosen["id"]])
        report = await desk.ask("images.prune")
        failed = {row["id"]: row["error"]["data"]["name"] for row in report["failed"]}
        assert set(failed.values()) == {"ImageInUse"}
        stay = failed.keys() | {row["id"] for row in report["changed"]}
        removed = [row["id"] for row in report["removed"]]
        assert set(removed) == set(listed) - stay
        assert removed
        assert {row["id"] for row in report["kept"]}.isdisjoint(listed)
        assert report["kept"] == dry["kept"]
        await run_sync(mount, desk, *layers.values())
        tried = await desk.ask("images.prune")
        assert (tried["removed"], {row["id"] for row in tried["failed"]}) == ([], failed.keys())
        assert {row["id"] for row in dry["kept"]} <= {row["id"] for row in tried["kept"]}


async def test_an_image_that_changed_since_its_plan_is_told_beside_one_that_is_mounted(desk: Desk) -> None:
    async with desk.ground.running():
        plan = await desk.ask("images.prune", {"dry_run": True})
        listed = {row["id"] for row in plan["removed"]}
        layers = {row["id"]: row["layer"] for row in (await run_sync(tables, desk))["images"] if row.get("layer")}
        alone = [
            row["id"] for row in plan["removed"] if row["id"] in layers and row["freed"] and row["freed"] > 100_000
        ]
        mounted = alone[0]
        named = next(image for image in reversed(alone) if layers[image] != layers[mounted])
        await run_sync(mount, desk, layers[mounted])
        await run_sync(lambda: desk.ground.writer.set_names(named, ["localhost/since:1"]))
        report = await desk.ask("images.prune", {"plan": plan["plan"]})
        assert mounted in [row["id"] for row in report["failed"]]
        assert named in [row["id"] for row in report["changed"]]
        told = [row["id"] for key in ("removed", "failed", "changed", "kept") for row in report[key]]
        assert listed <= set(told)


async def test_a_removal_reports_names_images_and_failures_side_by_side(desk: Desk) -> None:
    async with desk.ground.running():
        image = await one(desk)
        await desk.ask("images.tag", {"name": image["id"], "tags": ["a:1", "a:2"]})
        dry = await desk.ask("images.remove", {"names": ["a:1", "nobody", "a:2"], "dry_run": True})
        report = await desk.ask("images.remove", {"names": ["a:1", "nobody", "a:2"]})
        assert {**report, "generation": ""} == {**dry, "generation": ""}
        assert image["id"] in [row["id"] for row in report["removed"]]
        assert [row["name"] for row in report["untagged"]] == ["localhost/a:1", "localhost/a:2"]
        (failed,) = report["failed"]
        assert (failed["name"], failed["error"]["data"]["name"]) == ("nobody", "ImageUnknown")
        assert not await run_sync(desk.ground.item(image["id"], "manifest").exists)
        with pytest.raises(InvalidParams):
            await desk.ask("images.remove", {"names": ["x"], "all": True})
        with pytest.raises(InvalidParams):
            await desk.ask("images.remove", {})


async def test_a_mounted_ancestor_stays_and_what_was_named_goes(desk: Desk) -> None:
    async with desk.ground.running():
        dry = await desk.ask("images.prune", {"dry_run": True})
        ancestor = next(row for row in dry["removed"] if row["reasons"][0]["code"] == "ancestor" and row["freed"])
        child = ancestor["reasons"][0]["image"]
        layers = {row["id"]: row.get("layer") for row in (await run_sync(tables, desk))["images"]}
        assert layers[child] != layers[ancestor["id"]]
        await run_sync(mount, desk, layers[ancestor["id"]])
        report = await desk.ask("images.remove", {"names": [child]})
        assert [row["id"] for row in report["removed"]] == [child]
        assert report["failed"] == []


async def test_everything_goes_in_rounds_of_few_moves(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(removal_batches, "MOST_MOVES", 9)
    async with desk.ground.running():
        before = await run_sync(tables, desk)
        report = await desk.ask("images.remove", {"all": True, "force": True})
        left = {row["id"] for row in (await run_sync(tables, desk))["images"]}
        failed = {row["id"] for row in report["failed"]}
        assert left == failed
        assert {row["error"]["data"]["name"] for row in report["failed"]} <= {"ImageInUse"}
        assert {row["id"] for row in report["removed"]} == {row["id"] for row in before["images"]} - left
        assert desk.ground.metrics.counters["commits"] > 3


async def test_what_went_before_the_disk_was_full_is_reported_and_the_rest_failed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(removal_batches, "MOST_MOVES", 1)
    async with desk.ground.running():
        dry = await desk.ask("images.prune", {"dry_run": True})
        write = Files.write

        def until_full(files: Files, fd: int, data: bytes) -> int:
            if desk.ground.metrics.counters["commits"]:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return write(files, fd, data)

        monkeypatch.setattr(Files, "write", until_full)
        report = await desk.ask("images.prune")
        assert report["removed"]
        assert {row["error"]["data"]["name"] for row in report["failed"]} == {"NoSpace"}
        told = [row["id"] for row in (*report["removed"], *report["failed"])]
        assert sorted(told) == sorted(row["id"] for row in dry["removed"])
        with pytest.raises(NoSpace):
            await desk.ask("images.prune")


async def test_a_list_whose_bytes_changed_beneath_its_record_keeps_everything_and_is_named(desk: Desk) -> None:
    async with desk.ground.running():
        image = await one(desk)
        made = await desk.ask("manifests.create", {"name": "localhost/l:1"})
        dry = await desk.ask("images.prune", {"dry_run": True})
        assert image["id"] in [row["id"] for row in dry["removed"]]
        ancestor = next(row for row in dry["removed"] if row["reasons"][0]["code"] == "ancestor")
        item = desk.ground.item(made["id"], "manifest")
        await run_sync(item.write_bytes, (await run_sync(item.read_bytes)).replace(b"manifests", b"something"))
        report = await desk.ask("images.prune")
        assert (report["removed"], report["failed"]) == ([], [])
        (kept,) = [row for row in report["kept"] if row["id"] == image["id"]]
        assert [reason["image"] for reason in kept["reasons"]] == [made["id"]]
        report = await desk.ask("images.remove", {"names": [ancestor["reasons"][0]["image"]], "force": True})
        assert [row["id"] for row in report["removed"]] == [ancestor["reasons"][0]["image"]]


async def test_only_who_may_change_the_store_may_prune_even_dry(desk: Desk) -> None:
    async with desk.ground.running():
        for method, params in (
            ("images.prune", {"dry_run": True}),
            ("images.remove", {"names": ["x"]}),
            ("images.tag", {"name": "x", "tags": ["y"]}),
            ("images.untag", {"name": "x"}),
        ):
            with pytest.raises(NotPermitted):
                await desk.ask(method, params, uid=12345)


async def test_a_lease_keeps_an_image_from_prune_and_from_remove(desk: Desk) -> None:
    async with desk.ground.running():
        image = await one(desk)
        leases = desk.ground.cache.context.leases
        held = leases.take([image["id"]], owner=desk, uid=0, ttl=60)
        assert held is not None
        report = await desk.ask("images.prune")
        (kept,) = [row for row in report["kept"] if row["id"] == image["id"]]
        assert [reason["code"] for reason in kept["reasons"]] == ["lease"]
        report = await desk.ask("images.remove", {"names": [image["id"]], "force": True})
        assert [row["error"]["data"]["name"] for row in report["failed"]] == ["Leased"]
        leases.release(held.lease, owner=desk)
        report = await desk.ask("images.prune")
        assert image["id"] in [row["id"] for row in report["removed"]]


async def test_files_that_could_not_be_deleted_are_told_and_fail_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(files: Files, path: str, *, dir_fd: int | None = None) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY), path)

    async with desk.ground.running():
        image = await one(desk)
        with monkeypatch.context() as patch:
            patch.setattr(Files, "rmdir", stuck)
            report = await desk.ask("images.remove", {"names": [image["id"]]})
        assert [row["id"] for row in report["removed"]] == [image["id"]]
        assert (report["failed"], "busy" in report["unfinished"]) == ([], True)
        report = await desk.ask("images.remove", {"names": [(await one(desk))["id"]]})
        assert report["unfinished"] is None
