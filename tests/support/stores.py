"""Stores as values: rows and contents as the reader would hand them over, without a disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from attrs import define, field

from storaged.operations.query_context import QueryContext, normalise_platform
from storaged.snapshot.build import build
from storaged.snapshot.model import Snapshot
from storaged.snapshot.sizes import NOTHING_MEASURED, KnownSizes
from storaged.store.layout.contents import (
    ConfigFacts,
    ContentDamage,
    ImageContent,
    InstanceFacts,
    ManifestFacts,
    PlatformFacts,
)
from storaged.store.layout.records import (
    ContainerID,
    ContainerRecord,
    Digest,
    ImageID,
    ImageRecord,
    LayerID,
    LayerRecord,
)
from storaged.store.tables import ContainerRow, ImageRow, LayerRow, RecordFlaw, StoreTables

AMD64 = PlatformFacts(architecture="amd64", os="linux")
ARM64 = PlatformFacts(architecture="arm64", os="linux")
HERE = QueryContext(platform=normalise_platform("Linux", "x86_64"))


def hex_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def image_id(name: str) -> ImageID:
    return ImageID(hex_of(f"image {name}"))


def layer_id(name: str) -> LayerID:
    return LayerID(hex_of(f"layer {name}"))


def digest_of(name: str) -> Digest:
    return Digest("sha256:" + hex_of(f"manifest {name}"))


def fingerprint(history: Iterable[str]) -> bytes:
    return hashlib.sha256("\n".join(history).encode()).digest()


def config(
    history: tuple[str, ...] = ("base",),
    diff_ids: tuple[str, ...] = (),
    labels: dict[str, str] | None = None,
    platform: PlatformFacts = AMD64,
) -> ConfigFacts:
    return ConfigFacts(
        architecture=platform.architecture,
        os=platform.os,
        variant=platform.variant,
        labels=labels,
        diff_ids=diff_ids,
        history_key=fingerprint(history),
        history_before_last=fingerprint(history[:-1]) if history else None,
    )


def missing(record: str = "") -> ContentDamage:
    return ContentDamage(
        name="manifest_missing", detail="the file is missing", file=f"/g/vfs-images/{record}/manifest", seen=None
    )


@define
class Store:
    """Rows in the order they are added."""

    images: list[ImageRow] = field(factory=list)
    contents: list[ImageContent] = field(factory=list)
    layers: list[LayerRow] = field(factory=list)
    containers: list[ContainerRow] = field(factory=list)
    flaws: list[RecordFlaw] = field(factory=list)
    proven: bool = True

    def layer(
        self,
        name: str,
        parent: str | None = None,
        *,
        size: int | None = 100,
        store: int = 0,
        incomplete: bool = False,
        created: str = "2026-01-01T00:00:00Z",
    ) -> LayerID:
        record = LayerRecord(
            id=layer_id(name),
            parent=layer_id(parent) if parent is not None else None,
            created=created,
            diff_digest=Digest("sha256:" + hex_of(name)) if size is not None else None,
            diff_size=size,
            flags={"incomplete": True} if incomplete else None,
        )
        self.layers.append(LayerRow(record=record, store=store))
        return record.id

    def image(
        self,
        name: str,
        names: tuple[str, ...] = (),
        *,
        layer: str | None = None,
        mapped: tuple[str, ...] = (),
        config: ConfigFacts | None = None,
        digests: tuple[str, ...] = (),
        data: int | None = 10,
        store: int = 0,
        damage: tuple[ContentDamage, ...] = (),
        half_made: bool = False,
        created: str = "2026-01-01T00:00:00Z",
    ) -> ImageID:
        named = tuple(digest_of(digest) for digest in digests or (name,))
        keys = ("manifest", *(f"manifest-{digest}" for digest in named[1:]))
        record = ImageRecord(
            id=image_id(name),
            digest=named[0],
            names=names or None,
            names_history=names or None,
            layer=layer_id(layer) if layer is not None else None,
            mapped_layers=tuple(map(layer_id, mapped)) or None,
            big_data_names=keys,
            big_data_sizes=dict.fromkeys(keys, data) if data is not None else None,
            big_data_digests=dict(zip(keys, named, strict=True)),
            created=created,
        )
        content = ImageContent(half_made=True)
        if not half_made:
            manifest = ManifestFacts(media_type=None, is_list=False, annotations={})
            content = ImageContent(manifest=manifest, config=config, damage=damage)
        self.images.append(ImageRow(record=record, store=store, raw=b""))
        self.contents.append(content)
        return record.id

    def list(
        self,
        name: str,
        names: tuple[str, ...] = (),
        *,
        instances: tuple[tuple[str, PlatformFacts | None], ...] = (),
        digest: str | None = None,
        unreadable: bool = False,
        mismatched: bool = False,
        store: int = 0,
    ) -> ImageID:
        current = digest_of(digest or name)
        record = ImageRecord(
            id=image_id(name),
            digest=digest_of("empty list"),
            names=names or None,
            big_data_names=("manifest", "instances.json"),
            big_data_sizes={"manifest": 10, "instances.json": 5},
            big_data_digests={"manifest": current},
        )
        facts = ManifestFacts(
            media_type="application/vnd.oci.image.index.v1+json",
            is_list=True,
            annotations={},
            raw=b'{"manifests":[]}',
            instances=tuple(
                InstanceFacts(digest=digest_of(entry), platform=platform, annotations={})
                for entry, platform in instances
            ),
        )
        content = ImageContent(manifest=facts)
        if unreadable:
            content = ImageContent(damage=(missing(record.id),), unreadable_evidence=True)
        if mismatched:
            content = ImageContent(manifest=facts, damage=(missing(record.id),), unreadable_evidence=True)
        self.images.append(ImageRow(record=record, store=store, raw=b""))
        self.contents.append(content)
        return record.id

    def container(
        self,
        name: str,
        image: str | None = None,
        *,
        layer: str | None = None,
        metadata: str | None = None,
        volatile: bool = False,
        data: dict[str, int] | None = None,
    ) -> ContainerID:
        record = ContainerRecord(
            id=ContainerID(hex_of(f"container {name}")),
            names=(name,),
            image=image_id(image) if image is not None else None,
            layer=layer_id(layer) if layer is not None else None,
            metadata=metadata,
            big_data_sizes=data,
        )
        self.containers.append(ContainerRow(record=record, store=0, volatile=volatile))
        return record.id

    def snapshot(
        self,
        previous: Snapshot | None = None,
        generation: str = "1",
        known_sizes: KnownSizes = NOTHING_MEASURED,
    ) -> Snapshot:
        tables = StoreTables(
            images=tuple(self.images),
            layers=tuple(self.layers),
            containers=tuple(self.containers),
            flaws=tuple(self.flaws),
            proven=self.proven,
        )
        return build(tables, tuple(self.contents), generation=generation, previous=previous, known_sizes=known_sizes)


def family() -> Store:
    """``base`` (one layer, named), ``app`` built on it with a layer, ``label`` built on that without one."""
    store = Store()
    store.layer("one")
    store.layer("two", "one")
    store.image("base", ("localhost/base:latest",), layer="one", config=config(("a",), ("d1",)))
    store.image("app", layer="two", config=config(("a", "b"), ("d1", "d2")))
    store.image("label", layer="two", config=config(("a", "b", "c"), ("d1", "d2")))
    return store
