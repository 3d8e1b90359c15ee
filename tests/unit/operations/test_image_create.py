import hashlib
import json
from typing import Any

import pytest
from msgspec import structs
from msgspec.structs import replace

from storaged.operations import image_create
from storaged.store.changes import ChangeSet, Item
from storaged.store.layout.records import ImageID
from storaged_client.contract.errors import ImageDamaged, InvalidName, InvalidParams, StoreBusy
from storaged_client.contract.params import ImagesCreate
from storaged_client.contract.types import Created, Moved
from storaged_client.json_limits import CONTENT_DEPTH
from tests.support.stores import Store
from tests.unit.operations.shelf import Shelf, compact, sha

NOW = "2026-01-02T03:04:05.6Z"
BARE: dict[str, Any] = {"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers"}}


def plan(shelf: Shelf, config: Any, *names: str) -> ChangeSet[Created]:
    return image_create.create(shelf.snapshot(), ImagesCreate(config=config, names=names), NOW)


def made(shelf: Shelf, config: Any, *names: str) -> Created:
    planned = plan(shelf, config, *names)
    shelf.apply(planned.change)
    return planned.result


def test_an_image_is_its_configuration_and_a_manifest_without_layers() -> None:
    planned = plan(Shelf(), BARE, "app", "quay.io/x/app:2")
    data = compact(BARE)
    own = hashlib.sha256(data).hexdigest()
    (new,) = planned.change.added
    manifest = new.items[2].data
    assert planned.result == Created(ids=(own,), names=("quay.io/x/app:2", "localhost/app:latest"))
    assert [(item.key, item.data) for item in new.items[:2]] == [
        (f"sha256:{own}", data),
        (f"manifest-{sha(manifest)}", manifest),
    ]
    assert new.items[2].key == "manifest"
    assert json.loads(manifest) == {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": f"sha256:{own}",
            "size": len(data),
        },
        "layers": [],
    }
    assert new.members == {
        "id": own,
        "digest": sha(manifest),
        "names": ("quay.io/x/app:2", "localhost/app:latest"),
        "names-history": ("localhost/app:latest", "quay.io/x/app:2"),
        "metadata": "{}",
        "created": NOW,
    }


def test_the_bytes_of_a_text_are_kept_as_they_are() -> None:
    text = json.dumps(BARE, indent=2) + "\n"
    (new,) = plan(Shelf(), text).change.added
    assert new.items[0].data == text.encode()
    assert new.members["id"] == hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    ("told", "recorded"),
    [
        ("2020-02-29T23:30:00.120000000+01:00", "2020-02-29T22:30:00.12Z"),
        ("1969-12-31T23:59:59Z", "1969-12-31T23:59:59Z"),
        ("0100-01-01T00:00:00.000000001Z", "0100-01-01T00:00:00.000000001Z"),
    ],
)
def test_an_image_is_as_old_as_its_configuration_says(told: str, recorded: str) -> None:
    (new,) = plan(Shelf(), {**BARE, "created": told}).change.added
    assert new.members["created"] == recorded


def test_names_are_taken_from_whatever_else_bears_them() -> None:
    shelf = Shelf()
    other = shelf.image("other", "localhost/app:latest", "localhost/app:old")
    result = made(shelf, BARE, "app")
    assert result.moved_from == (Moved(name="localhost/app:latest", image=other.id),)
    assert shelf[other.id].names == ("localhost/app:old",)
    assert shelf[result.ids[0]].names == ("localhost/app:latest",)


def test_an_image_that_is_there_gets_the_names_and_keeps_its_bytes() -> None:
    shelf = Shelf()
    first = made(shelf, BARE, "one")
    planned = plan(shelf, BARE, "two")
    assert planned.change.added == ()
    assert [edit.items for edit in planned.change.edits] == [()]
    assert planned.result == Created(ids=first.ids, names=("localhost/two:latest", "localhost/one:latest"))
    shelf.apply(planned.change)
    assert plan(shelf, BARE, "two").change.empty
    assert plan(shelf, BARE).change.empty


def test_an_image_that_lost_its_bytes_gets_them_again() -> None:
    shelf = Shelf()
    first = made(shelf, BARE, "one")
    shelf.spoil(shelf[first.ids[0]], "manifest")
    (edit,) = plan(shelf, BARE).change.edits
    assert [item.key for item in edit.items][::2] == [f"sha256:{first.ids[0]}", "manifest"]
    assert edit.members == {}


def test_an_image_of_a_read_only_store_is_made_in_the_writable_one() -> None:
    shelf = Shelf()
    data = compact(BARE)
    own = ImageID(hashlib.sha256(data).hexdigest())
    shelf.put(
        own, ["localhost/there:1"], [Item(key=f"sha256:{own}", data=data), Item(key="manifest", data=b"{}")], store=1
    )
    assert [new.members["id"] for new in plan(shelf, BARE, "one").change.added] == [own]


def test_an_image_that_another_tool_is_making_is_left_to_it() -> None:
    store = Store()
    store.image("other", half_made=True)
    row = store.images[0]
    own = ImageID(hashlib.sha256(compact(BARE)).hexdigest())
    store.images[0] = structs.replace(row, record=replace(row.record, id=own))
    with pytest.raises(StoreBusy):
        image_create.create(store.snapshot(), ImagesCreate(config=BARE), NOW)


def test_an_image_that_is_there_with_a_layer_is_no_such_image() -> None:
    store = Store()
    store.layer("one")
    store.image("other", layer="one")
    row = store.images[0]
    own = ImageID(hashlib.sha256(compact(BARE)).hexdigest())
    store.images[0] = structs.replace(row, record=replace(row.record, id=own))
    with pytest.raises(ImageDamaged):
        image_create.create(store.snapshot(), ImagesCreate(config=BARE), NOW)


@pytest.mark.parametrize(
    ("path", "config"),
    [
        ("config", 7),
        ("config", "no JSON"),
        ("config", "[]"),
        ("config", "[" * 100_000),
        ("config", {**BARE, "os": None} | {"x": 1}),
        ("config.os", {**BARE, "os": 7}),
        ("config.os", {**BARE, "os": ""}),
        ("config.architecture", {**BARE, "architecture": ""}),
        ("config", {"architecture": "a", "os": "b"}),
        ("config.rootfs.type", {**BARE, "rootfs": {"type": "squashfs"}}),
        ("config.rootfs.diff_ids", {**BARE, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "1" * 64]}}),
        ("config.config.Env[...]", {**BARE, "config": {"Env": [7]}}),
        ("config.config.Labels[...]", {**BARE, "config": {"Labels": {"a": 1}}}),
        ("config.config.ExposedPorts[...]", {**BARE, "config": {"ExposedPorts": {"80/tcp": 1}}}),
        ("config.history[0].empty_layer", {**BARE, "history": [{"created_by": "x"}]}),
        ("config.history[0].empty_layer", {**BARE, "history": [None]}),
        ("config", {**BARE, "history": [{"empty_layer": True, "created": "yesterday"}]}),
        (
            "config.history[0].created",
            {**BARE, "history": [{"empty_layer": True, "created": "2026-01-01T00:00:00,1Z"}]},
        ),
        ("config.created", {**BARE, "created": "yesterday"}),
        ("config.created", {**BARE, "created": "0000-01-01T00:00:00Z"}),
    ],
)
def test_what_podman_could_not_read_is_refused_and_says_where(path: str, config: Any) -> None:
    with pytest.raises(InvalidParams) as caught:
        plan(Shelf(), config)
    assert caught.value.data["path"].removeprefix("$.").startswith(path.split("[...]", maxsplit=1)[0])


def test_null_means_that_a_member_is_not_there() -> None:
    nothing = dict.fromkeys(("created", "author", "variant", "config", "history", "os.version", "os.features"))
    plan(Shelf(), {**BARE, **nothing, "rootfs": {"type": "layers", "diff_ids": None}})
    plan(Shelf(), {**BARE, "config": dict.fromkeys(("Env", "Labels", "Volumes", "User", "Cmd"))})


@pytest.mark.parametrize("name", ["No Name", "a@sha256:" + "1" * 64])
def test_a_name_must_be_one(name: str) -> None:
    with pytest.raises(InvalidName):
        plan(Shelf(), BARE, name)


@pytest.mark.parametrize(
    ("more", "path"),
    [
        ({"Architecture": 5}, "config"),
        ({"O\u017f": ["linux"]}, "config"),
        ({"config": {"labels": {"a": "b"}}}, "config.config"),
        ({"rootfs": {"type": "layers", "Diff_IDs": ["sha256:" + "a" * 64]}}, "config.rootfs"),
        ({"history": [{"empty_layer": True, "Created": "soon"}]}, "config.history[0]"),
    ],
)
def test_a_member_that_go_takes_for_a_known_one_is_refused(more: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidParams, match="other tools take for") as caught:
        plan(Shelf(), {**BARE, **more})
    assert caught.value.data["path"] == f"$.{path}"


def test_labels_and_unknown_members_may_differ_in_case_alone() -> None:
    assert plan(Shelf(), {**BARE, "x": 1, "X": 2, "config": {"Labels": {"a": "1", "A": "2"}}}).change.added


def test_a_member_that_stands_twice_is_refused_since_go_puts_the_two_together() -> None:
    twice = json.dumps({**BARE, "rootfs": {"type": "layers", "diff_ids": ["sha256:" + "a" * 64]}})[:-1]
    with pytest.raises(InvalidParams, match="twice"):
        plan(Shelf(), twice + ',"rootfs":{"type":"layers","diff_ids":[]}}')


def test_an_object_that_is_nested_too_deeply_or_no_text_is_an_error_of_the_parameters() -> None:
    deep: dict[str, Any] = {}
    for _ in range(CONTENT_DEPTH - 1):
        deep = {"a": deep}
    with pytest.raises(InvalidParams, match="nested too deeply"):
        plan(Shelf(), {**BARE, "x": deep})
    with pytest.raises(InvalidParams, match="no image configuration"):
        plan(Shelf(), {**BARE, "x": "\ud800"})


@pytest.mark.parametrize(
    "more",
    [
        {"docker_version": 5},
        {"comment": 5},
        {"id": 5},
        {"parent": []},
        {"container_config": 3},
        {"container_config": {"Cmd": [1]}},
        {"Size": "1"},
        {"Size": 1.0},
        {"config": {"Shell": 5}},
        {"config": {"OnBuild": "x"}},
        {"config": {"Hostname": 4}},
        {"config": {"StopTimeout": "10s"}},
        {"config": {"StopTimeout": 10.0}},
        {"config": {"StopTimeout": 1 << 63}},
        {"config": {"Healthcheck": {"Interval": "10s"}}},
        {"config": {"Healthcheck": {"interval": 1}}},
    ],
)
def test_dockers_members_have_dockers_types_since_podman_reads_them_of_every_image(more: dict[str, Any]) -> None:
    with pytest.raises(InvalidParams) as caught:
        plan(Shelf(), {**BARE, **more})
    assert caught.value.data["path"].startswith("$.config")


def test_dockers_members_are_kept_where_podman_can_read_them() -> None:
    check = {"Test": ["CMD", "true"], "Interval": 30_000_000_000, "Retries": 3}
    more = {
        "docker_version": "20.10",
        "Size": 0,
        "config": {"Shell": ["/bin/sh"], "StopTimeout": 9, "Healthcheck": check},
    }
    (new,) = plan(Shelf(), {**BARE, **more}).change.added
    assert json.loads(new.items[0].data) == {**BARE, **more}
