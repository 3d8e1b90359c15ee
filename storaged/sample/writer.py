"""Changes a sample store as another tool would, as far as the demo and tests without podman need it.

Each change reads and edits a table and writes token and table (by rename) under one exclusive record lock, so a daemon
or podman on the same store sees it like one of podman's. It is not the daemon's writer: it knows no containers, mapped
layers or additional stores, and leaves unused layers behind.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from msgspec import Raw, json

from storaged.store.layout import paths
from storaged.store.layout.records import ImageID
from storaged_client.times import NANOSECONDS

from .content import DOCKER_MANIFEST, OCI_MANIFEST, File, Instance, Layer, Recipe, Step, digest_of, layer_id, tar_of
from .disk import put_file, write_layer
from .exclusive import exclusive, publish
from .moments import Moment, parse_time
from .records import ImageDraft, image_draft, layer_record, list_draft


class SampleWriter:
    """Writes to one store. Any number of writers and real tools may use it at the same time."""

    def __init__(self, graphroot: str | Path, runroot: str | Path, driver: str) -> None:
        self._graphroot = str(Path(graphroot).absolute())
        self._runroot = str(Path(runroot).absolute())
        self._driver = driver
        self._count = 0

    def add_image(
        self, content: str, *, names: Sequence[str] = (), labels: dict[str, str] | None = None, base: str | None = None
    ) -> str:
        """Add an image of one file with ``content``, on the layers of the image ``base`` if given; returns its id.

        The layer is recorded before the image, under a separate lock, as pulls do. Names are taken from other images.

        Raises:
            TimeoutError: a lock was not available in time.
            LookupError: no image ``base``.
        """
        moment = Moment(ns=time.time_ns())
        below, history = self._recipe_of(base) if base is not None else ((), ())
        self._count += 1
        file = File(name=f"file-{self._count}", data=content.encode(), mtime=moment.ns // NANOSECONDS)
        tar = tar_of(file)
        parent = below[-1] if below else None
        diff_id = digest_of(tar)
        layer = Layer(
            id=layer_id(parent.id if parent else None, diff_id),
            parent=parent.id if parent else None,
            diff_id=diff_id,
            size=len(tar),
            blob_digest=diff_id,
            blob_size=len(tar),
            gzip=False,
            created=moment.text(),
            file=file,
        )
        step = Step(created=moment, created_by=f"/bin/sh -c #(nop) COPY {file.name} /")
        draft = image_draft(
            Recipe(created=moment, history=(*history, step), chain=(*below, layer), labels=labels), names=tuple(names)
        )
        self._add_layer(layer)
        self._add_record(draft)
        return draft.id

    def create_list(self, name: str | None, images: Sequence[str]) -> str:
        """Create a manifest list that names these images, given by id; returns its id.

        Raises:
            TimeoutError: a lock was not available in time.
            LookupError: no such image.
        """
        list_id = os.urandom(32).hex()
        sources = {"": list_id}
        instances = []
        for image in images:
            data = self.read_item(image, "manifest")
            docker = json.decode(data).get("mediaType") == DOCKER_MANIFEST
            media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
            instances.append(Instance(digest=digest_of(data), size=len(data), media_type=media_type))
            location = f"{self._driver}@{self._graphroot}+{self._runroot}"
            sources[digest_of(data)] = f"containers-storage:[{location}]@{image}"
        created = Moment(ns=time.time_ns())
        names = () if name is None else (name,)
        self._add_record(list_draft(list_id, tuple(instances), sources, created=created, names=names))
        return list_id

    def set_names(self, image: str, names: Sequence[str]) -> None:
        """Give an image exactly these names; former ones stay in its history.

        Raises:
            TimeoutError: the lock was not available in time.
            LookupError: no such image.
        """

        def change(records: list[Any]) -> list[Any]:
            target = _find(records, image)
            _steal(records, names)
            target["names"] = list(names)
            target["names-history"] = list(dict.fromkeys((*names, *target.get("names-history", ()))))
            return records

        self._alter(change)

    def remove_record(self, image: str) -> None:
        """Remove the record of an image or list, then its big data. Its layers stay.

        Raises:
            TimeoutError: the lock was not available in time.
            LookupError: no such image.
        """

        def change(records: list[Any]) -> list[Any]:
            gone = _find(records, image)
            return [record for record in records if record is not gone]

        self._alter(change)
        shutil.rmtree(paths.image_dir(self._graphroot, self._driver, ImageID(image)), ignore_errors=True)

    def read_item(self, image: str, key: str) -> bytes:
        """One item of big data.

        Raises:
            LookupError: no such image or item.
        """
        try:
            return Path(paths.big_data_path(self._graphroot, self._driver, ImageID(image), key)).read_bytes()
        except FileNotFoundError as error:
            raise LookupError(f"image {image} has no {key}") from error

    def _recipe_of(self, image: str) -> tuple[tuple[Layer, ...], tuple[Step, ...]]:
        config = json.decode(self.read_item(image, f"sha256:{image}"))
        layers: list[Layer] = []
        for diff_id in config["rootfs"]["diff_ids"]:
            parent = layers[-1].id if layers else None
            layers.append(
                Layer(
                    id=layer_id(parent, diff_id),
                    parent=parent,
                    diff_id=diff_id,
                    size=0,
                    blob_digest=diff_id,
                    blob_size=0,
                    gzip=False,
                    created="",
                )
            )
        return tuple(layers), tuple(_step(entry) for entry in config.get("history", ()))

    def _add_layer(self, layer: Layer) -> None:
        table = Path(paths.layers_json(self._graphroot, self._driver))
        with exclusive(paths.layers_lock(self._graphroot, self._driver)) as lock:
            records = _read(table)
            if any(_decoded(record)["id"] == layer.id for record in records):
                return
            write_layer(self._graphroot, self._driver, layer)
            publish(table, [*records, layer_record(layer)], lock)

    def _add_record(self, draft: ImageDraft) -> None:
        folder = Path(paths.image_dir(self._graphroot, self._driver, ImageID(draft.id)))

        def change(records: list[Any]) -> list[Any]:
            if any(record["id"] == draft.id for record in records):
                raise FileExistsError(f"image {draft.id} exists")
            _steal(records, draft.names)
            folder.mkdir(mode=0o700, exist_ok=True)
            for key, data in draft.items:
                put_file(folder / paths.big_data_file(key), data)
            return [*records, draft.record()]

        self._alter(change)

    def _alter(self, change: Callable[[list[Any]], list[Any]]) -> None:
        table = Path(paths.images_json(self._graphroot, self._driver))
        with exclusive(paths.images_lock(self._graphroot, self._driver)) as lock:
            raw = _read(table)
            before = [_decoded(record) for record in raw]
            untouched = {id(record): (text, json.encode(record)) for record, text in zip(before, raw, strict=True)}
            after = [
                untouched[id(record)][0]
                if id(record) in untouched and untouched[id(record)][1] == json.encode(record)
                else record
                for record in change(list(before))
            ]
            publish(table, after, lock)


def _find(records: list[Any], image: str) -> Any:
    for record in records:
        if record["id"] == image:
            return record
    raise LookupError(f"no image {image}")


def _steal(records: list[Any], names: Sequence[str]) -> None:
    for record in records:
        if set(names) & set(record.get("names") or ()):
            record["names"] = [name for name in record["names"] if name not in names]


def _step(entry: dict[str, Any]) -> Step:
    """A history entry whose time is kept as text, which is written back unchanged."""
    return Step(
        created=None if "created" not in entry else parse_time(entry["created"]),
        created_by=entry.get("created_by", ""),
        author=entry.get("author", ""),
        comment=entry.get("comment", ""),
        empty_layer=entry.get("empty_layer", False),
    )


def _read(table: Path) -> list[Raw]:
    try:
        return json.decode(table.read_bytes() or b"[]", type=list[Raw])
    except FileNotFoundError:
        return []


def _decoded(record: Raw) -> Any:
    return json.decode(record)
