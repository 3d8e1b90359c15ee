"""Each damage that storaged knows, planted in a store: found under its name, and nothing else."""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
from attrs import frozen

from storaged.store.checking.findings import CATALOGUE
from storaged.store.checking.walk import Scope
from storaged.store.layout import paths
from storaged.store.locks.record_lock import FLOCK
from tests.support.damaged import Damaged, lay, old
from tests.support.trees import remove_tree

Record = dict[str, Any]
NOWHERE = "0" * 64
NEW = "a" * 64


@frozen
class Plant:
    """One damage: what it is, the finding, and what plants it and returns the id of its subject.

    ``scope`` is the least that finds it.
    """

    title: str
    finding: str
    plant: Callable[[Damaged], str]
    drivers: str = "overlay vfs"
    scope: Scope = "files"

    def __str__(self) -> str:
        return self.title


# ---------------------------------------------------------------- what is damaged

_TABLES = {"image": "images", "list": "images", "layer": "layers", "base": "layers", "container": "containers"}


def table(kind: str, harm: Callable[[Path], object]) -> Callable[[Damaged], str]:
    """Harm a table."""

    def plant(store: Damaged) -> str:
        harm(store.table(kind))
        return str(store.table(kind))

    return plant


def rewritten(kind: str, records: Callable[[list[Record]], object]) -> Callable[[Damaged], str]:
    """Replace the records of a table."""

    def plant(store: Damaged) -> str:
        store.write(kind, records(store.records(kind)))
        return str(store.table(kind))

    return plant


def added(kind: str, record: Callable[[Damaged], Record]) -> Callable[[Damaged], str]:
    """Add a record to a table."""

    def plant(store: Damaged) -> str:
        new = record(store)
        store.write(kind, [*store.records(kind), new])
        return str(new["id"])

    return plant


def edited(subject: str, members: Callable[[Damaged, Record], Record]) -> Callable[[Damaged], str]:
    """Change members of a record."""

    def plant(store: Damaged) -> str:
        record = getattr(store, subject)
        store.edit(_TABLES[subject], record["id"], **members(store, record))
        return str(record["id"])

    return plant


def file(
    subject: str, path: Callable[[Damaged, Record], Path], harm: Callable[[Path], object]
) -> Callable[[Damaged], str]:
    """Harm a file of a record."""

    def plant(store: Damaged) -> str:
        record = getattr(store, subject)
        harm(path(store, record))
        return str(record["id"])

    return plant


def left(path: Callable[[Damaged], Path], make: Callable[[Path], object]) -> Callable[[Damaged], str]:
    """Leave something that no record names."""

    def plant(store: Damaged) -> str:
        make(path(store))
        return str(path(store))

    return plant


# ---------------------------------------------------------------- files of a record


def folder(store: Damaged, record: Record) -> Path:
    return store.image_dir(record["id"])


def item(key: str) -> Callable[[Damaged, Record], Path]:
    return lambda store, record: store.item(record["id"], key)


manifest, instances, artifacts = item("manifest"), item("instances.json"), item("artifacts.json")


def config(store: Damaged, record: Record) -> Path:
    return store.item(record["id"], f"sha256:{record['id']}")


def twin(store: Damaged, record: Record) -> Path:
    """The manifest under its second key."""
    return store.item(record["id"], next(key for key in record["big-data-names"] if key.startswith("manifest-")))


def link(store: Damaged, record: Record) -> Path:
    return store.link(record["id"])


def of_layer(name: str) -> Callable[[Damaged, Record], Path]:
    return lambda store, record: store.contents(record["id"]) / name


def tar_split(store: Damaged, record: Record) -> Path:
    return store.tar_split(record["id"])


def files(store: Damaged, record: Record) -> Path:
    return store.files_of(record["id"])


def payload(store: Damaged, record: Record) -> Path:
    """The file that the layer's own tar-split names: vfs has the parent's files, too."""
    lines = [json.loads(line) for line in gzip.decompress(tar_split(store, record).read_bytes()).splitlines()]
    return files(store, record) / next(line["name"] for line in lines if line["type"] == 1)


# ---------------------------------------------------------------- harm


def empty(path: Path) -> None:
    path.write_bytes(b"")


def zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def cut(length: int) -> Callable[[Path], None]:
    return lambda path: os.truncate(path, length)


def torn(end: int) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes()[:end])


def flipped(path: Path) -> None:
    path.write_bytes(bytes([path.read_bytes()[0] ^ 1]) + path.read_bytes()[1:])


def holding(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


def changed(before: bytes, after: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(path.read_bytes().replace(before, after, 1))


def emptied(path: Path) -> None:
    remove_tree(path)
    path.mkdir()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def a_link(target: str) -> Callable[[Path], None]:
    def harm(path: Path) -> None:
        path.unlink(missing_ok=True)
        path.symlink_to(target)

    return harm


def another_tar(path: Path) -> None:
    lines = gzip.decompress(path.read_bytes()).splitlines()
    path.write_bytes(gzip.compress(b"\n".join([*lines, json.dumps(json.loads(lines[-1])).encode()])))


def aged(make: Callable[[Path], object]) -> Callable[[Path], object]:
    def harm(path: Path) -> None:
        make(path)
        old(path)

    return harm


# ---------------------------------------------------------------- what takes more than one step


def no_layers_at_all(store: Damaged) -> str:
    for record in store.records("layers"):
        remove_tree(store.contents(record["id"]))
    store.table("layers").unlink()
    return str(store.table("layers"))


def a_shared_name(store: Damaged) -> str:
    image, last = store.image, store.records("images")[-1]
    assert last["id"] != image["id"]
    store.edit("images", last["id"], names=[*last.get("names", []), image["names"][0]])
    return str(image["id"])


def no_instances_named(store: Damaged) -> str:
    listed = store.list
    keys = [key for key in listed["big-data-names"] if key != "instances.json"]
    store.item(listed["id"], "instances.json").unlink()
    store.edit("images", listed["id"], big_data_names=keys)
    return str(listed["id"])


def undecodable_artifacts(store: Damaged) -> str:
    listed = store.list
    artifacts(store, listed).write_bytes(b"[]")
    if "artifacts.json" not in listed["big-data-names"]:
        store.edit("images", listed["id"], big_data_names=[*listed["big-data-names"], "artifacts.json"])
    return str(listed["id"])


def a_layer_without_its_folder(store: Damaged) -> str:
    id = store.layer["id"]
    if store.driver == "overlay":
        store.link(id).unlink()
    remove_tree(store.contents(id))
    return str(id)


def a_link_to_another_layer(store: Damaged) -> str:
    a_link(f"../{store.base['id']}/diff")(link(store, store.layer))
    return str(store.layer["id"])


def a_lower_of(subject: str) -> Callable[[Damaged], str]:
    """The file names the layer's own link alone."""

    def plant(store: Damaged) -> str:
        id = getattr(store, subject)["id"]
        (store.contents(id) / "lower").write_text("l/" + store.link(id).name)
        return str(id)

    return plant


def a_lower_layers_of_itself(store: Damaged) -> str:
    id = store.layer["id"]
    (store.contents(id) / "lower-layers").write_text(id)
    return str(id)


def a_second_link(store: Damaged) -> str:
    path = store.contents("l") / ("A" * 26)
    path.symlink_to(f"../{store.layer['id']}/diff")
    return str(path)


def a_staged_layer(store: Damaged) -> str:
    above = store.contents("x").parent
    above = (above if store.driver == "overlay" else above.parent) / "tempdirs"
    (above / "temp-dir-7").mkdir(parents=True)
    (above / "lock-7").write_bytes(b"")
    old(above / "lock-7")
    return str(old(above / "temp-dir-7"))


def a_partial_pull(store: Damaged) -> str:
    path = store.contents("staging") / "123"
    path.mkdir(parents=True)
    (path / "staging.lock").write_bytes(b"")
    return str(old(path))


def digests(value: Callable[[Damaged, Record], str]) -> Callable[[Damaged, Record], Record]:
    """Another digest recorded for the manifest."""
    return lambda store, record: {"big_data_digests": {**record["big-data-digests"], "manifest": value(store, record)}}


def sha3_256(store: Damaged, record: Record) -> str:
    return f"sha3-256:{hashlib.sha3_256(manifest(store, record).read_bytes()).hexdigest()}"


def short(store: Damaged) -> Record:
    return {"id": "short", "created": "2024-01-01T00:00:00Z"}


def members(**given: object) -> Callable[[Damaged, Record], Record]:
    return lambda store, record: dict(given)


UNKNOWN = f"blake3:{'0' * 64}"

_RECORDS = [
    ("a torn table of images", "table_unreadable", table("images", torn(700))),
    ("a torn table of layers", "table_unreadable", table("layers", torn(-1))),
    ("a table that is an object", "table_unreadable", rewritten("containers", lambda _: {})),
    ("an empty table of images", "table_lost", table("images", empty)),
    # As podman 4.3 leaves it that took a torn table for an empty one.
    ("a table of no images beside their folders", "table_lost", rewritten("images", lambda _: [])),
    ("a table of no layers beside their folders", "table_lost", rewritten("layers", lambda _: []), "overlay"),
    ("a lost table of layers", "table_lost", table("layers", Path.unlink)),
    ("a lost table of layers and all layers", "table_lost", no_layers_at_all),
    ("an empty table of containers", "table_lost", table("containers", empty)),
    ("a null record", "record_null", rewritten("images", lambda records: [*records, None])),
    ("a record that is a number", "record_malformed", rewritten("layers", lambda records: [*records, 5])),
    ("a wrong type in an image", "record_malformed", edited("image", members(names_history=[1]))),
    ("a fraction for a size", "record_malformed", edited("layer", members(compressed_size=1.5))),
    ("a wrong type in a member not read", "record_malformed", edited("layer", members(uidset=["0"]))),
    ("an id that is no id", "record_id_malformed", added("layers", short)),
    ("a bad time", "time_malformed", edited("image", members(created="yesterday"))),
    ("a bad digest of an image", "image_digest_invalid", edited("image", members(digest="sha256:abc"))),
    ("a bad digest of a manifest", "image_digest_invalid", edited("image", digests(lambda *_: "sha256:00"))),
    ("a bad digest of a layer", "digest_invalid", edited("layer", members(compressed_diff_digest="sha256:XYZ"))),
    ("an unknown algorithm", "digest_not_verifiable", edited("image", digests(lambda *_: UNKNOWN))),
    ("an unknown algorithm of a layer", "digest_not_verifiable", edited("layer", members(diff_digest=UNKNOWN))),
    ("a list's digest that only we can verify", "digest_unusual", edited("list", digests(sha3_256))),
    ("an image id borne twice", "id_duplicate", added("images", lambda store: store.image)),
    ("a layer id borne twice", "id_duplicate", added("layers", lambda store: store.layer)),
    ("a name borne by two images", "name_duplicate", a_shared_name),
    ("a name twice in one layer", "name_duplicate", edited("layer", members(names=["twice", "twice"]))),
    ("a name that is no reference", "name_invalid", edited("image", lambda _, it: {"names": [*it["names"], "A B:1"]})),
    ("a missing top layer", "image_layer_missing", edited("image", members(layer=NOWHERE))),
    ("a missing mapped layer", "image_mapped_layer_missing", edited("image", members(mapped_layers=[NOWHERE]))),
    ("a missing parent", "layer_parent_missing", edited("layer", members(parent=NOWHERE)), "vfs"),
    ("a layer that is its own parent", "layer_cycle", edited("layer", lambda _, it: {"parent": it["id"]}), "vfs"),
    ("an incomplete layer", "layer_incomplete", edited("layer", members(flags={"incomplete": True}))),
    ("a half-made image", "image_half_made", added("images", lambda store: {**short(store), "id": "f" * 64})),
    ("a container of no image", "container_image_missing", edited("container", members(image=NOWHERE))),
    ("a container of no layer", "container_layer_missing", edited("container", members(layer=NOWHERE))),
]
"""Found in the records alone."""

_FILES = [
    ("an image without its folder", "image_directory_missing", file("image", folder, remove_tree)),
    ("a list without its folder", "evidence_unreadable", file("list", folder, remove_tree)),
    ("a missing manifest", "manifest_missing", file("image", manifest, Path.unlink)),
    ("a manifest that is none", "manifest_undecodable", file("image", manifest, holding(b"{}"))),
    ("a manifest of zeros", "manifest_undecodable", file("image", manifest, zeroed)),
    (
        "another manifest than recorded",
        "big_data_digest",
        file("image", manifest, changed(b'Version":2', b'Version":3')),
    ),
    ("an emptied list", "evidence_unreadable", file("list", manifest, empty)),
    ("another list than recorded", "evidence_unreadable", file("list", manifest, changed(b"sha256:", b"sha512:"))),
    ("a missing config", "config_missing", file("image", config, Path.unlink)),
    ("a config that is none", "config_undecodable", file("image", config, empty)),
    ("another config than recorded", "config_mismatch", file("image", config, changed(b'"linux"', b'"linuy"'))),
    ("a missing item", "big_data_missing", file("image", twin, Path.unlink)),
    ("a shortened item", "big_data_size", file("image", twin, cut(3))),
    ("a directory for an item", "big_data_unreadable", file("image", twin, a_folder)),
    ("a link for a manifest", "big_data_unreadable", file("image", manifest, a_link("/etc/passwd"))),
    ("a pipe for a manifest", "big_data_unreadable", file("image", manifest, a_pipe)),
    ("a list whose record names no instances", "instances_missing", no_instances_named),
    ("a list without its instances", "instances_missing", file("list", instances, Path.unlink)),
    ("undecodable instances", "instances_undecodable", file("list", instances, holding(b'{"a":1}'))),
    ("undecodable artifacts", "artifacts_undecodable", undecodable_artifacts),
    ("a file no record names", "big_data_extra", left(lambda store: folder(store, store.image) / "stranger", empty)),
    (
        "a temporary file left beside big data",
        "temporary_left",
        left(lambda store: folder(store, store.image) / ".tmp-manifest123", aged(empty)),
    ),
    ("a layer without its folder", "layer_directory_missing", a_layer_without_its_folder),
    ("a layer without diff", "layer_diff_missing", file("layer", of_layer("diff"), remove_tree), "overlay"),
    ("an empty link file", "link_file_lost", file("layer", of_layer("link"), empty), "overlay"),
    ("a missing link file", "link_file_lost", file("base", of_layer("link"), Path.unlink), "overlay"),
    ("a lost link", "link_lost", file("base", link, Path.unlink), "overlay"),
    ("a link to another layer", "link_wrong", a_link_to_another_layer, "overlay"),
    ("a directory for a link", "link_wrong", file("layer", link, a_folder), "overlay"),
    ("an empty lower", "lower_lost", file("layer", of_layer("lower"), empty), "overlay"),
    ("a missing lower", "lower_lost", file("layer", of_layer("lower"), Path.unlink), "overlay"),
    ("a lower of other layers", "lower_wrong", a_lower_of("layer"), "overlay"),
    ("a base layer with lower", "lower_wrong", a_lower_of("base"), "overlay"),
    ("an empty lower-layers", "lower_layers_empty", file("layer", of_layer("lower-layers"), empty), "overlay"),
    ("a lower-layers of other layers", "lower_layers_wrong", a_lower_layers_of_itself, "overlay"),
    ("a missing tar-split", "tar_split_missing", file("layer", tar_split, Path.unlink)),
    ("an empty tar-split", "tar_split_empty", file("layer", tar_split, empty)),
    ("a tar-split that is no gzip", "tar_split_undecodable", file("layer", tar_split, holding(b"{}"))),
    ("a lost file that was all there was", "layer_content_lost", file("layer", payload, Path.unlink)),
    ("a layer without payload", "layer_content_lost", file("layer", files, emptied), "overlay"),
    ("a folder of big data without a record", "image_directory_orphan", left(lambda s: s.image_dir(NEW), Path.mkdir)),
    ("contents without a record", "layer_directory_orphan", left(lambda s: s.contents(NEW), Path.mkdir)),
    (
        "contents under any name",
        "layer_directory_orphan",
        left(lambda store: store.contents("backup"), aged(Path.mkdir)),
        "overlay",
    ),
    ("a tar-split without a record", "tar_split_orphan", left(lambda s: s.tar_split(NEW), empty)),
    (
        "a layer's data without a record",
        "layer_data_orphan",
        left(lambda store: store.table("layers").with_name(NEW), Path.mkdir),
    ),
    (
        "a container's data without a record",
        "container_directory_orphan",
        left(lambda store: store.table("containers").with_name(NEW), Path.mkdir),
    ),
    (
        "a link of no layer",
        "link_orphan",
        left(lambda store: store.contents("l") / ("A" * 26), a_link(f"../{NEW}/diff")),
        "overlay",
    ),
    ("a second link to a layer", "link_orphan", a_second_link, "overlay"),
    (
        "a temporary table left",
        "temporary_left",
        left(lambda store: store.table("images").with_name(".tmp-images.json123"), aged(holding(b"["))),
    ),
    ("a staged layer left", "staging_stale", a_staged_layer),
    (
        "a staged tar-split left",
        "staging_stale",
        left(
            lambda store: store.table("layers").with_name("tmp") / "temp-dir-7",
            aged(lambda path: path.mkdir(parents=True)),
        ),
    ),
    ("a partial pull left", "staging_stale", a_partial_pull, "overlay"),
]
"""Found where files are looked at, too."""

_CONTENTS = [
    ("a flipped bit in an item", "big_data_digest", file("image", twin, flipped)),
    (
        "a tar-split that is no JSON",
        "tar_split_undecodable",
        file("layer", tar_split, holding(gzip.compress(b"text\n"))),
    ),
    ("a torn tar-split", "tar_split_undecodable", file("layer", tar_split, torn(-5))),
    ("a tar-split of another tar", "layer_content_differs", file("layer", tar_split, another_tar)),
    ("a flipped bit in a file", "layer_content_differs", file("layer", payload, flipped)),
    ("a file of no bytes", "layer_content_differs", file("layer", payload, cut(0))),
]
"""Found only where each byte is read."""

_PLANTS = [
    *(Plant(*row, scope="records") for row in _RECORDS),
    *(Plant(*row) for row in _FILES),
    *(Plant(*row, scope="contents") for row in _CONTENTS),
]


# ---------------------------------------------------------------- tests

_SCOPES: tuple[Scope, ...] = ("records", "files", "contents")


@pytest.mark.parametrize(
    ("plant", "driver"), [(plant, driver) for plant in _PLANTS for driver in plant.drivers.split()], ids=str
)
def test_a_planted_damage_is_found_under_its_name_and_nothing_else_is(
    plant: Plant, driver: Literal["overlay", "vfs"], tmp_path: Path
) -> None:
    store = lay(tmp_path, driver)
    wanted = [(plant.finding, plant.plant(store))]
    for scope in _SCOPES:
        found = [(each.name, each.id) for each in store.check(scope)]
        assert found == (wanted if _SCOPES.index(scope) >= _SCOPES.index(plant.scope) else [])


def test_every_name_of_the_catalogue_is_planted_somewhere() -> None:
    elsewhere = {"store_missing", "file_unreadable", "config_unnamed"}
    assert {plant.finding for plant in _PLANTS} | elsewhere == set(CATALOGUE)


def test_an_additional_store_that_is_gone_is_told(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay", images=24, seed=7, read_only=4)
    assert store.check() == []
    remove_tree(store.location.additional[0])
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
            remove_tree(store.image_dir(record["id"]))
    for record in store.records("containers"):
        remove_tree(Path(paths.containers_dir(store.root, store.driver), record["id"]))
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
    remove_tree(store.files_of(id))
    store.files_of(id).mkdir()
    assert store.check("files") == []


def test_a_damaged_layer_names_the_images_upon_it(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    base = store.base["id"]
    store.link(base).unlink()
    (found,) = store.check()
    assert found.images
    assert set(found.images) <= {record["id"] for record in store.records("images")}
