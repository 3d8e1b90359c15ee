from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import msgspec
import pytest

from storaged.metrics import Metrics
from storaged.store.content import ContentReader
from storaged.store.layout.contents import ImageContent
from storaged.store.layout.records import ImageRecord
from storaged.store.tables import ImageRow
from storaged_client.contract.errors import DataUnknown, ImageDamaged, TooLarge
from tests.support.disk import Disk, digest, hexes

CONFIG = json.dumps({"architecture": "arm64", "os": "linux", "history": [{"created_by": "x"}]}).encode()
ID = digest(CONFIG)[7:]
MANIFEST = json.dumps({"schemaVersion": 2, "config": {"digest": "sha256:" + ID}, "layers": []}).encode()
INDEX = "application/vnd.oci.image.index.v1+json"
LIST = json.dumps({"mediaType": INDEX, "manifests": [{"digest": "sha256:" + "1" * 64}]}).encode()
LIST_ID = hexes(5)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def contents(disk: Disk, metrics: Metrics) -> ContentReader:
    return ContentReader(disk.location, metrics)


def row(members: dict[str, Any], store: int = 0) -> ImageRow:
    raw = json.dumps(members).encode()
    return ImageRow(record=msgspec.json.decode(raw, type=ImageRecord), store=store, raw=raw)


def image(disk: Disk, **more: Any) -> dict[str, Any]:
    members = disk.big_data(ID, {"sha256:" + ID: CONFIG, "manifest": MANIFEST})
    return {**members, "layer": hexes(9), **more}


def manifest_list(disk: Disk, **more: Any) -> dict[str, Any]:
    return {**disk.big_data(LIST_ID, {"manifest": LIST, "instances.json": b"{}"}), **more}


def names(content: ImageContent) -> list[str]:
    return [damage.name for damage in content.damage]


def test_an_image_has_manifest_and_configuration(disk: Disk, contents: ContentReader, metrics: Metrics) -> None:
    content = contents.read(row(image(disk)))
    assert content.manifest is not None
    assert content.config is not None
    assert content.config.architecture == "arm64"
    assert (content.damage, content.half_made, content.unreadable_evidence) == ((), False, False)
    assert (metrics.counters["manifests.read"], metrics.counters["configs.read"]) == (1, 1)


def test_a_list_has_its_instances_and_no_configuration(disk: Disk, contents: ContentReader) -> None:
    content = contents.read(row(manifest_list(disk)))
    assert content.manifest is not None
    assert content.manifest.is_list
    assert [instance.digest for instance in content.manifest.instances] == ["sha256:" + "1" * 64]
    assert content.config is None
    assert content.damage == ()


def test_a_record_that_names_no_manifest_is_half_made_and_nothing_is_read(disk: Disk, contents: ContentReader) -> None:
    for members in (
        {"id": ID},
        disk.big_data(ID, {"sha256:" + ID: CONFIG}),
        disk.big_data(LIST_ID, {"instances.json": b"{}"}),
    ):
        content = contents.read(row(members))
        assert content == ImageContent(half_made=True)


def test_an_image_without_its_manifest_is_damaged_and_keeps_its_configuration(
    disk: Disk, contents: ContentReader
) -> None:
    members = image(disk)
    disk.item(ID, "manifest").unlink()
    content = contents.read(row(members))
    assert names(content) == ["manifest_missing"]
    assert content.config is not None
    assert not content.unreadable_evidence
    assert content.damage[0].file == str(disk.item(ID, "manifest"))
    assert content.damage[0].seen is None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (None, "manifest_missing"),
        (b"", "manifest_mismatch"),
        (b"\0" * len(LIST), "manifest_mismatch"),
        (LIST + b" ", "manifest_mismatch"),
        (MANIFEST, "manifest_mismatch"),
    ],
)
@pytest.mark.parametrize("shape", ["named instances", "layerless", "list with a layer"])
def test_a_list_that_cannot_be_read_is_unreadable_evidence(
    disk: Disk, contents: ContentReader, data: bytes | None, name: str, shape: str
) -> None:
    members = manifest_list(disk)
    if shape == "layerless":
        members["big-data-names"] = ["manifest"]
    if shape == "list with a layer":
        members["layer"] = hexes(3)
    path = disk.item(LIST_ID, "manifest")
    if data is None:
        path.unlink()
    else:
        path.write_bytes(data)
    content = contents.read(row(members))
    assert content.unreadable_evidence
    assert names(content)[0] == name
    assert content.damage[0].file == str(path)
    assert content.manifest is None or content.manifest.is_list


def test_a_list_record_whose_bytes_are_right_but_no_manifest_is_unreadable_evidence(
    disk: Disk, contents: ContentReader
) -> None:
    content = contents.read(row(disk.big_data(LIST_ID, {"manifest": b"{}", "instances.json": b"{}"})))
    assert content.unreadable_evidence
    assert names(content) == ["manifest_undecodable"]


def test_an_image_with_a_configuration_of_its_own_id_is_no_evidence_without_a_layer(
    disk: Disk, contents: ContentReader
) -> None:
    members = image(disk)
    del members["layer"]
    disk.item(ID, "manifest").unlink()
    assert not contents.read(row(members)).unreadable_evidence


def test_bytes_of_another_digest_are_used_and_flagged(disk: Disk, contents: ContentReader) -> None:
    members = image(disk)
    other = CONFIG.replace(b"arm64", b"amd64")
    disk.item(ID, "sha256:" + ID).write_bytes(other)
    content = contents.read(row(members))
    assert names(content) == ["config_mismatch"]
    assert content.config is not None
    assert content.config.architecture == "amd64"


def test_a_configuration_is_checked_by_its_key_where_the_record_has_no_digest(
    disk: Disk, contents: ContentReader
) -> None:
    members = image(disk)
    members["big-data-digests"] = {"manifest": digest(MANIFEST)}
    members["big-data-sizes"] = {}
    disk.item(ID, "sha256:" + ID).write_bytes(CONFIG.replace(b"arm64", b"amd64"))
    assert names(contents.read(row(members))) == ["config_mismatch"]


def test_a_digest_nobody_can_check_is_no_mismatch(disk: Disk, contents: ContentReader) -> None:
    members = manifest_list(disk)
    members["big-data-digests"]["manifest"] = "rot13:abc"
    content = contents.read(row(members))
    assert names(content) == []
    assert not content.unreadable_evidence


def test_the_configuration_is_the_one_the_manifest_names_not_the_one_of_the_id(
    disk: Disk, contents: ContentReader
) -> None:
    members = disk.big_data(hexes(8), {"sha256:" + ID: CONFIG, "manifest": MANIFEST})
    content = contents.read(row({**members, "layer": hexes(9)}))
    assert content.config is not None
    assert content.damage == ()


def test_a_configuration_that_is_missing_undecodable_or_not_named_is_damage(
    disk: Disk, contents: ContentReader
) -> None:
    members = image(disk)
    path = disk.item(ID, "sha256:" + ID)
    path.write_bytes(b"\0" * len(CONFIG))
    assert names(contents.read(row(members))) == ["config_mismatch", "config_undecodable"]
    path.unlink()
    assert names(contents.read(row(members))) == ["config_missing"]
    members["big-data-names"] = ["manifest"]
    assert names(contents.read(row(members))) == ["config_missing"]


def test_signed_schema_1_is_neither_a_mismatch_nor_without_configuration(disk: Disk, contents: ContentReader) -> None:
    signed = json.dumps({"schemaVersion": 1, "fsLayers": [], "signatures": [{}]}).encode()
    members = disk.big_data(ID, {"manifest": signed})
    members["big-data-digests"]["manifest"] = digest(b"the payload without signatures")
    assert contents.read(row({**members, "layer": hexes(9)})).damage == ()


@pytest.mark.parametrize("trap", ["link", "folder link", "fifo", "folder"])
def test_nothing_outside_the_images_folder_is_followed(
    disk: Disk, contents: ContentReader, tmp_path: Path, trap: str
) -> None:
    members = manifest_list(disk)
    path = disk.item(LIST_ID, "manifest")
    secret = tmp_path / "secret"
    if trap == "folder link":
        os.rename(path.parent, secret)
        path.parent.symlink_to(secret)
    else:
        os.rename(path, secret)
        match trap:
            case "link":
                path.symlink_to(secret)
            case "fifo":
                os.mkfifo(path)
            case _:
                path.mkdir()
    content = contents.read(row(members))
    assert content.manifest is None
    assert content.unreadable_evidence
    assert names(content) == ["manifest_unreadable"]


@pytest.mark.parametrize("evil", ["../" + hexes(1), "x", "A" * 64, ""])
def test_an_id_that_is_no_id_opens_nothing(disk: Disk, contents: ContentReader, evil: str) -> None:
    content = contents.read(row({"id": evil, "big-data-names": ["manifest", "instances.json"]}))
    assert content.unreadable_evidence
    assert content.manifest is None


def test_a_repair_is_noticed_and_only_a_repair(disk: Disk, contents: ContentReader) -> None:
    members = manifest_list(disk)
    path = disk.item(LIST_ID, "manifest")
    path.unlink()
    (missing,) = contents.read(row(members)).damage
    assert not contents.repaired(missing)
    path.write_bytes(b"torn")
    assert contents.repaired(missing)
    torn = contents.read(row(members)).damage
    assert not any(contents.repaired(damage) for damage in torn)
    path.write_bytes(LIST)
    assert all(contents.repaired(damage) for damage in torn)
    assert contents.read(row(members)).damage == ()


def test_the_content_of_an_additional_store_is_read_there(tmp_path: Path, metrics: Metrics) -> None:
    disk = Disk(tmp_path, additional=(str(tmp_path / "ro"),))
    members = disk.big_data(LIST_ID, {"manifest": LIST}, root=str(tmp_path / "ro"))
    contents = ContentReader(disk.location, metrics)
    assert contents.read(row(members, store=1)).damage == ()
    assert names(contents.read(row(members, store=0))) == ["manifest_missing"]


def test_the_content_of_a_split_store_is_read_from_either_root(tmp_path: Path, metrics: Metrics) -> None:
    disk = Disk(tmp_path, image_store=str(tmp_path / "split"))
    contents = ContentReader(disk.location, metrics)
    for root in (disk.location.graphroot, str(tmp_path / "split")):
        members = disk.big_data(hexes(len(root)), {"manifest": LIST}, root=root)
        assert contents.read(row(members)).damage == ()


def test_a_blob_is_checked_and_limited(disk: Disk, contents: ContentReader) -> None:
    record = row(image(disk)).record
    assert contents.blob(record, 0, "manifest", 1 << 20) == MANIFEST
    with pytest.raises(TooLarge):
        contents.blob(record, 0, "manifest", 5)
    with pytest.raises(DataUnknown):
        contents.blob(record, 0, "../../etc/passwd", 1 << 20)
    disk.item(ID, "manifest").write_bytes(b"x" * len(MANIFEST))
    with pytest.raises(ImageDamaged):
        contents.blob(record, 0, "manifest", 1 << 20)
    disk.item(ID, "manifest").write_bytes(b"x" * 5000)
    with pytest.raises(TooLarge):
        contents.blob(record, 0, "manifest", 4000)
    disk.item(ID, "manifest").unlink()
    with pytest.raises(ImageDamaged):
        contents.blob(record, 0, "manifest", 1 << 20)


def test_an_image_of_no_layers_and_no_bytes_at_all_is_a_damage_not_an_error(contents: ContentReader) -> None:
    content = contents.read(row({"id": ID, "layer": hexes(9), "big-data-names": ["manifest"]}))
    assert names(content) == ["manifest_missing", "config_missing"]
