"""The generator makes stores whose every id, size and digest is the true one."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import tarfile
import threading
from pathlib import Path
from typing import Any

import pytest

from storaged.sample import SHAPES, SampleSpec, SampleWriter, write_store
from storaged.sample.content import File, tar_of
from storaged.sample.disk import crc64
from storaged.store.layout import paths
from storaged.store.layout.records import ImageID


def table(root: Path, driver: str, kind: str) -> list[dict[str, Any]]:
    return list(json.loads((root / f"{driver}-{kind}" / f"{kind}.json").read_bytes()))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("shape", SHAPES)
def test_big_data_has_the_size_and_digest_its_record_names(tmp_path: Path, shape: Any) -> None:
    write_store(tmp_path / "g", tmp_path / "r", SampleSpec(images=40, shape=shape))
    records = table(tmp_path / "g", "overlay", "images")
    assert len(records) == 40
    for record in records:
        for key in record["big-data-names"]:
            path = paths.big_data_path(str(tmp_path / "g"), "overlay", ImageID(record["id"]), key)
            data = Path(path).read_bytes()
            assert record["big-data-sizes"][key] == len(data)
            assert record["big-data-digests"][key] == f"sha256:{sha256(data)}"


def test_an_image_id_is_its_configs_digest_and_its_chain_is_that_of_the_diff_ids(tmp_path: Path) -> None:
    write_store(tmp_path / "g", tmp_path / "r", SampleSpec(images=60))
    layers = {layer["id"]: layer for layer in table(tmp_path / "g", "overlay", "layers")}
    checked = 0
    for record in table(tmp_path / "g", "overlay", "images"):
        key = f"sha256:{record['id']}"
        if key not in record["big-data-names"]:
            continue
        path = paths.big_data_path(str(tmp_path / "g"), "overlay", ImageID(record["id"]), key)
        parent = None
        for diff_id in json.loads(Path(path).read_bytes())["rootfs"]["diff_ids"]:
            digits = diff_id.removeprefix("sha256:")
            expected = digits if parent is None else sha256(f"{parent}+{digits}".encode())
            assert layers[expected].get("parent") == parent
            assert layers[expected]["diff-digest"] == diff_id
            parent = expected
        assert record.get("layer") == parent
        checked += 1
    assert checked > 40


def test_equal_descriptions_make_equal_tables(tmp_path: Path) -> None:
    spec = SampleSpec(images=50, seed=4, containers=3)
    for name in ("a", "b"):
        write_store(tmp_path / name, tmp_path / "r", spec)
    for kind in ("images", "layers", "containers"):
        if kind == "images":  # sizes and digests of instances.json follow the graphroot
            ids = [[record["id"] for record in table(tmp_path / name, "overlay", kind)] for name in ("a", "b")]
            assert ids[0] == ids[1]
        else:
            assert table(tmp_path / "a", "overlay", kind) == table(tmp_path / "b", "overlay", kind)


def test_the_mix_holds_every_case_the_two_dangling_rules_differ_in(tmp_path: Path) -> None:
    sample = write_store(
        tmp_path / "g", tmp_path / "r", SampleSpec(images=400, read_only=30), additional=tmp_path / "more"
    )
    assert sample.podman_dangling > sample.dangling
    assert sample.intermediate
    assert len(sample.lists) < len(sample.images) == 400
    assert set(sample.lists) & set(sample.in_lists), "a list of lists"
    assert len(table(tmp_path / "more", "overlay", "images")) == 30


def test_there_are_as_many_layers_as_asked_for(tmp_path: Path) -> None:
    sample = write_store(tmp_path / "g", tmp_path / "r", SampleSpec(images=50, layers=700))
    assert sample.layers == len(table(tmp_path / "g", "overlay", "layers")) == 700


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_a_tar_split_restores_the_tar_the_layer_is_named_after(tmp_path: Path, driver: Any) -> None:
    spec = SampleSpec(images=10, driver=driver, contents="files")
    write_store(tmp_path / "g", tmp_path / "r", spec)
    for layer in table(tmp_path / "g", driver, "layers"):
        folder = Path(paths.layer_contents(str(tmp_path / "g"), driver, layer["id"]))
        files = folder / "diff" if driver == "overlay" else folder
        assert sha256(restored(Path(paths.tar_split(str(tmp_path / "g"), driver, layer["id"])), files)) == layer[
            "diff-digest"
        ].removeprefix("sha256:")


def restored(split: Path, files: Path) -> bytes:
    parts = []
    for line in gzip.decompress(split.read_bytes()).splitlines():
        entry = json.loads(line)
        payload = base64.b64decode(entry["payload"])
        if entry["type"] == 1:
            data = (files / entry["name"]).read_bytes()
            assert payload == crc64(data).to_bytes(8, "big")
            parts.append(data)
        else:
            parts.append(payload)
    return b"".join(parts)


def test_a_layer_tar_is_one_other_programs_read(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar"
    path.write_bytes(tar_of(File(name="name", data=b"x" * 700, mtime=1_700_000_000)))
    with tarfile.open(path) as archive:
        (member,) = archive.getmembers()
    assert (member.name, member.size, member.mtime, member.mode) == ("name", 700, 1_700_000_000, 0o644)


def test_crc64_is_that_of_the_iso_polynomial() -> None:
    assert crc64(b"123456789") == 0xB90956C775A41001


def test_a_second_store_is_never_written_over_the_first(tmp_path: Path) -> None:
    write_store(tmp_path / "g", tmp_path / "r", SampleSpec(images=2))
    with pytest.raises(FileExistsError):
        write_store(tmp_path / "g", tmp_path / "r", SampleSpec(images=2))


def test_writers_at_once_lose_no_change(tmp_path: Path) -> None:
    write_store(tmp_path / "g", tmp_path / "r", SampleSpec(images=3, driver="vfs"))
    made: list[str] = []

    def write() -> None:
        writer = SampleWriter(tmp_path / "g", tmp_path / "r", "vfs")
        made.extend(writer.add_image(f"text {number} {threading.get_ident()}") for number in range(8))

    threads = [threading.Thread(target=write) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ids = [record["id"] for record in table(tmp_path / "g", "vfs", "images")]
    assert len(made) == len(set(made)) == 24
    assert set(made) <= set(ids)
    assert len(ids) == 27


def test_a_change_leaves_other_records_as_they_are_to_the_byte(tmp_path: Path) -> None:
    write_store(tmp_path / "g", tmp_path / "r", SampleSpec(images=3, driver="vfs"))
    path = Path(paths.images_json(str(tmp_path / "g"), "vfs"))
    odd = b'{"id":"' + b"ab" * 32 + b'", "unknown" : [1e2],"created":"2024-01-01T00:00:00.100Z"}'
    path.write_bytes(path.read_bytes()[:-1] + b"," + odd + b"]")
    writer = SampleWriter(tmp_path / "g", tmp_path / "r", "vfs")
    writer.set_names(writer.add_image("text"), ["localhost/a:1"])
    assert odd in path.read_bytes()


def test_the_writer_names_what_is_missing(tmp_path: Path) -> None:
    write_store(tmp_path / "g", tmp_path / "r", SampleSpec(images=1, driver="vfs"))
    writer = SampleWriter(tmp_path / "g", tmp_path / "r", "vfs")
    with pytest.raises(LookupError, match="00000000"):
        writer.remove_record("0" * 64)
    with pytest.raises(LookupError, match="manifest"):
        writer.create_list("localhost/l:1", ["0" * 64])
