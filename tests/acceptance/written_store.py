"""The files of a store between two changes: what they say, and that nothing is missing, left over or lost.

::

    images.json ──► layer ──► layers.json ──► parent …        every one there
                                  ▲
                      folders of the driver                   one a layer, no other
    no temporary file, no journal, no staging folder          of ours or of anybody
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from attrs import frozen

from tests.support.peers import Store
from tests.support.report import Report

from .should_be import Model

_OURS = {"daemon.lock", "reserve", "reserve.d"}
"""What always lies in the daemon's own folder, besides the copies of the tables as they were before."""


@frozen(kw_only=True)
class Tables:
    """The records of the three tables, by id, in their order."""

    images: dict[str, dict[str, Any]]
    layers: dict[str, dict[str, Any]]
    containers: dict[str, dict[str, Any]]

    def chain(self, image: str) -> Iterator[dict[str, Any]]:
        """The layers of an image, the top first."""
        layer = self.images[image].get("layer")
        while layer:
            record = self.layers[layer]
            yield record
            layer = record.get("parent")

    def diff_ids(self, image: str) -> tuple[str, ...]:
        return tuple(record["diff-digest"] for record in self.chain(image))[::-1]

    def size_of_what_went(self, after: Tables) -> tuple[int, bool]:
        """Bytes: layers by the size of their changes, and big data; and whether that is all.

        The record of a container's own layer tells no size.
        """
        gone = [record for key, record in self.layers.items() if key not in after.layers]
        sizes = [record.get("diff-size", 0) for record in gone]
        for key, record in self.images.items():
            if key not in after.images:
                sizes += record["big-data-sizes"].values()
        return sum(int(size) for size in sizes), all("diff-size" in record for record in gone)


def tables(store: Store) -> Tables:
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for kind in ("images", "layers", "containers"):
        folder = store.graphroot / f"{store.driver}-{kind}"
        paths = (folder / f"{kind}.json", folder / f"volatile-{kind}.json")
        records = [record for path in paths if path.exists() for record in json.loads(path.read_bytes()) or []]
        found[kind] = {record["id"]: record for record in records}
    return Tables(**found)


def check_names(report: Report, where: str, found: Tables, model: Model) -> None:
    """The images, their order, their names and the order of these; the containers by their names."""
    seen = [(key, record.get("names") or []) for key, record in found.images.items()]
    wanted = [(image.id, image.names) for image in model.images.values()]
    extra = [row for row in seen if row not in wanted]
    missed = [row for row in wanted if row not in seen]
    report.claim(seen == wanted, f"{where}: images.json: unexpected {extra}, missing {missed}")
    containers = {name for record in found.containers.values() for name in record["names"]}
    used = {name for image in model.images.values() for name in image.containers}
    report.claim(containers == used, f"{where}: containers: {containers}, should be {used}")


def check_lists(report: Report, where: str, store: Store, found: Tables, model: Model) -> None:
    """Each list has the entries that it should, and its record is of its bytes."""
    for image in model.lists:
        folder = store.graphroot / f"{store.driver}-images" / image.id
        data = (folder / "manifest").read_bytes()
        entries = [
            (entry["digest"], entry["platform"]["architecture"], entry.get("annotations") or {})
            for entry in json.loads(data)["manifests"] or []
        ]
        wanted = [(key, said.architecture, said.annotations) for key, said in (image.entries or {}).items()]
        report.claim(entries == wanted, f"{where}: list {image.id[:12]}: {entries}, wanted {wanted}")
        sources = json.loads((folder / "instances.json").read_bytes())
        report.claim(
            sources.keys() - {""} == {key for key, *_ in wanted}, f"{where}: instances.json of {image.id[:12]}"
        )
        record = found.images[image.id]
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        told = (record["big-data-sizes"]["manifest"], record["big-data-digests"]["manifest"])
        report.claim(told == (len(data), digest), f"{where}: the record of list {image.id[:12]} is not of its bytes")


def check_files(report: Report, where: str, store: Store, found: Tables) -> None:
    """Nothing is missing, nothing is left over."""
    needed: set[str] = set()
    for image in found.images:
        needed |= {layer["id"] for layer in found.chain(image)}
    for container in found.containers.values():
        layer = container["layer"]
        while layer:
            needed.add(layer)
            layer = found.layers[layer].get("parent")
    report.claim(needed == found.layers.keys(), f"{where}: layers that nothing needs: {found.layers.keys() - needed}")
    driver = store.graphroot / ("vfs/dir" if store.driver == "vfs" else store.driver)
    folders = _names(driver) - {"l", "backingFsBlockDev", ".has-mount-program", "tempdirs"}
    report.claim(folders == set(found.layers), f"{where}: folders of the driver: {folders ^ set(found.layers)}")
    if store.driver == "overlay":
        links = {path.name: path.readlink().parts[1] for path in (driver / "l").iterdir()}
        report.claim(set(links.values()) == set(found.layers), f"{where}: short names: {links}")
    for kind, records in (("images", found.images), ("layers", found.layers), ("containers", found.containers)):
        folder = store.graphroot / f"{store.driver}-{kind}"
        names = {name.partition(".")[0] for name in _names(folder)} - {kind, f"volatile-{kind}", "tmp"}
        report.claim(names <= set(records), f"{where}: left over beside {kind}.json: {names - set(records)}")
    # podman itself leaves these folders behind, empty.
    for folder in (store.graphroot / store.driver / "tempdirs", store.graphroot / f"{store.driver}-layers" / "tmp"):
        report.claim(not _names(folder), f"{where}: left over in {folder.name}: {_names(folder)}")
    own = {name for name in _names(store.graphroot / "storaged") - _OURS if ".json.before" not in name}
    report.claim(not own, f"{where}: left over in storaged/: {own}")
    for image, record in found.images.items():
        folder = store.graphroot / f"{store.driver}-images" / image
        sizes = {path.name for path in folder.iterdir()}
        report.claim(len(sizes) == len(record["big-data-names"]), f"{where}: big data of {image[:12]}: {sizes}")


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} if folder.is_dir() else set()
