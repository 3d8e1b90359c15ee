"""``manifests.*`` and ``images.create`` on a real store, with the real writer."""

import base64
import json
from typing import Any

import pytest
from anyio.to_thread import run_sync

from storaged.errors import ImageDamaged
from storaged.operations.planned import Planned
from storaged.snapshot.model import Snapshot
from storaged.store.changes import Change
from storaged_client.contract.errors import ImageDamaged as Damaged
from storaged_client.contract.errors import (
    InstanceUnknown,
    InvalidParams,
    ManifestListUnknown,
    NameInUse,
    NotAManifestList,
    NotPermitted,
)
from tests.ground import Ground, transactions_of
from tests.unit.service.conftest import Desk

pytestmark = pytest.mark.anyio

NAME = "localhost/made:1"
BARE = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}
KEYS = ("manifest", "instances.json", "artifacts.json")


async def loose(desk: Desk) -> list[dict[str, Any]]:
    """Images of the writable store without a name, a child or a list."""
    return list((await desk.ask("images.list", {"filters": ["dangling=true", "manifest=false"]}))["images"])


async def test_a_list_is_made_edited_and_removed_and_each_next_read_shows_it(desk: Desk) -> None:
    async with desk.ground.running():
        one, two, *_ = await loose(desk)
        before = await run_sync(desk.ground.images_json.read_bytes)
        made = await desk.ask("manifests.create", {"name": NAME, "images": [one["id"], two["id"]]})
        assert made["names"] == [NAME]
        assert (await run_sync(desk.ground.images_json.read_bytes)).startswith(before[:-2])
        assert (await desk.ask("images.get", {"names": [one["id"]]}))["images"][0]["image"]["summary"]["in_lists"] == [
            made["id"]
        ]
        edited = await desk.ask("manifests.annotate", {"name": NAME, "digest": one["id"], "annotations": {"a": "b"}})
        left = await desk.ask("manifests.remove_instance", {"name": NAME, "digest": two["digest"]})
        (row,) = (
            each
            for each in (await desk.ask("manifests.list", {"include": ["instances"]}))["manifests"]
            if each["id"] == made["id"]
        )
        assert (row["digest"], left["digest"] != edited["digest"]) == (left["digest"], True)
        assert [(entry["image"], entry["annotations"]) for entry in row["instances"]] == [(one["id"], {"a": "b"})]
        report = await desk.ask("manifests.remove", {"names": [NAME]})
        assert [gone["id"] for gone in report["removed"]] == [made["id"]]
        assert one["id"] in {image["id"] for image in await loose(desk)}
        assert not await run_sync(desk.ground.item(made["id"], "manifest").exists)


async def test_the_record_tells_the_items_it_has(desk: Desk) -> None:
    async with desk.ground.running():
        image, *_ = await loose(desk)
        made = await desk.ask("manifests.create", {"name": NAME})
        artifact = {"layers": [{"data": base64.b64encode(b"x").decode()}]}
        await desk.ask("manifests.add", {"name": NAME, "image": image["id"], "platform": {"os": "plan9"}})
        added = await desk.ask("manifests.add", {"name": NAME, "artifact": artifact})
        (record,) = (
            each for each in json.loads(await run_sync(desk.ground.images_json.read_bytes)) if each["id"] == made["id"]
        )
        assert record["big-data-names"] == list(KEYS)
        assert record["digest"] == record["big-data-digests"]["manifest"] == added["digest"]
        for key in KEYS:
            data = await desk.ask("images.data", {"name": NAME, "key": key})
            assert (
                data["size"]
                == record["big-data-sizes"][key]
                == (await run_sync(desk.ground.item(made["id"], key).stat)).st_size
            )


async def test_an_image_of_a_configuration_is_there_for_the_next_read(desk: Desk) -> None:
    async with desk.ground.running():
        made = await desk.ask("images.create", {"config": BARE, "names": ["bare"]})
        (found,) = (await desk.ask("images.get", {"names": ["bare"]}))["images"]
        assert [found["image"]["summary"]["id"]] == made["ids"]
        assert found["image"]["summary"]["damage"] is None
        generation = made["generation"]
        again = await desk.ask("images.create", {"config": BARE, "names": ["bare"]})
        assert (again["ids"], again["generation"]) == (made["ids"], generation)


async def test_what_is_refused_changes_nothing(desk: Desk) -> None:
    async with desk.ground.running():
        image, *_ = await loose(desk)
        await desk.ask("manifests.create", {"name": NAME})
        before = await run_sync(desk.ground.images_json.read_bytes)
        digest = "sha256:" + "a" * 64
        refused: list[tuple[str, dict[str, Any], type[Exception]]] = [
            ("manifests.create", {"name": NAME}, NameInUse),
            ("manifests.add", {"name": "localhost/nope:1", "image": image["id"]}, ManifestListUnknown),
            ("manifests.add", {"name": image["id"], "image": image["id"]}, NotAManifestList),
            ("manifests.add", {"name": NAME}, InvalidParams),
            ("manifests.annotate", {"name": NAME, "digest": digest}, InstanceUnknown),
            ("manifests.remove_instance", {"name": NAME, "digest": digest}, InstanceUnknown),
            ("manifests.remove", {"names": []}, InvalidParams),
            ("images.create", {"config": {**BARE, "os": ""}}, InvalidParams),
        ]
        for method, params, error in refused:
            with pytest.raises(error):
                await desk.ask(method, params)
            with pytest.raises(NotPermitted):
                await desk.ask(method, params, uid=12345)
        assert await run_sync(desk.ground.images_json.read_bytes) == before


async def test_a_list_whose_bytes_are_not_the_recorded_ones_is_not_edited(desk: Desk) -> None:
    async with desk.ground.running():
        image, *_ = await loose(desk)
        made = await desk.ask("manifests.create", {"name": NAME})
        item = desk.ground.item(made["id"], "instances.json")
        await run_sync(item.write_bytes, b'{"a":"b"}')
        with pytest.raises(Damaged):
            await desk.ask("manifests.add", {"name": NAME, "image": image["id"]})
        assert await run_sync(item.read_bytes) == b'{"a":"b"}'


@pytest.mark.parametrize(("times", "looks"), [(1, 2), (3, 5), (1000, 5)])
async def test_what_looks_damaged_while_another_tool_writes_is_read_again(
    ground: Ground, times: int, looks: int
) -> None:
    """The last look is under the locks, where nobody writes: what is damaged there is. The one before it, without
    the locks, tells only what will be needed under them.
    """
    seen: list[Snapshot] = []

    def plan(snapshot: Snapshot) -> Planned[int]:
        seen.append(snapshot)
        if len(seen) <= times:
            raise ImageDamaged("half written")
        return Planned(change=Change(), result=len(seen))

    async with ground.running():
        if times < 1000:
            assert (await transactions_of(ground).run(plan, timeout=10)).result == looks
        else:
            with pytest.raises(ImageDamaged):
                await transactions_of(ground).run(plan, timeout=10)
            assert len(seen) == looks
