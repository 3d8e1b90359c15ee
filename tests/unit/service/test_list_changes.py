"""``manifests.*`` and ``images.create`` on a real store, with the real writer."""

import base64
import hashlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.to_thread import run_sync

from storaged.service.passed_files import read_layers
from storaged.snapshot.model import Snapshot
from storaged.store.changes import Change, ChangeSet
from storaged_client.contract import params as p
from storaged_client.contract.errors import (
    ImageDamaged,
    InstanceUnknown,
    InvalidParams,
    ManifestListUnknown,
    NameInUse,
    NotAManifestList,
    NotPermitted,
)
from tests.support.ground import Ground, transactions_of
from tests.support.service import Desk, connected

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
        with pytest.raises(ImageDamaged):
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

    def plan(snapshot: Snapshot) -> ChangeSet[int]:
        seen.append(snapshot)
        if len(seen) <= times:
            raise ImageDamaged("half written")
        return ChangeSet(change=Change(), result=len(seen))

    async with ground.running():
        if times < 1000:
            assert (await transactions_of(ground).run(plan, timeout=10)).result == looks
        else:
            with pytest.raises(ImageDamaged):
                await transactions_of(ground).run(plan, timeout=10)
            assert len(seen) == looks


# ---------------------------------------------------------------- files that are passed


def artifact(*layers: dict[str, Any]) -> dict[str, Any]:
    return {"name": NAME, "artifact": {"layers": list(layers)}}


@pytest.fixture
def descriptors(tmp_path: Path) -> Iterator[dict[str, int]]:
    """One of each kind; the pipe and the socket have something to read."""
    for name, content in (("model.gguf", MODEL), ("gone", b"x")):
        (tmp_path / name).write_bytes(content)
    found = {
        "file": os.open(tmp_path / "model.gguf", os.O_RDONLY),
        "path": os.open(tmp_path / "model.gguf", os.O_PATH),
        "writing": os.open(tmp_path / "model.gguf", os.O_WRONLY),
        "gone": os.open(tmp_path / "gone", os.O_RDONLY),
        "huge": os.open(tmp_path / "huge", os.O_RDWR | os.O_CREAT),
        "folder": os.open(tmp_path, os.O_RDONLY),
        "device": os.open("/dev/zero", os.O_RDONLY),
    }
    os.lseek(found["file"], 17, os.SEEK_SET)
    (tmp_path / "gone").unlink()
    os.truncate(found["huge"], 1 << 39)  # a hole: hours of hashing
    near, far = socket.socketpair()
    reading, pipe = os.pipe()
    with near, far:
        found |= {"socket": far.fileno(), "pipe": reading}
        near.send(b"x")
        os.write(pipe, b"x")
        yield found
        assert far.recv(9) == os.read(reading, 9) == b"x"
    for descriptor in {*found.values(), pipe} - {found["socket"]}:
        os.close(descriptor)


MODEL = b"GGUF" + b"x" * 5_000_001


async def test_a_file_that_is_passed_is_read_whole_and_its_path_is_kept(
    desk: Desk, tmp_path: Path, descriptors: dict[str, int]
) -> None:
    inline = {"data": base64.b64encode(b"hello").decode(), "title": "a.txt"}
    async with desk.ground.running():
        await desk.ask("manifests.create", {"name": NAME})
        asked = artifact(inline, {"fd": 0, "title": "m"})
        made = await desk.ask("manifests.add", asked, descriptors=[descriptors["file"]])
        kept = json.loads(await run_sync(desk.ground.item(made["id"], "artifacts.json").read_bytes))
    assert os.lseek(descriptors["file"], 0, os.SEEK_CUR) == 17
    digest = f"sha256:{hashlib.sha256(MODEL).hexdigest()}"
    assert kept["detached"] == {digest: str(tmp_path / "model.gguf")}
    assert kept["files"] == {made["instances"][0]: [str(tmp_path / "model.gguf")]}
    layers = json.loads(kept["manifests"][made["instances"][0]])["layers"]
    assert [(each["mediaType"], each["size"]) for each in layers] == [("text/plain", 5), ("text/plain", len(MODEL))]
    assert layers[1]["digest"] == digest


async def test_what_is_no_regular_file_is_refused_and_nothing_of_it_is_read(
    desk: Desk, descriptors: dict[str, int]
) -> None:
    async with desk.ground.running():
        await desk.ask("manifests.create", {"name": NAME})
        before = await run_sync(desk.ground.images_json.read_bytes)
        for kind, text in (
            ("pipe", "is a pipe"),
            ("socket", "is a socket"),
            ("device", "is a device"),
            ("folder", "is a folder"),
            ("path", "is not open for reading"),
            ("writing", "is not open for reading"),
            ("gone", "has no path here"),
        ):
            with pytest.raises(InvalidParams, match=f"layer 0 {text}") as caught:
                await desk.ask("manifests.add", artifact({"fd": 0}), descriptors=[descriptors[kind]])
            assert caught.value.data["path"] == "$.artifact.layers[0]"
        for layer, text in (
            ({"fd": 1}, "1 came with"),
            ({"fd": -1}, "1 came with"),
            ({}, "needs one of"),
            ({"fd": 0, "data": ""}, "give one of them"),
        ):
            with pytest.raises(InvalidParams, match=text):
                await desk.ask("manifests.add", artifact(layer), descriptors=[descriptors["file"]])
        with pytest.raises(NotPermitted):
            await desk.ask("manifests.add", artifact({"fd": 0}), descriptors=[descriptors["pipe"]], uid=99)
        assert await run_sync(desk.ground.images_json.read_bytes) == before


async def test_reading_a_file_ends_when_the_request_is_cancelled_and_tells_how_far_it_is(
    desk: Desk, descriptors: dict[str, int]
) -> None:
    told: list[dict[str, Any]] = []
    session = connected()
    async with desk.ground.running():
        await desk.ask("manifests.create", {"name": NAME})
        with anyio.CancelScope() as scope:

            def notify(method: str, params: dict[str, Any], written: Callable[[], None], /) -> None:
                told.append(params)
                scope.cancel()

            session.notify = notify
            params = {**artifact({"fd": 0}), "progress_token": "t"}
            await desk.ask("manifests.add", params, session=session, descriptors=[descriptors["huge"]])
    assert scope.cancelled_caught
    assert (told[0]["total"], told[0]["unit"], told[0]["message"]) == (1 << 39, "bytes", "reading")
    assert told[0]["done"] < 1 << 39


async def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path, descriptors: dict[str, int]) -> None:
    def grow(done: int, total: int) -> None:
        with open(tmp_path / "model.gguf", "ab") as more:
            more.write(b"y")

    asked = p.Artifact(layers=(p.ArtifactLayer(fd=0),))
    with pytest.raises(InvalidParams, match="changed while it was read"):
        await run_sync(read_layers, asked, [descriptors["file"]], grow)
