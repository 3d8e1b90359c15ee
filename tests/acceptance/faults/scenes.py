"""A small store with everything a change can touch, and every kind of change of it.

::

    base:1 ── layer B                    a container on base:1, with a layer of its own
      ├─ app:1 ── layer A on B
      └─ (untagged, child) ── layer C on B
    (untagged) ── layer D                list:1 names app:1 and an untagged image of its own layer L
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from storaged.sample import SampleSpec, SampleWriter, write_store
from storaged.store.changes import Change, ImageEdit, Item, NewImage
from storaged.store.layout import paths
from storaged.store.layout.records import ContainerID, ImageID, LayerID
from storaged.store.tables import StoreLocation

GRAPHROOT, RUNROOT = "root", "run"
DRIVERS = ("overlay", "vfs")
CREATED = "2026-01-02T03:04:05.123456789Z"

OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"


@frozen(kw_only=True)
class Store:
    """The store below ``top`` and the ids of what is in it."""

    top: Path
    driver: str
    base: str
    app: str
    child: str
    loose: str
    listed: str
    list: str
    runroot: str = RUNROOT

    @property
    def location(self) -> StoreLocation:
        graphroot, runroot = self.top / GRAPHROOT, self.top / self.runroot
        return StoreLocation(graphroot=str(graphroot), runroot=str(runroot), driver=self.driver)

    def table(self, kind: str) -> list[dict[str, Any]]:
        folder = {"images": paths.images_json, "layers": paths.layers_json, "containers": paths.containers_json}[kind]
        found: list[dict[str, Any]] = json.loads(Path(folder(self.location.graphroot, self.driver)).read_bytes())
        return found

    def image(self, image: str) -> dict[str, Any]:
        return next(record for record in self.table("images") if record["id"] == image)

    def top_layer(self, image: str) -> LayerID:
        return LayerID(self.image(image)["layer"])

    def item(self, image: str, key: str) -> bytes:
        path = paths.big_data_path(self.location.graphroot, self.driver, ImageID(image), key)
        return Path(path).read_bytes()


def build(top: Path, driver: str) -> Store:
    """Write the store into an empty folder."""
    spec = SampleSpec(images=1, shape="lists", driver=driver, contents="files", containers=1, for_podman_4=True)
    write_store(top / GRAPHROOT, top / RUNROOT, spec)
    writer = SampleWriter(top / GRAPHROOT, top / RUNROOT, driver)
    base = writer.add_image("base", names=["localhost/base:1"])
    app = writer.add_image("app", names=["localhost/app:1", "localhost/app:latest"], base=base)
    child = writer.add_image("child", base=base)
    loose = writer.add_image("loose")
    listed = writer.add_image("listed")
    return Store(
        top=top,
        driver=driver,
        base=base,
        app=app,
        child=child,
        loose=loose,
        listed=listed,
        list=writer.create_list("localhost/list:1", [app, listed]),
    )


# ---------------------------------------------------------------- changes


def _tag(store: Store) -> Change:
    """A name that another image has is stolen, so two records change."""
    app = store.image(store.app)
    return Change(
        edits=(
            ImageEdit(
                image=ImageID(store.app),
                members={
                    "names": ["localhost/base:1", *app["names"]],
                    "names-history": ["localhost/base:1", *app["names-history"]],
                },
            ),
            ImageEdit(image=ImageID(store.base), members={"names": None}),
        )
    )


def _untag(store: Store) -> Change:
    return Change(edits=(ImageEdit(image=ImageID(store.app), members={"names": ["localhost/app:1"]}),))


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _create(store: Store) -> Change:
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": {"type": "layers", "diff_ids": []}}).encode()
    described = {"mediaType": OCI_CONFIG, "digest": _digest(config), "size": len(config)}
    manifest = json.dumps({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": described, "layers": []}).encode()
    image = _digest(config).removeprefix("sha256:")
    members = {
        "id": image,
        "digest": _digest(manifest),
        "names": ["localhost/new:1"],
        "names-history": ["localhost/new:1"],
        "metadata": "{}",
        "created": CREATED,
    }
    items = (
        Item(key=f"sha256:{image}", data=config),
        Item(key=f"manifest-{_digest(manifest)}", data=manifest),
        Item(key="manifest", data=manifest),
    )
    return Change(added=(NewImage(members=members, items=items),))


def _remove(store: Store) -> Change:
    """One image and the layer that only it has."""
    return _untagged(store, store.loose)


def _prune(store: Store) -> Change:
    """Two untagged images, one of them on layers of another image, and a container with its layer."""
    (container,) = store.table("containers")
    change = _untagged(store, store.loose, store.child)
    layers = (LayerID(container["layer"]), *change.layers)
    return evolve(change, layers=layers, containers=(ContainerID(container["id"]),))


def _untagged(store: Store, *images: str) -> Change:
    """These images go, each with its uppermost layer; one that got a name meanwhile stays."""
    going = [image for image in images if not store.image(image).get("names")]
    return Change(removed=tuple(map(ImageID, going)), layers=tuple(map(store.top_layer, going)))


def _list_items(store: Store, manifests: list[dict[str, Any]], images: Mapping[str, str]) -> tuple[Item, ...]:
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests}
    location = f"{store.driver}@{store.location.graphroot}+{store.location.runroot}"
    sources = {digest: f"containers-storage:[{location}]@{image}" for digest, image in images.items()}
    return (
        Item(key="manifest", data=json.dumps(index).encode()),
        Item(key="instances.json", data=json.dumps(sources).encode()),
        Item(key="artifacts.json", data=b"{}"),
    )


def _descriptor(store: Store, image: str) -> dict[str, Any]:
    data = store.item(image, "manifest")
    return {
        "mediaType": OCI_MANIFEST,
        "size": len(data),
        "digest": _digest(data),
        "platform": {"architecture": "amd64", "os": "linux"},
    }


def _list_create(store: Store) -> Change:
    one = _descriptor(store, store.base)
    items = _list_items(store, [one], {one["digest"]: store.base})
    return Change(
        added=(
            NewImage(
                members={
                    "id": hashlib.sha256(b"a new list").hexdigest(),
                    "digest": _digest(items[0].data),
                    "names": ["localhost/list:2"],
                    "names-history": ["localhost/list:2"],
                    "created": CREATED,
                },
                items=items,
            ),
        )
    )


def _edit_list(store: Store, images: tuple[str, ...], annotation: str | None = None) -> Change:
    manifests = [_descriptor(store, image) for image in images]
    if annotation is not None:
        manifests[0]["annotations"] = {"key": annotation}
    digests = [each["digest"] for each in manifests]
    items = _list_items(store, manifests, dict(zip(digests, images, strict=True)))
    return Change(edits=(ImageEdit(image=ImageID(store.list), items=items),), editing=(ImageID(store.list),))


def _list_add(store: Store) -> Change:
    return _edit_list(store, (store.app, store.listed, store.loose))


def _list_annotate(store: Store) -> Change:
    return _edit_list(store, (store.app, store.listed), annotation="value")


def _list_remove_instance(store: Store) -> Change:
    return _edit_list(store, (store.app,))


def _list_remove(store: Store) -> Change:
    return Change(removed=(ImageID(store.list),))


MUTATIONS: Mapping[str, Callable[[Store], Change]] = {
    "tag": _tag,
    "untag": _untag,
    "create": _create,
    "remove": _remove,
    "prune": _prune,
    "list create": _list_create,
    "list add": _list_add,
    "list annotate": _list_annotate,
    "list remove instance": _list_remove_instance,
    "list remove": _list_remove,
}
"""Every kind of change that a method of the daemon makes."""

LAYERS_GO = frozenset({"remove", "prune"})
"""Changes that depend on the driver; the others write the same files under each."""
