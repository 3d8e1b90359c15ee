"""Generates the bytes of a store: layer tars, configuration blobs, manifests, lists.

Everything is computed, nothing is random: ids and digests are those a real tool would give the same bytes.

* image id = hex of the configuration's sha256
* layer id of a base layer = hex of its DiffID; else sha256 of ``<parent id>+<hex DiffID>``
  (containers/image ``storage_dest.go``)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from attrs import field, frozen
from msgspec import json

from storaged_client.times import NANOSECONDS

from .moments import Moment

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_LAYER_TYPES = {
    (True, False): "application/vnd.docker.image.rootfs.diff.tar",
    (True, True): "application/vnd.docker.image.rootfs.diff.tar.gzip",
    (False, False): "application/vnd.oci.image.layer.v1.tar",
    (False, True): "application/vnd.oci.image.layer.v1.tar+gzip",
}

EMPTY_LIST = b'{"schemaVersion":2,"mediaType":"' + DOCKER_LIST.encode() + b'","manifests":null}'
"""The first bytes that every ``podman manifest create`` writes; the record's ``digest`` stays that of these bytes."""


def digest_of(data: bytes) -> str:
    """``sha256:`` and the hex digest of the bytes."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def layer_id(parent: str | None, diff_id: str) -> str:
    """The id that containers/image gives a layer with this DiffID on this parent."""
    hexdigits = diff_id.removeprefix("sha256:")
    return hexdigits if parent is None else hashlib.sha256(f"{parent}+{hexdigits}".encode()).hexdigest()


@frozen(kw_only=True)
class File:
    """The only file of a sample layer."""

    name: str
    data: bytes
    mtime: int
    """Seconds since 1970."""


def tar_header(entry: File) -> bytes:
    """The 512 bytes before a regular file, ustar, mode 0644, owner 0:0."""
    fields = (
        entry.name.encode().ljust(100, b"\0"),
        b"0000644\0" + b"0000000\0" * 2,
        f"{len(entry.data):011o}\0".encode(),
        f"{entry.mtime:011o}\0".encode(),
        b" " * 8,
        b"0",
        b"\0" * 100,
        b"ustar\x0000",
    )
    header = b"".join(fields).ljust(512, b"\0")
    checksum = f"{sum(header):06o}\0 ".encode()
    return header[:148] + checksum + header[156:]


def tar_padding(entry: File) -> bytes:
    """The bytes after the file's: padding to a block, then the end of the archive."""
    return b"\0" * (-len(entry.data) % 512 + 1024)


def tar_of(entry: File) -> bytes:
    """A layer tar with one file."""
    return tar_header(entry) + entry.data + tar_padding(entry)


@frozen(kw_only=True)
class Layer:
    """One layer record before it is written. ``file`` is None if the size is only claimed."""

    id: str
    parent: str | None
    diff_id: str
    size: int
    blob_digest: str
    blob_size: int
    gzip: bool
    created: str
    names: tuple[str, ...] = ()
    file: File | None = None
    volatile: bool = False
    container: bool = False


@frozen(kw_only=True)
class Step:
    """One history entry of a configuration."""

    created: Moment | None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False

    @property
    def key(self) -> tuple[int | None, str, str, str, bool]:
        """What podman compares: the instant, not its text (libimage ``areParentAndChild``)."""
        when = None if self.created is None else self.created.ns
        return (when, self.created_by, self.author, self.comment, self.empty_layer)

    def to_json(self) -> dict[str, Any]:
        """The form in configurations: empty members omitted."""
        entry: dict[str, Any] = {} if self.created is None else {"created": self.created.text()}
        for name in ("created_by", "author", "comment"):
            if value := getattr(self, name):
                entry[name] = value
        if self.empty_layer:
            entry["empty_layer"] = True
        return entry


@frozen(kw_only=True)
class Recipe:
    """The parts of an image; ``config_bytes`` turns them into the blob that gives the image its id."""

    created: Moment | None
    history: tuple[Step, ...]
    chain: tuple[Layer, ...]
    labels: dict[str, str] | None = None
    docker: bool = False
    architecture: str = "amd64"
    os: str = "linux"
    variant: str = ""
    author: str = ""
    environment: tuple[str, ...] = ("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",)
    command: tuple[str, ...] = ("/bin/sh",)
    healthcheck: tuple[str, ...] = field(default=())

    @property
    def top(self) -> str | None:
        return self.chain[-1].id if self.chain else None

    @property
    def diff_ids(self) -> tuple[str, ...]:
        return tuple(layer.diff_id for layer in self.chain)

    def config_bytes(self) -> bytes:
        """The configuration blob."""
        inner: dict[str, Any] = {"Env": list(self.environment), "Cmd": list(self.command)}
        if self.labels is not None:
            inner["Labels"] = self.labels
        if self.healthcheck and self.docker:
            inner["Healthcheck"] = {"Test": list(self.healthcheck), "Interval": 30 * NANOSECONDS}
        blob: dict[str, Any] = {} if self.created is None else {"created": self.created.text()}
        if self.author:
            blob["author"] = self.author
        blob |= {"architecture": self.architecture, "os": self.os}
        if self.variant:
            blob["variant"] = self.variant
        if self.docker:
            blob["docker_version"] = "24.0.7"
        blob |= {
            "config": inner,
            "rootfs": {"type": "layers", "diff_ids": list(self.diff_ids)},
            "history": [step.to_json() for step in self.history],
        }
        return json.encode(blob)


def manifest_bytes(recipe: Recipe, config: bytes, annotations: dict[str, str] | None = None) -> bytes:
    """The manifest of an image with this configuration."""
    docker = recipe.docker
    manifest: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST if docker else OCI_MANIFEST,
        "config": {
            "mediaType": DOCKER_CONFIG if docker else OCI_CONFIG,
            "digest": digest_of(config),
            "size": len(config),
        },
        "layers": [
            {
                "mediaType": _LAYER_TYPES[docker, layer.gzip],
                "digest": layer.blob_digest,
                "size": layer.blob_size,
            }
            for layer in recipe.chain
        ],
    }
    if annotations and not docker:
        manifest["annotations"] = annotations
    return json.encode(manifest)


@frozen(kw_only=True)
class Instance:
    """One descriptor of a list."""

    digest: str
    size: int
    media_type: str
    architecture: str = "amd64"
    os: str = "linux"
    variant: str = ""
    annotations: dict[str, str] = field(factory=dict)

    def to_json(self, *, oci: bool) -> dict[str, Any]:
        platform = {"architecture": self.architecture, "os": self.os}
        if self.variant:
            platform["variant"] = self.variant
        descriptor: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
            "platform": platform,
        }
        if oci and self.annotations:
            descriptor["annotations"] = self.annotations
        return descriptor


def list_bytes(
    instances: Sequence[Instance],
    *,
    oci: bool = True,
    media_type: bool = True,
    annotations: dict[str, str] | None = None,
) -> bytes:
    """A manifest list or index. An index may omit its ``mediaType``."""
    if not instances and not oci:
        return EMPTY_LIST
    body: dict[str, Any] = {"schemaVersion": 2}
    if media_type or not oci:
        body["mediaType"] = OCI_INDEX if oci else DOCKER_LIST
    body["manifests"] = [instance.to_json(oci=oci) for instance in instances]
    if oci and annotations:
        body["annotations"] = annotations
    return json.encode(body)
