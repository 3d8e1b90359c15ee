"""A store of images with all their bytes, held in memory: what an edit of a list reads, and what it would leave."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import msgspec
from attrs import define, field

from storaged.operations.list_parts import Means
from storaged.operations.query_context import HostPlatform, QueryContext
from storaged.snapshot.build import build
from storaged.snapshot.model import Image, Snapshot
from storaged.store.changes import Change, Item
from storaged.store.layout.contents import ContentDamage, ImageContent
from storaged.store.layout.manifests import Undecodable, parse_config, parse_manifest
from storaged.store.layout.records import Digest, ImageID, ImageRecord
from storaged.store.tables import ImageRow, StoreLocation, StoreTables
from storaged_client.contract.errors import DataUnknown, ImageDamaged

LOCATION = StoreLocation(graphroot="/g", runroot="/r", driver="overlay")
AMD64 = HostPlatform(os="linux", architecture="amd64")
OCI = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


def sha(data: bytes) -> Digest:
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


@define
class Shelf:
    records: list[tuple[ImageRecord, int]] = field(factory=list)
    data: dict[tuple[str, str], bytes] = field(factory=dict)
    spoiled: set[tuple[str, str]] = field(factory=set)

    def image(
        self,
        name: str,
        *names: str,
        arch: str = "amd64",
        store: int = 0,
        more: dict[str, Any] | None = None,
        manifest: dict[str, Any] | None = None,
    ) -> Image:
        """An image of a configuration; ``more`` of its configuration, ``manifest`` of its manifest."""
        config = compact(
            {"architecture": arch, "os": "linux", "author": name, "rootfs": {"type": "layers"}, **(more or {})}
        )
        own = {"mediaType": OCI_CONFIG, "digest": sha(config), "size": len(config)}
        body = compact({"schemaVersion": 2, "mediaType": OCI, "config": own, "layers": [], **(manifest or {})})
        items = (Item(key=sha(config), data=config), Item(key="manifest", data=body))
        return self.put(ImageID(sha(config)[7:]), names, items, store=store)

    def list(
        self, name: str, *names: str, manifest: bytes, instances: Any = None, store: int = 0, **items: bytes
    ) -> Image:
        """A list of the very bytes given; ``instances`` False leaves that item out."""
        own = ImageID(sha(name.encode())[7:])
        found = [Item(key="manifest", data=manifest)]
        if instances is not False:
            found.append(Item(key="instances.json", data=compact(instances or {})))
        found += [Item(key=f"{key}.json", data=value) for key, value in items.items()]
        return self.put(own, names, found, store=store)

    def put(self, own: ImageID, names: Sequence[str], items: Sequence[Item], *, store: int = 0) -> Image:
        record = ImageRecord(id=own, names=tuple(names) or None)
        self.records.append((self._written(record, items), store))
        return self[own]

    def apply(self, change: Change) -> None:
        """What the writer would leave."""
        for edit in change.edits:
            at = next(at for at, (record, store) in enumerate(self.records) if record.id == edit.image and store == 0)
            record = self.records[at][0]
            values = {key.replace("-", "_"): value for key, value in edit.members.items()}
            for name in ("names", "names_history"):
                if name in values:
                    record = _with(record, name, tuple(values[name] or ()) or None)
            self.records[at] = (self._written(record, edit.items), 0)
        for new in change.added:
            self.put(new.members["id"], new.members.get("names") or (), new.items)

    def spoil(self, image: Image, key: str) -> None:
        """The file no longer has the bytes that the record tells."""
        self.spoiled.add((image.id, key))

    def item(self, image: str, key: str) -> Any:
        return json.loads(self.data[image, key])

    def snapshot(self) -> Snapshot:
        rows = tuple(ImageRow(record=record, store=store, raw=b"") for record, store in self.records)
        contents = tuple(self._content(record) for record, _ in self.records)
        return build(StoreTables(images=rows), contents, generation="1", previous=None)

    def means(self, platform: HostPlatform = AMD64) -> Means:
        return Means(view=QueryContext(platform=platform), location=LOCATION, read=self.read)

    def read(self, image: Image, key: str) -> bytes:
        if key not in (image.record.big_data_names or ()):
            raise DataUnknown(f"no data under {key!r}", id=image.id, key=key)
        if (image.id, key) in self.spoiled:
            raise ImageDamaged(f"{key} has other bytes", id=image.id, key=key)
        return self.data[image.id, key]

    def __getitem__(self, own: str) -> Image:
        return next(image for image in reversed(self.snapshot().images) if image.id == own)

    def _content(self, record: ImageRecord) -> ImageContent:
        if (record.id, "manifest") in self.spoiled:
            damage = ContentDamage(name="manifest_mismatch", detail="other bytes", file="/f", seen=None)
            return ImageContent(damage=(damage,), unreadable_evidence="instances.json" in (record.big_data_names or ()))
        try:
            manifest = parse_manifest(self.data[record.id, "manifest"])
        except Undecodable as error:
            damage = ContentDamage(name="manifest_undecodable", detail=str(error), file="/f", seen=None)
            return ImageContent(damage=(damage,))
        config = self.data.get((record.id, manifest.config_digest or ""))
        return ImageContent(manifest=manifest, config=parse_config(config) if config is not None else None)

    def _written(self, record: ImageRecord, items: Sequence[Item]) -> ImageRecord:
        names = dict.fromkeys(record.big_data_names or ())
        sizes, digests = dict(record.big_data_sizes or {}), dict(record.big_data_digests or {})
        for item in items:
            names[item.key] = None
            self.data[record.id, item.key] = item.data
            sizes[item.key], digests[item.key] = len(item.data), sha(item.data)
        record = _with(record, "big_data_names", tuple(names))
        record = _with(record, "big_data_sizes", sizes)
        record = _with(record, "big_data_digests", digests)
        return _with(record, "digest", digests.get("manifest"))


def _with(record: ImageRecord, name: str, value: Any) -> ImageRecord:
    return msgspec.structs.replace(record, **{name: value})
