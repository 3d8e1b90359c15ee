"""What a commit did to the tables, judged by a slow and obvious reader of the files at the instant of the commit.

Nothing of the daemon reads or decides here: the tables are plain JSON, the rules those of ``slow_model``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Collection, Iterator
from copy import copy
from functools import lru_cache
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from storaged.sample.disk import link_of
from storaged.store.layout import paths
from storaged.store.layout.records import ImageID, LayerID
from storaged.store.tables import StoreLocation
from tests.support.slow_model import Model, Plan, Row

Record = dict[str, Any]


@define
class DiskModel(Model):
    """The model, asked about a store whose digests are those of its records; the layers do not change meanwhile."""

    _layers: dict[str, tuple[str | None, int | None]] = field(factory=dict)

    def layers(self) -> dict[str, tuple[str | None, int | None]]:
        return self._layers

    def digests(self, row: Row) -> set[str]:
        return set(row.digests)


@frozen(kw_only=True)
class State:
    """The tables at one instant, by id."""

    images: dict[str, Record]
    layers: dict[str, Record]
    containers: dict[str, Record]
    plan: Plan

    def model(self, rows: list[Row]) -> DiskModel:
        plan = copy(self.plan)
        plan.rows = rows
        layers = {name: (parent, size) for name, parent, size, incomplete in plan.layers if not incomplete}
        return DiskModel(plan, {}, layers)

    def users(self, image: str) -> list[Record]:
        return [record for record in self.containers.values() if record["image"] == image]

    def dangling(self, kept: Collection[str], among: Collection[str] | None, gone: Collection[str] = ()) -> set[str]:
        """What repeated prunes take, one look at everything a pass, once ``gone`` went."""
        rows = [row for row in self.plan.rows if row.name not in gone]
        found: set[str] = set()
        while True:
            model = self.model(rows)
            going = {
                row.name
                for row in rows
                if row.kind in ("image", "list")
                and not row.names
                and (among is None or row.name in among)
                and row.name not in kept
                and not self.users(row.name)
                and model.dangling(row)
            }
            if not going:
                return found
            found |= going
            rows = [row for row in rows if row.name not in going]


@frozen(kw_only=True)
class Commit:
    """One commit of the daemon: the tables before its first rename and after its last, and what was leased."""

    before: State
    after: State
    leased: frozenset[str]
    planned_with: frozenset[str]
    """What was leased when the change was planned."""
    first: bool
    """Whether it is of the first change that the request tried."""

    @property
    def removed(self) -> set[str]:
        return set(self.before.images) - set(self.after.images)

    @property
    def renamed(self) -> dict[str, Record]:
        """What stays, and is not what it was."""
        return {key: found for key, found in self.after.images.items() if self.before.images.get(key) != found}


class Observer:
    """Sees each table renamed into its place by the daemon, and looks at the disk right before and after."""

    def __init__(self, location: StoreLocation) -> None:
        self._location = location
        self._root = location.graphroot
        self._driver = location.driver
        self.tables = {self._table(noun) for noun in ("images", "layers", "containers")}
        self.leases: dict[str, frozenset[str]] = {}
        self.planned_with: frozenset[str] = frozenset()
        self.commits: list[Commit] = []
        self.changes = 0
        self._before: State | None = None
        self._after: State | None = None
        self._leased: frozenset[str] = frozenset()

    def begin(self) -> None:
        """A request begins."""
        self.commits.clear()
        self.changes = 0

    @property
    def leased(self) -> frozenset[str]:
        return frozenset().union(*self.leases.values())

    def rename(self, perform: Callable[[], None]) -> None:
        """The rename of a table."""
        if self._before is None:
            self._before, self._leased = self.look(), self.leased
        perform()
        self._after = self.look()

    def committed(self) -> None:
        """All renames of one commit are done."""
        if self._before is not None and self._after is not None:
            self.commits.append(
                Commit(
                    before=self._before,
                    after=self._after,
                    leased=self._leased,
                    planned_with=self.planned_with,
                    first=self.changes == 1,
                )
            )
        self._before = self._after = None

    def look(self) -> State:
        """The store now."""
        images, layers, containers = (self._read(noun) for noun in ("images", "layers", "containers"))
        plan = Plan()
        for record in layers.values():
            incomplete = bool((record.get("flags") or {}).get("incomplete"))
            plan.layers.append((record["id"], record.get("parent"), record.get("diff-size"), incomplete))
        plan.rows = [self._row(record) for record in images.values()]
        return State(images=images, layers=layers, containers=containers, plan=plan)

    def faults(self, state: State) -> Iterator[str]:
        """Where files and tables do not fit together; nobody may be at work."""
        above = Path(paths.layer_contents(self._root, self._driver, LayerID("l"))).parent
        expected = set(state.layers) | ({"l"} if self._driver == "overlay" else set())
        yield from (f"folder {above}: {name}" for name in expected ^ set(os.listdir(above)))
        if self._driver == "overlay":
            yield from (
                f"link {name}" for name in {link_of(layer) for layer in state.layers} ^ set(os.listdir(above / "l"))
            )
        folders = Path(paths.images_dir(self._root, self._driver))
        found = set(os.listdir(folders)) - {"images.json", "images.lock"}
        yield from (f"folder {folders}: {name}" for name in set(state.images) ^ found)
        splits = {name.removesuffix(".tar-split.gz") for name in os.listdir(f"{self._root}/{self._driver}-layers")}
        yield from (f"tar-split {name}" for name in splits - set(state.layers) - {"layers.json", "layers.lock"})
        for record in state.images.values():
            for key, size in (record.get("big-data-sizes") or {}).items():
                item = folders / record["id"] / paths.big_data_file(key)
                if not item.exists():
                    yield f"{record['id']}: {key} has no file"
                elif item.stat().st_size != size and key != "manifest":
                    yield f"{record['id']}: {key} has another size"
        own = Path(paths.own_dir(self._root))
        if own.exists():
            yield from (f"left: {name}" for name in os.listdir(own) if name.startswith(("journal", ".tmp")))

    def _row(self, record: Record) -> Row:
        digests = {
            record.get("digest"): None,
            **{
                digest: None
                for key, digest in (record.get("big-data-digests") or {}).items()
                if key.startswith("manifest")
            },
        }
        row = Row(
            name=record["id"],
            kind="image",
            names=tuple(record.get("names") or ()),
            layer=record.get("layer"),
            digests=tuple(digest for digest in digests if digest),
        )
        if "manifest" not in record.get("big-data-names", ()):
            row.kind = "half"
            return row
        path = Path(paths.big_data_path(self._root, self._driver, ImageID(record["id"]), "manifest"))
        data = path.read_bytes() if path.exists() else b""
        if "sha256:" + hashlib.sha256(data).hexdigest() != record["big-data-digests"]["manifest"]:
            row.kind = "unreadable"
            return row
        manifest = json.loads(data)
        if "manifests" in manifest:
            row.kind = "list"
            row.instances = tuple(entry["digest"] for entry in manifest["manifests"] or ())
            return row
        config = paths.big_data_path(self._root, self._driver, ImageID(record["id"]), f"sha256:{record['id']}")
        row.history, row.diff_ids = _config(config)
        return row

    def _read(self, noun: str) -> dict[str, Record]:
        return {record["id"]: record for record in json.loads(Path(self._table(noun)).read_bytes() or b"[]")}

    def _table(self, noun: str) -> str:
        return os.path.join(self._root, f"{self._driver}-{noun}", f"{noun}.json")


@lru_cache(maxsize=4096)
def _config(path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """History and DiffIDs; one path has one content for ever, for the image is named after it."""
    config = json.loads(Path(path).read_bytes())
    history = tuple(json.dumps(entry, sort_keys=True) for entry in config["history"])
    return history, tuple(config["rootfs"]["diff_ids"])
