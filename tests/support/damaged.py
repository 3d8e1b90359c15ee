"""A sample store to plant damage in, and what the check says of it."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

from attrs import frozen

from storaged.sample import SampleSpec, write_store
from storaged.store.checking.findings import Finding
from storaged.store.checking.walk import Scope, walk
from storaged.store.layout import paths
from storaged.store.tables import StoreLocation

OLD = 1_600_000_000
"""Seconds since 1970, long before any test."""


@frozen(kw_only=True)
class Damaged:
    """A store with its tables as JSON and its paths by id."""

    location: StoreLocation

    @property
    def root(self) -> str:
        return self.location.graphroot

    @property
    def driver(self) -> str:
        return self.location.driver

    def table(self, kind: str) -> Path:
        make: Callable[[str, str], str] = {
            "images": paths.images_json,
            "layers": paths.layers_json,
            "containers": paths.containers_json,
        }[kind]
        return Path(make(self.root, self.driver))

    def records(self, kind: str) -> list[dict[str, Any]]:
        return json.loads(self.table(kind).read_bytes())

    def write(self, kind: str, records: object) -> None:
        self.table(kind).write_text(json.dumps(records, separators=(",", ":")))

    def edit(self, kind: str, id: str, **members: Any) -> None:
        """Change members of one record; None takes one away. Underscores stand for hyphens."""
        records = self.records(kind)
        record = next(record for record in records if record["id"] == id)
        for name, value in members.items():
            record[name.replace("_", "-")] = value
            if value is None:
                del record[name.replace("_", "-")]
        self.write(kind, records)

    def drop(self, kind: str, id: str) -> None:
        self.write(kind, [record for record in self.records(kind) if record["id"] != id])

    # -------------------------------------------------------------- subjects

    @property
    def image(self) -> dict[str, Any]:
        """An ordinary image with a name and a layer."""
        return next(record for record in self.records("images") if record.get("layer") and record.get("names"))

    @property
    def list(self) -> dict[str, Any]:
        """A manifest list that names something."""
        return next(
            record
            for record in self.records("images")
            if "instances.json" in record["big-data-names"]
            and b'"digest"' in self.item(record["id"], "manifest").read_bytes()
        )

    @property
    def layer(self) -> dict[str, Any]:
        """An image's layer with a parent, and with layers upon it where there is such a one."""
        records = [record for record in self.records("layers") if record.get("diff-digest")]
        parents = {record.get("parent") for record in records}
        with_parent = [record for record in records if record.get("parent")]
        return next((record for record in with_parent if record["id"] in parents), with_parent[0])

    @property
    def base(self) -> dict[str, Any]:
        """A base layer with layers upon it."""
        records = self.records("layers")
        parents = {record.get("parent") for record in records}
        return next(record for record in records if not record.get("parent") and record["id"] in parents)

    @property
    def container(self) -> dict[str, Any]:
        return self.records("containers")[0]

    # -------------------------------------------------------------- files

    def image_dir(self, id: str) -> Path:
        return Path(paths.images_dir(self.root, self.driver), id)

    def item(self, id: str, key: str) -> Path:
        return self.image_dir(id) / paths.big_data_file(key)

    def contents(self, id: str) -> Path:
        return Path(self.root, *(("overlay",) if self.driver == "overlay" else ("vfs", "dir")), id)

    def files_of(self, id: str) -> Path:
        return self.contents(id) / "diff" if self.driver == "overlay" else self.contents(id)

    def tar_split(self, id: str) -> Path:
        return Path(paths.layers_dir(self.root, self.driver), f"{id}.tar-split.gz")

    def link(self, id: str) -> Path:
        """The entry of ``l/`` of a layer."""
        return self.contents(id).parent / "l" / (self.contents(id) / "link").read_text()

    def check(self, scope: Scope = "contents") -> list[Finding]:
        found: list[Finding] = []
        for step in walk(self.location, scope=scope):
            assert step.unsettled is None
            found += step.findings
        return found


def lay(
    folder: Path, driver: Literal["overlay", "vfs"], images: int = 12, seed: int = 1, layers: int = 0, **more: Any
) -> Damaged:
    """A store of every kind of image, with as many layers if not told, and with containers and lists."""
    spec = SampleSpec(
        images=images, layers=layers or images, seed=seed, driver=driver, contents="files", containers=3, **more
    )
    additional = folder / "additional" if spec.read_only else None
    write_store(folder / "root", folder / "run", spec, additional)
    return Damaged(
        location=StoreLocation(
            graphroot=str(folder / "root"),
            runroot=str(folder / "run"),
            driver=driver,
            additional=() if additional is None else (str(additional),),
        )
    )


def old(path: Path) -> Path:
    """Make a path look long untouched."""
    os.utime(path, (OLD, OLD), follow_symlinks=False)
    return path


def everything(folder: Path) -> dict[str, tuple[int, ...]]:
    """The full lstat of a tree, but for access times."""
    found = {}
    for above, directories, names in os.walk(folder):
        for name in (".", *directories, *names):
            path = os.path.join(above, name)
            status = os.lstat(path)
            found[path] = (
                status.st_mode,
                status.st_ino,
                status.st_dev,
                status.st_nlink,
                status.st_uid,
                status.st_gid,
                status.st_size,
                status.st_mtime_ns,
                status.st_ctime_ns,
                status.st_blocks,
                status.st_rdev,
                stat.S_IMODE(status.st_mode),
            )
    return found
