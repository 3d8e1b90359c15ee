"""What tools of containers/storage 1.64 and later leave in a store, each planted in one: nothing of it is damage."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from storaged.engine.content import Contents
from storaged.engine.loading import Loader
from storaged.metrics import Metrics
from storaged.operations import store_flaws
from storaged.operations.layer_gc import LayerGC
from storaged.snapshot.model import Snapshot
from storaged.store.changes import Change, ImageEdit
from storaged.store.checking.walk import walk
from storaged.store.content import ContentReader
from storaged.store.drivers import userns
from storaged.store.files import Files
from storaged.store.layout.digest_forms import is_digest, verify
from storaged.store.layout.records import ImageID
from storaged.store.reader import StoreReader
from tests.support.damaged import Damaged, lay
from tests.support.trees import remove_tree
from tests.unit.store.writing.workshop import opened

MAP = [{"container_id": 0, "host_id": 100000, "size": 65536}]


def _snapshot(store: Damaged) -> Snapshot:
    reader = StoreReader(store.location, metrics=Metrics())
    contents = Contents(ContentReader(store.location, Metrics()))
    try:
        loader = Loader(reader, contents, Metrics())
        return loader.load(unproven=False, afresh=False, cancelled=lambda: False).snapshot
    finally:
        reader.close()


def _container_layers(store: Damaged) -> list[str]:
    return [record["layer"] for record in store.records("containers")]


def _freed(snapshot: Snapshot) -> list[tuple[str, int | None, tuple[str, ...]]]:
    """What each image gives back, gone one after the other with its containers."""
    freeing = LayerGC(snapshot)
    found = []
    for image in snapshot.images:
        containers = [snapshot.container_by_id[container] for container in image.containers]
        freed = freeing.leave(image, containers)
        found.append((image.id, freed.size, tuple(freed.layers)))
    return found


def _layers(snapshot: Snapshot) -> set[str]:
    """The layers that go when all images do."""
    return {layer for _, _, layers in _freed(snapshot) for layer in layers}


# ---------------------------------------------------------------- ID maps


def test_an_id_map_of_a_containers_layer_says_nothing_of_its_files(tmp_path: Path) -> None:
    """Since 1.64 it is there with idmapped mounts, too, where nothing was chowned: a store holds both kinds."""
    store = lay(tmp_path, "overlay")
    table = "volatile-layers" if not (set(_container_layers(store)) & _ids(store, "layers")) else "layers"
    path = store.table("layers").with_name(f"{table}.json")
    before = _snapshot(store)
    records = json.loads(path.read_bytes())
    chosen = [record for record in records if record["id"] in _container_layers(store)]
    assert len(chosen) > 1
    chosen[0] |= {"uidmap": MAP, "gidmap": MAP}
    path.write_text(json.dumps(records))
    assert store.check() == []
    after = _snapshot(store)
    assert _freed(after) == _freed(before)
    assert [(layer.id, layer.size) for layer in after.layers] == [(layer.id, layer.size) for layer in before.layers]
    assert json.loads(path.read_bytes()) == records


def _ids(store: Damaged, noun: str) -> set[str]:
    return {record["id"] for record in store.records(noun)}


def test_a_mapped_copy_is_known_by_the_image_that_names_it_and_by_nothing_else(tmp_path: Path) -> None:
    store = lay(tmp_path, "vfs")
    top = store.layer
    records = store.records("layers")
    mapped, other = "a" * 64, "b" * 64
    for id, more in ((mapped, {}), (other, {})):
        copy = {**top, "id": id, "uidmap": MAP, "gidmap": MAP, **more}
        copy.pop("names", None)
        records.append(copy)
        shutil.copytree(store.contents(top["id"]), store.contents(id))
        shutil.copy(store.tar_split(top["id"]), store.tar_split(id))
    store.write("layers", records)
    image = next(record for record in store.records("images") if record.get("layer") == top["id"])
    store.edit("images", image["id"], mapped_layers=[mapped])
    assert store.check() == []
    snapshot = _snapshot(store)
    assert mapped in _layers(snapshot)
    assert other not in _layers(snapshot)


# ---------------------------------------------------------------- incomplete layers


def test_a_chain_of_incomplete_layers_is_told_each_and_hinders_nobody(tmp_path: Path) -> None:
    """A batch removal that died leaves many; whoever opens the store next cleans them up."""
    store = lay(tmp_path, "overlay")
    images = {record["id"] for record in store.records("images")}
    records = store.records("layers")
    chain = ["1" * 64, "2" * 64, "3" * 64]
    for id, parent in zip(chain, [None, *chain], strict=False):
        records.append({"id": id, "created": "2026-01-01T00:00:00Z", "flags": {"incomplete": True}})
        if parent is not None:
            records[-1]["parent"] = parent
    records.reverse()
    store.write("layers", records)
    for scope in ("records", "files", "contents"):
        assert sorted((each.name, each.id) for each in store.check(scope)) == [("layer_incomplete", id) for id in chain]
    snapshot = _snapshot(store)
    assert {image.id for image in snapshot.images} == images
    assert store_flaws.flaws(snapshot) == ()
    assert not set(chain) & set(snapshot.layer_by_id)
    assert not set(chain) & _layers(snapshot)


# ---------------------------------------------------------------- additional stores


def test_a_parent_in_an_additional_store_is_not_missing_and_podmans_repair_is_warned_of(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay", read_only=2)
    second = Damaged(
        location=store.location.__class__(graphroot=store.location.additional[0], runroot="/none", driver="overlay")
    )
    base = store.base
    link = store.link(base["id"])
    target = second.contents(base["id"])
    shutil.copytree(store.contents(base["id"]), target)
    second_link = second.contents("l") / link.name
    second_link.symlink_to(os.readlink(link))
    shutil.move(store.tar_split(base["id"]), second.tar_split(base["id"]))
    link.unlink()
    remove_tree(store.contents(base["id"]))
    store.drop("layers", base["id"])
    second.write("layers", [*second.records("layers"), base])
    steps = list(walk(store.location, scope="contents"))
    assert [each.name for step in steps for each in step.findings] == []
    (note,) = [step.note for step in steps if step.note is not None]
    assert "--repair" in note
    assert "before podman 6.1" in note
    assert store_flaws.flaws(_snapshot(store)) == ()


def test_nothing_is_noted_of_a_store_that_stands_on_itself(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay", images=24, read_only=2)
    assert [step.note for step in walk(store.location) if step.note is not None] == []


# ---------------------------------------------------------------- digests


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        (f"blake3:{'0' * 64}", "not verifiable"),
        ("sha256+b64u:LCa0a2j_xo", "not verifiable"),
        (f"sha512:{hashlib.sha512(b'x').hexdigest()}", "same"),
        (f"sha3-256:{hashlib.sha3_256(b'x').hexdigest()}", "same"),
        (f"sha256:{'0' * 64}", "other"),
        ("no digest", "other"),
    ],
)
def test_bytes_are_verified_where_the_algorithm_is_known(text: str, verdict: str) -> None:
    assert verify(text, b"x") == verdict


@pytest.mark.parametrize("text", ["sha256:", "sha256:abc", "SHA256:" + "0" * 64, "sha256:" + "G" * 64, ":abc", "a b:c"])
def test_what_has_no_form_of_a_digest_is_none(text: str) -> None:
    assert not is_digest(text)


def test_a_list_of_digests_of_an_unknown_algorithm_protects_what_it_names(tmp_path: Path) -> None:
    """Its own digest and that of an instance: neither is evidence of damage, both are matched as they stand."""
    store = lay(tmp_path, "overlay")
    new = f"blake3:{'ab' * 32}"
    untagged = next(
        record
        for record in store.records("images")
        if record.get("layer") and not record.get("names") and "instances.json" not in record["big-data-names"]
    )
    digests = {key: new if key == "manifest" else value for key, value in untagged["big-data-digests"].items()}
    store.edit("images", untagged["id"], digest=new, big_data_digests=digests)
    record = store.list
    path = store.item(record["id"], "manifest")
    members = json.loads(path.read_bytes())
    members["manifests"][0]["digest"] = new
    data = json.dumps(members).encode()
    path.write_bytes(data)
    store.edit(
        "images",
        record["id"],
        digest=f"blake3:{'cd' * 32}",
        big_data_digests={**record["big-data-digests"], "manifest": f"blake3:{'cd' * 32}"},
        big_data_sizes={**record["big-data-sizes"], "manifest": len(data)},
    )
    snapshot = _snapshot(store)
    assert snapshot.evidence == ()
    assert store_flaws.flaws(snapshot) == ()
    assert snapshot.by_id[ImageID(untagged["id"])].in_lists == (record["id"],)
    assert not snapshot.by_id[ImageID(untagged["id"])].dangling
    assert {each.name for each in store.check()} == {"digest_not_verifiable"}


def test_our_changes_keep_digests_of_an_unknown_algorithm_as_they_stand(tmp_path: Path) -> None:
    with opened(tmp_path) as shop:
        records: list[dict[str, Any]] = json.loads(shop.images_json.read_bytes())
        record = next(each for each in records if each.get("names") and each.get("layer"))
        record["digest"] = f"blake3:{'ab' * 32}"
        record["big-data-digests"]["manifest"] = record["digest"]
        shop.images_json.write_text(json.dumps(records))
        image = ImageID(record["id"])
        shop.apply(Change(edits=(ImageEdit(image=image, members={"names": ["localhost/new:1"]}),)))
        written = next(each for each in json.loads(shop.images_json.read_bytes()) if each["id"] == image)
        assert written["names"] == ["localhost/new:1"]
        assert (written["digest"], written["big-data-digests"]) == (record["digest"], record["big-data-digests"])


# ---------------------------------------------------------------- user namespaces


class _Namespace(Files):
    """Is in a user namespace of this inode."""

    def __init__(self, inode: int) -> None:
        self._inode = inode

    def stat(self, path: str, *, dir_fd: int | None = None, follow_symlinks: bool = True) -> os.stat_result:
        found = super().stat(path, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        if path != "/proc/self/ns/user":
            return found
        return os.stat_result((found[0], self._inode, *found[2:]))


@pytest.mark.parametrize(
    ("uid", "configured", "inode", "rootless"),
    [
        (0, None, userns.INITIAL, False),
        (0, None, userns.INITIAL + 1, True),  # whatever its map is: all ids, too
        (0, "done", userns.INITIAL, True),
        (1000, None, userns.INITIAL, True),
    ],
)
def test_rootless_is_who_is_not_root_of_the_initial_user_namespace(
    monkeypatch: pytest.MonkeyPatch, uid: int, configured: str | None, inode: int, rootless: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    monkeypatch.delenv("_CONTAINERS_USERNS_CONFIGURED", raising=False)
    if configured is not None:
        monkeypatch.setenv("_CONTAINERS_USERNS_CONFIGURED", configured)
    assert userns.is_rootless(_Namespace(inode)) is rootless
    assert userns.may_give(_Namespace(inode), 65534, 65534) is (uid == 0 and not rootless)
    assert userns.may_give(_Namespace(inode), 5, 5) is (uid == 0)
