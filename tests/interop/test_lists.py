"""Manifest lists that both sides make, edit, push and remove; images made of a configuration alone."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen

from tests.support.client import Client
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, workspace

OURS, THEIRS = "localhost/ours:1", "localhost/theirs:1"


@frozen(kw_only=True)
class Scene:
    """A store with two images of one layer each, seen by both sides."""

    store: Store
    client: Client
    one: dict[str, Any]
    two: dict[str, Any]

    def manifest(self, name: str) -> bytes:
        """The very bytes of a list."""
        own = self.client.call("manifests.get", name=name)["manifest"]["id"]
        return (self._folder / own / "manifest").read_bytes()

    def item(self, name: str, key: str) -> Any:
        own = self.client.call("manifests.get", name=name)["manifest"]["id"]
        return json.loads((self._folder / own / key).read_bytes())

    @property
    def _folder(self) -> Path:
        return self.store.graphroot / f"{self.store.driver}-images"


@contextmanager
def scene(peer: Peer, driver: str = "vfs") -> Iterator[Scene]:
    with workspace(peer, driver=driver) as store:
        store.build("one", tag="localhost/one:1")
        store.build("two", tag="localhost/two:1")
        with daemon(store) as ours, ours.client() as client:
            rows = {row["names"][0]: row for row in client.images() if row["names"]}
            yield Scene(store=store, client=client, one=rows["localhost/one:1"], two=rows["localhost/two:1"])


Step = tuple[str, Callable[[Scene], tuple[str, dict[str, Any]]], Callable[[Scene], list[str]]]


def at(image: str) -> str:
    return f"containers-storage:localhost/{image}:1"


def at_id(image: dict[str, Any]) -> str:
    return f"containers-storage:{image['id']}"


# Each step: what it is, our method with its parameters but the list's name, and podman's arguments, LIST being it.
STEPS: list[Step] = [
    (
        "add an image",
        lambda scene: ("add", {"image": "one:1"}),
        lambda scene: ["add", "LIST", at("one")],
    ),
    (
        "add another, described",
        lambda scene: (
            "add",
            {
                "image": scene.two["id"],
                "platform": {"os": "linux", "architecture": "arm64", "variant": "v8", "os_version": "10.1"},
                "annotations": {"k": "v", "a": "<1&2>"},
            },
        ),
        lambda scene: (
            "add --os linux --arch arm64 --variant v8 --os-version 10.1 --annotation k=v --annotation a=<1&2> LIST "
            f"{at('two')}"
        ).split(),
    ),
    (
        "annotate the first",
        lambda scene: ("annotate", {"digest": scene.one["digest"], "annotations": {"x": "y"}}),
        lambda scene: f"annotate --annotation x=y LIST {scene.one['digest']}".split(),
    ),
    (
        "take out the second",
        lambda scene: ("remove_instance", {"digest": scene.two["digest"]}),
        lambda scene: f"remove LIST {scene.two['digest']}".split(),
    ),
    (
        "take out the first",
        lambda scene: ("remove_instance", {"digest": scene.one["digest"]}),
        lambda scene: f"remove LIST {scene.one['digest']}".split(),
    ),
    (
        "add with features",
        lambda scene: ("add", {"image": "two:1", "platform": {"features": ["f", "g"]}}),
        lambda scene: f"add --features f,g LIST {at('two')}".split(),
    ),
]
# What podman 4.3 cannot do, or does otherwise: it drops the annotations that were there.
NEWER_STEPS: list[Step] = [
    (
        "another architecture",
        lambda scene: ("annotate", {"digest": scene.two["digest"], "platform": {"architecture": "s390x"}}),
        lambda scene: f"annotate --arch s390x LIST {scene.two['digest']}".split(),
    ),
    (
        "annotate the index",
        lambda scene: ("annotate", {"index": True, "annotations": {"i": "j"}}),
        lambda scene: ["annotate", "--index", "--annotation", "i=j", "LIST"],
    ),
    (
        "more annotations",
        lambda scene: ("annotate", {"digest": scene.two["digest"], "annotations": {"k": "w"}}),
        lambda scene: f"annotate --annotation k=w LIST {scene.two['digest']}".split(),
    ),
    (
        "a subject",
        lambda scene: ("annotate", {"index": True, "subject": "one:1"}),
        lambda scene: f"annotate --index --subject {at('one')} LIST".split(),
    ),
    (
        "an image by its id",  # RamaLama's convert
        lambda scene: ("annotate", {"digest": at_id(scene.two), "annotations": {"file": "model"}}),
        lambda scene: f"annotate --annotation file=model LIST {at_id(scene.two)}".split(),
    ),
]
_AFTER_FEATURES = {"annotate the index", "more annotations", "a subject", "an image by its id"}


def test_the_same_commands_leave_the_same_bytes(writing_peer: Peer) -> None:
    with scene(writing_peer) as stage:
        stage.client.call("manifests.create", name=OURS)
        stage.store.podman("manifest", "create", THEIRS)
        assert stage.manifest(OURS) == stage.manifest(THEIRS)
        for what, ours, theirs in STEPS + (NEWER_STEPS if writing_peer.name == "podman-5.8" else []):
            verb, params = ours(stage)
            stage.client.call(f"manifests.{verb}", name=OURS, **params)
            stage.store.podman("manifest", *[THEIRS if word == "LIST" else word for word in theirs(stage)])
            left, right = json.loads(stage.manifest(OURS)), json.loads(stage.manifest(THEIRS))
            if what in _AFTER_FEATURES:
                # podman loses them where the list becomes an index.
                for entry in left["manifests"]:
                    entry["platform"].pop("features", None)
                assert left == right, what
            else:
                assert stage.manifest(OURS) == stage.manifest(THEIRS), what
        assert stage.item(OURS, "instances.json").keys() - {""} == stage.item(THEIRS, "instances.json").keys() - {""}


@pytest.mark.parametrize("driver", ["vfs", "overlay"])
def test_a_list_of_ours_is_inspected_pushed_edited_and_removed_by_podman(writing_peer: Peer, driver: str) -> None:
    with scene(writing_peer, driver) as stage:
        store, client = stage.store, stage.client
        images = ["one:1", "two:1"]
        made = client.call("manifests.create", name=OURS, images=images, annotations={"made": "here"})
        digests = [stage.one["digest"], stage.two["digest"]]
        assert made["instances"] == digests
        inspected = json.loads(store.podman("manifest", "inspect", OURS))
        assert [entry["digest"] for entry in inspected["manifests"]] == digests
        for form in ("dir", "oci"):
            where = store.work / form
            store.podman("manifest", "push", "--all", OURS, f"{form}:{where}")
            assert pushed(where, form) == 2
        listed = {
            line.split()[-1]
            for line in store.podman("images", "-a", "--format", "{{.Repository}} {{.ID}}").splitlines()
        }
        assert made["id"][:12] in listed
        store.podman("manifest", "annotate", "--annotation", "k=v", OURS, digests[1])
        store.podman("manifest", "remove", OURS, digests[0])
        entries = client.call("manifests.get", name=OURS)["manifest"]["instances"]
        assert [(entry["digest"], entry["annotations"]) for entry in entries] == [(digests[1], {"k": "v"})]
        store.podman("manifest", "rm", OURS)
        assert not client.call("manifests.exists", name=OURS)["exists"]
        assert client.call("images.exists", name="two:1")["exists"]


def test_a_list_of_podmans_is_edited_and_removed_by_us_and_podman_goes_on_with_it(writing_peer: Peer) -> None:
    with scene(writing_peer) as stage:
        store, client = stage.store, stage.client
        store.podman("manifest", "create", THEIRS)
        store.podman("manifest", "add", "--os", "plan9", THEIRS, at("one"))
        added = client.call("manifests.add", name=THEIRS, image="two:1", annotations={"a": "b"})
        assert added["instances"] == [stage.two["digest"]]
        client.call("manifests.add", name=THEIRS, image=stage.one["id"])
        store.podman("manifest", "annotate", "--variant", "v2", THEIRS, stage.two["digest"])
        inspected = json.loads(store.podman("manifest", "inspect", THEIRS))["manifests"]
        assert [entry["platform"] for entry in inspected] == [
            {"architecture": "amd64", "os": "plan9"},
            {"architecture": "amd64", "os": "linux", "variant": "v2"},
        ]
        store.podman("manifest", "push", "--all", THEIRS, f"oci:{store.work / 'oci'}")
        assert pushed(store.work / "oci", "oci") == 2
        store.podman("tag", THEIRS.replace("theirs", "one"), "localhost/other:1")
        untagged = client.call("manifests.remove", names=[THEIRS, "localhost/one:1", "nope"], ignore=True)
        assert [gone["names"] for gone in untagged["removed"]] == [[THEIRS]]
        assert [failed["error"]["data"]["name"] for failed in untagged["failed"]] == ["NotAManifestList"]
        store.podman("manifest", "inspect", added["id"], accept=(125,))
        assert store.podman("images", "-q", "localhost/two:1").split() == [stage.two["id"][:12]]


def test_an_artifact_kept_by_us_is_pushed_by_podman_with_its_data(podman_58: Peer) -> None:
    with scene(podman_58) as stage:
        store, client = stage.store, stage.client
        client.call("manifests.create", name=OURS, images=["one:1"])
        layers = [{"data": base64.b64encode(b"of ours").decode(), "title": "a.txt"}]
        made = client.call("manifests.add", name=OURS, artifact={"type": "x/y", "layers": layers, "config": "{}"})
        (digest,) = made["instances"]
        file = store.work / "b.txt"
        file.write_text("of podman's")
        store.podman("manifest", "add", "--artifact", "--artifact-type", "x/y", OURS, str(file))
        store.podman("manifest", "push", "--all", OURS, f"oci:{store.work / 'oci'}")
        blobs = {path.name: path.read_bytes() for path in (store.work / "oci/blobs/sha256").iterdir()}
        for data in (b"of ours", b"of podman's", b"{}"):
            assert blobs[hashlib.sha256(data).hexdigest()] == data
        assert json.loads(blobs[digest.removeprefix("sha256:")])["artifactType"] == "x/y"
        theirs = client.call("manifests.annotate", name=OURS, digest=str(file), annotations={"a": "b"})
        client.call("manifests.remove_instance", name=OURS, digest=digest)
        left = stage.item(OURS, "artifacts.json")
        assert list(left["manifests"]) == theirs["instances"]
        assert hashlib.sha256(b"of ours").hexdigest() not in json.dumps(left["blobs"])


def test_a_list_made_of_all_the_entries_of_another_is_pushed_whole(podman_58: Peer) -> None:
    with scene(podman_58) as stage:
        store, client = stage.store, stage.client
        file = store.work / "a.txt"
        file.write_text("of podman's")
        store.podman("manifest", "create", THEIRS)
        store.podman("manifest", "add", "--arch", "arm64", THEIRS, at("one"))
        store.podman("manifest", "add", "--artifact", THEIRS, str(file))
        made = client.call("manifests.create", name=OURS, images=[THEIRS], all=True)
        client.call("manifests.add", name=OURS, image="two:1", platform={"features": ["f"]}, annotations={"k": "v"})
        assert stage.manifest(OURS).startswith(stage.manifest(THEIRS)[:-2])
        assert json.loads(stage.manifest(OURS))["manifests"][2]["platform"]["features"] == ["f"]
        client.call("manifests.remove", names=[THEIRS])
        store.podman("manifest", "push", "--all", OURS, f"oci:{store.work / 'oci'}")
        assert pushed(store.work / "oci", "oci") == len(made["instances"]) + 1 == 3


def test_the_artifact_we_make_of_the_same_data_is_podmans(podman_58: Peer) -> None:
    with scene(podman_58) as stage:
        file = stage.store.work / "a.json"
        file.write_text('{"a":1}')
        stage.store.podman("manifest", "create", THEIRS)
        stage.store.podman(
            "manifest",
            "add",
            "--artifact",
            "--annotation",
            "k=v",
            "--artifact-type",
            "x/y",
            THEIRS,
            str(file),
        )
        layer = {"data": base64.b64encode(file.read_bytes()).decode(), "title": "a.json"}
        stage.client.call("manifests.create", name=OURS)
        entry = json.loads(stage.manifest(THEIRS))["manifests"][0]
        manifest = json.loads(next(iter(stage.item(THEIRS, "artifacts.json")["manifests"].values())))
        made = stage.client.call(
            "manifests.add",
            name=OURS,
            artifact={"type": "x/y", "layers": [layer], "annotations": manifest.get("annotations")},
            annotations=entry.get("annotations"),
        )
        assert made["instances"] == [entry["digest"]]
        assert stage.manifest(OURS) == stage.manifest(THEIRS)


def test_edits_of_both_sides_at_once_are_all_kept(writing_peer: Peer) -> None:
    with scene(writing_peer) as stage:
        store, client = stage.store, stage.client
        store.podman("manifest", "create", THEIRS)
        numbers = range(5)
        for side in ("ours", "theirs"):
            for number in numbers:
                config = {**BARE, "author": f"{side} {number}"}
                client.call("images.create", config=config, names=[f"localhost/{side}-{number}:1"])
        with ThreadPoolExecutor(2) as pool:
            theirs = pool.submit(
                lambda: [store.podman("manifest", "add", THEIRS, at(f"theirs-{number}")) for number in numbers]
            )
            for number in numbers:
                client.call("manifests.add", name=THEIRS, image=f"localhost/ours-{number}:1", timeout=30)
            theirs.result()
        entries = json.loads(store.podman("manifest", "inspect", THEIRS))["manifests"]
        wanted = {
            row["digest"]
            for row in client.images()
            if any("ours-" in name or "theirs-" in name for name in row["names"])
        }
        assert {entry["digest"] for entry in entries} == wanted
        assert len(wanted) == 10


BARE: dict[str, Any] = {
    "created": "2026-01-02T03:04:05.6Z",
    "architecture": "amd64",
    "os": "linux",
    "config": {"Env": ["A=b"], "Labels": {"k": "v"}, "Cmd": ["/x"], "ExposedPorts": {"80/tcp": {}}},
    "rootfs": {"type": "layers", "diff_ids": []},
    "history": [{"created": "2026-01-02T03:04:05.6Z", "created_by": "LABEL k=v", "empty_layer": True}],
}


@pytest.mark.parametrize("driver", ["vfs", "overlay"])
def test_an_image_of_a_configuration_is_one_to_podman(writing_peer: Peer, driver: str) -> None:
    with scene(writing_peer, driver) as stage:
        store, client = stage.store, stage.client
        made = client.call("images.create", config=BARE, names=["bare", "localhost/one:1"])
        (own,) = made["ids"]
        assert made["moved_from"] == [{"name": "localhost/one:1", "image": stage.one["id"]}]
        (inspected,) = json.loads(store.podman("inspect", "localhost/bare"))
        assert inspected["Id"] == own
        assert inspected["RepoTags"] == ["localhost/one:1", "localhost/bare:latest"]
        assert inspected["NamesHistory"] == ["localhost/bare:latest", "localhost/one:1"]
        assert inspected["Labels"] == {"k": "v"}
        assert inspected["Created"] == BARE["created"]
        assert inspected["ManifestType"] == "application/vnd.oci.image.manifest.v1+json"
        (entry,) = json.loads(store.podman("history", "--format", "json", own))
        assert entry["CreatedBy" if "CreatedBy" in entry else "createdBy"] == "LABEL k=v"
        store.podman("tag", own, "localhost/third:1")
        store.build("on it", base="localhost/third:1")
        again = client.call("images.create", config=json.dumps(BARE, separators=(",", ":")), names=["fourth"])
        assert again["ids"] == [own]
        # podman 4.3 puts a new name last, later ones and we put it first.
        assert again["names"][0] == "localhost/fourth:latest"
        assert set(again["names"][1:]) == {"localhost/third:1", "localhost/one:1", "localhost/bare:latest"}
        if writing_peer.name == "podman-5.8":
            store.podman("system", "check", "--quick")
        store.podman("rmi", "--force", own)
        assert not client.call("images.exists", name=own)["exists"]


def test_an_image_like_podmans_build_from_scratch_is_the_same_image(writing_peer: Peer) -> None:
    with scene(writing_peer) as stage:
        folder = stage.store.work / "context"
        (folder / "Containerfile").write_text("FROM scratch\nLABEL a=1\n")
        stage.store.podman("build", "-q", "-t", "localhost/built:1", str(folder))
        (built,) = stage.client.call("images.get", names=["localhost/built:1"])["images"]
        own = built["image"]["summary"]["id"]
        data = stage.client.call("images.data", name=own, key=f"sha256:{own}")["data"]
        made = stage.client.call("images.create", config=base64.b64decode(data).decode(), names=["again"])
        assert made["ids"] == [own]
        assert made["names"] == ["localhost/again:latest", "localhost/built:1"]
        stage.store.podman("rmi", own, accept=(125,))
        stage.store.podman("rmi", "localhost/built:1", "localhost/again")
        made = stage.client.call("images.create", config=base64.b64decode(data).decode(), names=["again"])
        assert made["ids"] == [own]
        assert json.loads(stage.store.podman("inspect", "again"))[0]["Id"] == own


def pushed(where: Path, form: str) -> int:
    """How many images a pushed list has, each of them complete."""
    if form == "dir":
        whole = json.loads((where / "manifest.json").read_text())
        return sum(
            (where / f"{entry['digest'].removeprefix('sha256:')}.manifest.json").exists()
            for entry in whole["manifests"]
        )
    blobs = where / "blobs/sha256"
    (index,) = json.loads((where / "index.json").read_text())["manifests"]
    whole = json.loads((blobs / index["digest"].removeprefix("sha256:")).read_text())
    complete = 0
    for entry in whole["manifests"]:
        image = json.loads((blobs / entry["digest"].removeprefix("sha256:")).read_text())
        parts = [image["config"], *image["layers"]]
        complete += all((blobs / part["digest"].removeprefix("sha256:")).exists() for part in parts)
    return complete
