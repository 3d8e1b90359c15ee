"""Each damage that the contract and the drift page name, planted in a store: found under its name, and nothing else."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from storaged.store.checking.findings import CATALOGUE
from storaged.store.checking.walk import Scope
from storaged.store.layout import paths
from storaged.store.locks.record_lock import FLOCK
from tests.unit.store.checking.damaged import Damaged, lay, old

Plant = Callable[[Damaged], tuple[str, str]]
"""Plants one damage; says the name of the finding and the id of its subject."""

_PLANTS: dict[str, tuple[Plant, tuple[str, ...], Scope]] = {}


def plant(drivers: str = "overlay vfs", scope: Scope = "files") -> Callable[[Plant], Plant]:
    """``scope`` is the least that finds it."""

    def keep(function: Plant) -> Plant:
        _PLANTS[function.__name__] = (function, tuple(drivers.split()), scope)
        return function

    return keep


# ---------------------------------------------------------------- tables


@plant(scope="records")
def a_torn_table_of_images(store: Damaged) -> tuple[str, str]:
    table = store.table("images")
    table.write_bytes(table.read_bytes()[:700])
    return "table_unreadable", str(table)


@plant(scope="records")
def a_torn_table_of_layers(store: Damaged) -> tuple[str, str]:
    table = store.table("layers")
    table.write_bytes(table.read_bytes()[:-1])
    return "table_unreadable", str(table)


@plant(scope="records")
def a_table_that_is_an_object(store: Damaged) -> tuple[str, str]:
    store.write("containers", {})
    return "table_unreadable", str(store.table("containers"))


@plant(scope="records")
def an_empty_table_of_images(store: Damaged) -> tuple[str, str]:
    store.table("images").write_bytes(b"")
    return "table_lost", str(store.table("images"))


@plant(scope="records")
def a_table_of_no_images_beside_their_folders(store: Damaged) -> tuple[str, str]:
    """As podman 4.3 leaves it that took a torn table for an empty one."""
    store.write("images", [])
    return "table_lost", str(store.table("images"))


@plant("overlay", scope="records")
def a_table_of_no_layers_beside_their_folders(store: Damaged) -> tuple[str, str]:
    store.write("layers", [])
    return "table_lost", str(store.table("layers"))


@plant(scope="records")
def a_lost_table_of_layers(store: Damaged) -> tuple[str, str]:
    store.table("layers").unlink()
    return "table_lost", str(store.table("layers"))


@plant(scope="records")
def a_lost_table_of_layers_and_all_layers(store: Damaged) -> tuple[str, str]:
    for record in store.records("layers"):
        shutil.rmtree(store.contents(record["id"]))
    store.table("layers").unlink()
    return "table_lost", str(store.table("layers"))


@plant(scope="records")
def an_empty_table_of_containers(store: Damaged) -> tuple[str, str]:
    store.table("containers").write_bytes(b"")
    return "table_lost", str(store.table("containers"))


@plant(scope="records")
def a_null_record(store: Damaged) -> tuple[str, str]:
    store.write("images", [*store.records("images"), None])
    return "record_null", str(store.table("images"))


@plant(scope="records")
def a_record_that_is_a_number(store: Damaged) -> tuple[str, str]:
    store.write("layers", [*store.records("layers"), 5])
    return "record_malformed", str(store.table("layers"))


@plant(scope="records")
def a_wrong_type_in_an_image(store: Damaged) -> tuple[str, str]:
    id = store.image["id"]
    store.edit("images", id, names_history=[1])
    return "record_malformed", id


@plant(scope="records")
def a_fraction_for_a_size(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.edit("layers", id, compressed_size=1.5)
    return "record_malformed", id


@plant(scope="records")
def a_wrong_type_in_a_member_storaged_does_not_read(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.edit("layers", id, uidset=["0"])
    return "record_malformed", id


@plant(scope="records")
def an_id_that_is_no_id(store: Damaged) -> tuple[str, str]:
    id = "short"
    store.write("layers", [*store.records("layers"), {"id": id, "created": "2024-01-01T00:00:00Z"}])
    return "record_id_malformed", id


@plant(scope="records")
def a_bad_time(store: Damaged) -> tuple[str, str]:
    id = store.image["id"]
    store.edit("images", id, created="yesterday")
    return "time_malformed", id


@plant(scope="records")
def a_bad_digest_of_an_image(store: Damaged) -> tuple[str, str]:
    id = store.image["id"]
    store.edit("images", id, digest="sha256:abc")
    return "image_digest_invalid", id


@plant(scope="records")
def a_bad_digest_of_a_manifest(store: Damaged) -> tuple[str, str]:
    image = store.image
    store.edit("images", image["id"], big_data_digests={**image["big-data-digests"], "manifest": "sha256:00"})
    return "image_digest_invalid", image["id"]


@plant(scope="records")
def a_bad_digest_of_a_layer(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.edit("layers", id, compressed_diff_digest="sha256:XYZ")
    return "digest_invalid", id


@plant(scope="records")
def a_digest_of_an_algorithm_that_nobody_here_knows(store: Damaged) -> tuple[str, str]:
    image = store.image
    store.edit("images", image["id"], big_data_digests={**image["big-data-digests"], "manifest": f"blake3:{'0' * 64}"})
    return "digest_not_verifiable", image["id"]


@plant(scope="records")
def a_layers_digest_of_an_algorithm_that_nobody_here_knows(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.edit("layers", id, diff_digest=f"blake3:{'0' * 64}")
    return "digest_not_verifiable", id


@plant(scope="records")
def a_lists_digest_that_only_we_can_verify(store: Damaged) -> tuple[str, str]:
    record = store.list
    told = f"sha3-256:{hashlib.sha3_256(store.item(record['id'], 'manifest').read_bytes()).hexdigest()}"
    store.edit("images", record["id"], big_data_digests={**record["big-data-digests"], "manifest": told})
    return "digest_unusual", record["id"]


@plant(scope="records")
def an_image_id_borne_twice(store: Damaged) -> tuple[str, str]:
    records = store.records("images")
    store.write("images", [*records, store.image])
    return "id_duplicate", store.image["id"]


@plant(scope="records")
def a_layer_id_borne_twice(store: Damaged) -> tuple[str, str]:
    records = store.records("layers")
    store.write("layers", [*records, store.layer])
    return "id_duplicate", store.layer["id"]


@plant(scope="records")
def a_name_borne_by_two_images(store: Damaged) -> tuple[str, str]:
    image = store.image
    last = store.records("images")[-1]
    assert last["id"] != image["id"]
    store.edit("images", last["id"], names=[*last.get("names", []), image["names"][0]])
    return "name_duplicate", image["id"]


@plant(scope="records")
def a_name_twice_in_one_layer(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.edit("layers", id, names=["twice", "twice"])
    return "name_duplicate", id


@plant(scope="records")
def a_name_that_is_no_reference(store: Damaged) -> tuple[str, str]:
    image = store.image
    store.edit("images", image["id"], names=[*image["names"], "Bad Name:1"])
    return "name_invalid", image["id"]


# ---------------------------------------------------------------- records among each other


@plant(scope="records")
def a_missing_top_layer(store: Damaged) -> tuple[str, str]:
    id = store.image["id"]
    store.edit("images", id, layer="0" * 64)
    return "image_layer_missing", id


@plant(scope="records")
def a_missing_mapped_layer(store: Damaged) -> tuple[str, str]:
    id = store.image["id"]
    store.edit("images", id, mapped_layers=["0" * 64])
    return "image_mapped_layer_missing", id


@plant("vfs", scope="records")
def a_missing_parent(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.edit("layers", id, parent="0" * 64)
    return "layer_parent_missing", id


@plant("vfs", scope="records")
def a_layer_that_is_its_own_parent(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.edit("layers", id, parent=id)
    return "layer_cycle", id


@plant(scope="records")
def an_incomplete_layer(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.edit("layers", id, flags={"incomplete": True})
    return "layer_incomplete", id


@plant(scope="records")
def a_half_made_image(store: Damaged) -> tuple[str, str]:
    id = "f" * 64
    store.write("images", [*store.records("images"), {"id": id, "created": "2024-01-01T00:00:00Z"}])
    return "image_half_made", id


@plant(scope="records")
def a_container_of_no_image(store: Damaged) -> tuple[str, str]:
    id = store.container["id"]
    store.edit("containers", id, image="0" * 64)
    return "container_image_missing", id


@plant(scope="records")
def a_container_of_no_layer(store: Damaged) -> tuple[str, str]:
    id = store.container["id"]
    store.edit("containers", id, layer="0" * 64)
    return "container_layer_missing", id


# ---------------------------------------------------------------- images against their files


@plant()
def an_image_without_its_folder(store: Damaged) -> tuple[str, str]:
    shutil.rmtree(store.image_dir(store.image["id"]))
    return "image_directory_missing", store.image["id"]


@plant()
def a_list_without_its_folder(store: Damaged) -> tuple[str, str]:
    id = store.list["id"]
    shutil.rmtree(store.image_dir(id))
    return "evidence_unreadable", id


@plant()
def a_missing_manifest(store: Damaged) -> tuple[str, str]:
    store.item(store.image["id"], "manifest").unlink()
    return "manifest_missing", store.image["id"]


@plant()
def a_manifest_that_is_none(store: Damaged) -> tuple[str, str]:
    store.item(store.image["id"], "manifest").write_bytes(b"{}")
    return "manifest_undecodable", store.image["id"]


@plant()
def a_manifest_of_zeros(store: Damaged) -> tuple[str, str]:
    path = store.item(store.image["id"], "manifest")
    path.write_bytes(bytes(path.stat().st_size))
    return "manifest_undecodable", store.image["id"]


@plant()
def another_manifest_than_recorded(store: Damaged) -> tuple[str, str]:
    path = store.item(store.image["id"], "manifest")
    path.write_bytes(path.read_bytes().replace(b'"schemaVersion":2', b'"schemaVersion":3'))
    return "big_data_digest", store.image["id"]


@plant()
def an_emptied_list(store: Damaged) -> tuple[str, str]:
    id = store.list["id"]
    store.item(id, "manifest").write_bytes(b"")
    return "evidence_unreadable", id


@plant()
def another_list_than_recorded(store: Damaged) -> tuple[str, str]:
    id = store.list["id"]
    path = store.item(id, "manifest")
    path.write_bytes(path.read_bytes().replace(b"sha256:", b"sha512:", 1))
    return "evidence_unreadable", id


@plant()
def a_missing_config(store: Damaged) -> tuple[str, str]:
    id = store.image["id"]
    store.item(id, f"sha256:{id}").unlink()
    return "config_missing", id


@plant()
def a_config_that_is_none(store: Damaged) -> tuple[str, str]:
    id = store.image["id"]
    store.item(id, f"sha256:{id}").write_bytes(b"")
    return "config_undecodable", id


@plant()
def another_config_than_recorded(store: Damaged) -> tuple[str, str]:
    id = store.image["id"]
    path = store.item(id, f"sha256:{id}")
    path.write_bytes(path.read_bytes().replace(b'"linux"', b'"linuy"'))
    return "config_mismatch", id


@plant()
def a_missing_item(store: Damaged) -> tuple[str, str]:
    image = store.image
    store.item(image["id"], _twin(image)).unlink()
    return "big_data_missing", image["id"]


@plant()
def a_shortened_item(store: Damaged) -> tuple[str, str]:
    image = store.image
    os.truncate(store.item(image["id"], _twin(image)), 3)
    return "big_data_size", image["id"]


@plant(scope="contents")
def a_flipped_bit_in_an_item(store: Damaged) -> tuple[str, str]:
    image = store.image
    path = store.item(image["id"], _twin(image))
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    return "big_data_digest", image["id"]


@plant()
def a_directory_for_an_item(store: Damaged) -> tuple[str, str]:
    image = store.image
    path = store.item(image["id"], _twin(image))
    path.unlink()
    path.mkdir()
    return "big_data_unreadable", image["id"]


@plant()
def a_link_for_a_manifest(store: Damaged) -> tuple[str, str]:
    path = store.item(store.image["id"], "manifest")
    path.unlink()
    path.symlink_to("/etc/passwd")
    return "big_data_unreadable", store.image["id"]


@plant()
def a_pipe_for_a_manifest(store: Damaged) -> tuple[str, str]:
    path = store.item(store.image["id"], "manifest")
    path.unlink()
    os.mkfifo(path)
    return "big_data_unreadable", store.image["id"]


@plant()
def a_list_whose_record_names_no_instances(store: Damaged) -> tuple[str, str]:
    listed = store.list
    keys = [key for key in listed["big-data-names"] if key != "instances.json"]
    store.item(listed["id"], "instances.json").unlink()
    store.edit("images", listed["id"], big_data_names=keys)
    return "instances_missing", listed["id"]


@plant()
def a_list_without_its_instances(store: Damaged) -> tuple[str, str]:
    listed = store.list
    store.item(listed["id"], "instances.json").unlink()
    return "instances_missing", listed["id"]


@plant()
def undecodable_instances(store: Damaged) -> tuple[str, str]:
    listed = store.list
    store.item(listed["id"], "instances.json").write_bytes(b'{"a":1}')
    return "instances_undecodable", listed["id"]


@plant()
def undecodable_artifacts(store: Damaged) -> tuple[str, str]:
    listed = store.list
    store.item(listed["id"], "artifacts.json").write_bytes(b"[]")
    if "artifacts.json" not in listed["big-data-names"]:
        store.edit("images", listed["id"], big_data_names=[*listed["big-data-names"], "artifacts.json"])
    return "artifacts_undecodable", listed["id"]


@plant()
def a_file_no_record_names(store: Damaged) -> tuple[str, str]:
    path = store.image_dir(store.image["id"]) / "stranger"
    path.write_bytes(b"")
    return "big_data_extra", str(path)


@plant()
def a_temporary_file_left_beside_big_data(store: Damaged) -> tuple[str, str]:
    path = store.image_dir(store.image["id"]) / ".tmp-manifest123"
    path.write_bytes(b"")
    return "temporary_left", str(old(path))


def _twin(image: dict[str, list[str]]) -> str:
    return next(key for key in image["big-data-names"] if key.startswith("manifest-"))


# ---------------------------------------------------------------- layers against their files


@plant()
def a_layer_without_its_folder(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    if store.driver == "overlay":
        store.link(id).unlink()
    shutil.rmtree(store.contents(id))
    return "layer_directory_missing", id


@plant("overlay")
def a_layer_without_diff(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    shutil.rmtree(store.contents(id) / "diff")
    return "layer_diff_missing", id


@plant("overlay")
def an_empty_link_file(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    (store.contents(id) / "link").write_bytes(b"")
    return "link_file_lost", id


@plant("overlay")
def a_missing_link_file(store: Damaged) -> tuple[str, str]:
    id = store.base["id"]
    (store.contents(id) / "link").unlink()
    return "link_file_lost", id


@plant("overlay")
def a_lost_link(store: Damaged) -> tuple[str, str]:
    id = store.base["id"]
    store.link(id).unlink()
    return "link_lost", id


@plant("overlay")
def a_link_to_another_layer(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    link = store.link(id)
    link.unlink()
    link.symlink_to(f"../{store.base['id']}/diff")
    return "link_wrong", id


@plant("overlay")
def a_directory_for_a_link(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    link = store.link(id)
    link.unlink()
    link.mkdir()
    return "link_wrong", id


@plant("overlay")
def an_empty_lower(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    (store.contents(id) / "lower").write_bytes(b"")
    return "lower_lost", id


@plant("overlay")
def a_missing_lower(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    (store.contents(id) / "lower").unlink()
    return "lower_lost", id


@plant("overlay")
def a_lower_of_other_layers(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    (store.contents(id) / "lower").write_text("l/" + store.link(id).name)
    return "lower_wrong", id


@plant("overlay")
def a_base_layer_with_lower(store: Damaged) -> tuple[str, str]:
    id = store.base["id"]
    (store.contents(id) / "lower").write_text("l/" + store.link(id).name)
    return "lower_wrong", id


@plant("overlay")
def an_empty_lower_layers(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    (store.contents(id) / "lower-layers").write_bytes(b"")
    return "lower_layers_empty", id


@plant("overlay")
def a_lower_layers_of_other_layers(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    (store.contents(id) / "lower-layers").write_text(id)
    return "lower_layers_wrong", id


@plant()
def a_missing_tar_split(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.tar_split(id).unlink()
    return "tar_split_missing", id


@plant()
def an_empty_tar_split(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.tar_split(id).write_bytes(b"")
    return "tar_split_empty", id


@plant()
def a_tar_split_that_is_no_gzip(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.tar_split(id).write_bytes(b"{}")
    return "tar_split_undecodable", id


@plant(scope="contents")
def a_tar_split_that_is_no_json(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    store.tar_split(id).write_bytes(gzip.compress(b"text\n"))
    return "tar_split_undecodable", id


@plant(scope="contents")
def a_torn_tar_split(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    path = store.tar_split(id)
    path.write_bytes(path.read_bytes()[:-5])
    return "tar_split_undecodable", id


@plant(scope="contents")
def a_tar_split_of_another_tar(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    path = store.tar_split(id)
    lines = gzip.decompress(path.read_bytes()).splitlines()
    entry = json.loads(lines[-1])
    path.write_bytes(gzip.compress(b"\n".join([*lines, json.dumps(entry).encode()])))
    return "layer_content_differs", id


@plant(scope="contents")
def a_flipped_bit_in_a_file(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    path = _file(store, id)
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])
    return "layer_content_differs", id


@plant(scope="contents")
def a_file_of_no_bytes(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    os.truncate(_file(store, id), 0)
    return "layer_content_differs", id


@plant()
def a_lost_file_that_was_all_there_was(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    _file(store, id).unlink()
    return "layer_content_lost", id


@plant("overlay")
def a_layer_without_payload(store: Damaged) -> tuple[str, str]:
    id = store.layer["id"]
    shutil.rmtree(store.files_of(id))
    store.files_of(id).mkdir()
    return "layer_content_lost", id


def _file(store: Damaged, id: str) -> Path:
    """The file that the layer's own tar-split names: vfs has the parent's files, too."""
    lines = gzip.decompress(store.tar_split(id).read_bytes()).splitlines()
    name = next(json.loads(line)["name"] for line in lines if json.loads(line)["type"] == 1)
    return store.files_of(id) / name


# ---------------------------------------------------------------- files without a record


@plant()
def a_folder_of_big_data_without_a_record(store: Damaged) -> tuple[str, str]:
    path = store.image_dir("a" * 64)
    path.mkdir()
    return "image_directory_orphan", str(path)


@plant()
def contents_without_a_record(store: Damaged) -> tuple[str, str]:
    path = store.contents("a" * 64)
    path.mkdir()
    return "layer_directory_orphan", str(path)


@plant("overlay")
def contents_under_any_name(store: Damaged) -> tuple[str, str]:
    path = store.contents("backup")
    path.mkdir()
    return "layer_directory_orphan", str(old(path))


@plant()
def a_tar_split_without_a_record(store: Damaged) -> tuple[str, str]:
    path = store.tar_split("a" * 64)
    path.write_bytes(b"")
    return "tar_split_orphan", str(path)


@plant()
def a_layers_data_without_a_record(store: Damaged) -> tuple[str, str]:
    path = store.table("layers").with_name("a" * 64)
    path.mkdir()
    return "layer_data_orphan", str(path)


@plant()
def a_containers_data_without_a_record(store: Damaged) -> tuple[str, str]:
    path = store.table("containers").with_name("a" * 64)
    path.mkdir()
    return "container_directory_orphan", str(path)


@plant("overlay")
def a_link_of_no_layer(store: Damaged) -> tuple[str, str]:
    path = store.contents("l") / ("A" * 26)
    path.symlink_to(f"../{'a' * 64}/diff")
    return "link_orphan", str(path)


@plant("overlay")
def a_second_link_to_a_layer(store: Damaged) -> tuple[str, str]:
    path = store.contents("l") / ("A" * 26)
    path.symlink_to(f"../{store.layer['id']}/diff")
    return "link_orphan", str(path)


@plant()
def a_temporary_table_left(store: Damaged) -> tuple[str, str]:
    path = store.table("images").with_name(".tmp-images.json123")
    path.write_bytes(b"[")
    return "temporary_left", str(old(path))


@plant()
def a_staged_layer_left(store: Damaged) -> tuple[str, str]:
    above = store.contents("x").parent
    above = (above if store.driver == "overlay" else above.parent) / "tempdirs"
    (above / "temp-dir-7").mkdir(parents=True)
    (above / "lock-7").write_bytes(b"")
    old(above / "lock-7")
    return "staging_stale", str(old(above / "temp-dir-7"))


@plant()
def a_staged_tar_split_left(store: Damaged) -> tuple[str, str]:
    path = store.table("layers").with_name("tmp") / "temp-dir-7"
    path.mkdir(parents=True)
    return "staging_stale", str(old(path))


@plant("overlay")
def a_partial_pull_left(store: Damaged) -> tuple[str, str]:
    path = store.contents("staging") / "123"
    path.mkdir(parents=True)
    (path / "staging.lock").write_bytes(b"")
    return "staging_stale", str(old(path))


# ---------------------------------------------------------------- tests

_SCOPES: tuple[Scope, ...] = ("records", "files", "contents")


@pytest.mark.parametrize(
    ("name", "driver"), [(name, driver) for name, (_, drivers, _) in _PLANTS.items() for driver in drivers]
)
def test_a_planted_damage_is_found_under_its_name_and_nothing_else_is(name: str, driver: str, tmp_path: Path) -> None:
    function, _, least = _PLANTS[name]
    store = lay(tmp_path, driver)  # type: ignore[arg-type]
    wanted = [function(store)]
    for scope in _SCOPES:
        found = [(each.name, each.id) for each in store.check(scope)]
        assert found == (wanted if _SCOPES.index(scope) >= _SCOPES.index(least) else [])


def test_every_name_of_the_catalogue_is_planted_somewhere() -> None:
    """Each plant names its finding in so many letters; that the name is right, the test above says."""
    planted = {name for function, _, _ in _PLANTS.values() for name in function.__code__.co_consts if name in CATALOGUE}
    elsewhere = {"store_missing", "file_unreadable", "config_unnamed"}
    assert planted | elsewhere == set(CATALOGUE)


def test_an_additional_store_that_is_gone_is_told(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay", images=24, seed=7, read_only=4)
    assert store.check() == []
    shutil.rmtree(store.location.additional[0])
    found = store.check()
    assert [each.name for each in found if each.kind == "store"] == ["store_missing"]


def test_damage_in_an_additional_store_is_told_of_that_store(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay", images=24, seed=7, read_only=4)
    root = store.location.additional[0]
    second = Damaged(location=store.location.__class__(graphroot=root, runroot="/none", driver="overlay"))
    second.item(second.image["id"], "manifest").unlink()
    assert [(each.name, each.id, each.store) for each in store.check()] == [("manifest_missing", second.image["id"], 1)]


def test_an_image_that_names_no_configuration_is_told(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    image = store.image
    key = f"sha256:{image['id']}"
    store.item(image["id"], key).unlink()
    store.edit("images", image["id"], big_data_names=[each for each in image["big-data-names"] if each != key])
    assert [(each.name, each.id) for each in store.check()] == [("config_unnamed", image["id"])]


def test_what_is_young_or_held_is_not_called_left(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    young = store.table("images").with_name(".tmp-images.json1")
    young.write_bytes(b"[")
    above = store.contents("tempdirs")
    for number in (1, 2):
        (above / f"temp-dir-{number}").mkdir(parents=True)
        (above / f"lock-{number}").write_bytes(b"")
    old(above / "temp-dir-1")
    old(above / "lock-1")
    with (above / "lock-1").open("r+b") as held:
        # An open file description of its own, as another process has it.
        fcntl.fcntl(held, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
        assert store.check() == []
    assert [(each.name, each.id) for each in store.check()] == [("staging_stale", str(above / "temp-dir-1"))]


def test_what_a_removal_left_that_broke_off_is_no_lost_table(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    keep = store.image["id"]
    for record in store.records("images"):
        if record["id"] != keep:
            shutil.rmtree(store.image_dir(record["id"]))
    for record in store.records("containers"):
        shutil.rmtree(Path(paths.containers_dir(store.root, store.driver), record["id"]))
    for noun in ("images", "containers", "layers"):
        store.write(noun, [])
    found = {each.name for each in store.check("files")}
    assert "image_directory_orphan" in found
    assert "layer_directory_orphan" in found
    assert "table_lost" not in found


def test_a_layer_that_only_takes_away_has_lost_nothing(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    id = store.layer["id"]
    lines = [{"type": 1, "name": name, "size": 0, "payload": None} for name in ("./", "etc/.wh.passwd", ".wh..wh..opq")]
    store.tar_split(id).write_bytes(gzip.compress(b"".join(json.dumps(line).encode() + b"\n" for line in lines)))
    shutil.rmtree(store.files_of(id))
    store.files_of(id).mkdir()
    assert store.check("files") == []


def test_a_damaged_layer_names_the_images_upon_it(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    base = store.base["id"]
    store.link(base).unlink()
    (found,) = store.check()
    assert found.images
    assert set(found.images) <= {record["id"] for record in store.records("images")}
