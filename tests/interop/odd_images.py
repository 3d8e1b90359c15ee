"""Images as other builders than podman's make them: configurations with gaps, empty members, odd times.

They are written as ``dir:`` layouts, which podman pulls without any registry.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any, TypeAlias

from tests.support.peers import Store

Blobs: TypeAlias = dict[str, bytes]
"""Bytes by digest."""

OCI = "application/vnd.oci.image.manifest.v1+json"
DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
CREATED = "2024-01-02T03:04:05.120000000Z"

_TYPES = {
    OCI: ("application/vnd.oci.image.config.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"),
    DOCKER: (
        "application/vnd.docker.container.image.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
    ),
}
_HISTORY = [
    {"created": "2024-01-02T03:04:05.100000000Z", "created_by": "a <b> & c"},
    {"created": "2024-01-02T03:04:05.000000000Z", "created_by": "whole", "empty_layer": True},
    {"created": "2024-01-02T05:04:05.123+02:00", "created_by": "at an offset", "empty_layer": True},
    {"created_by": "without a time", "empty_layer": True},
    {"empty_layer": True},
]
_CHECK = {
    "Retries": 3,
    "Test": ["CMD", "true"],
    "Interval": 30_000_000_000,
    "Timeout": 5_500_000_000,
    "StartPeriod": 1_000_000,
    "StartInterval": 90_000_000_001,
}
_NONE: dict[str, Any] = {}

ODD: dict[str, tuple[str, dict[str, Any], int]] = {
    "check": (DOCKER, {"created": CREATED, "config": {"Healthcheck": _CHECK}, "history": _HISTORY}, 1),
    "check-part": (DOCKER, {"created": CREATED, "config": {"Healthcheck": {"Retries": 1, "Test": ["NONE"]}}}, 1),
    "check-empty": (DOCKER, {"created": CREATED, "config": {"Healthcheck": _NONE}}, 1),
    "check-oci": (OCI, {"created": CREATED, "config": {"Healthcheck": _CHECK}, "history": _HISTORY}, 1),
    "labels-empty": (OCI, {"created": CREATED, "config": {"Labels": _NONE, "Env": [], "Cmd": [], "Volumes": _NONE}}, 1),
    "labels-null": (OCI, {"created": CREATED, "config": {"Labels": None, "Entrypoint": None}}, 1),
    "labels-of-null": (OCI, {"created": CREATED, "config": {"Labels": {"b": None, "B": "<c>"}}}, 1),
    "config-null": (OCI, {"created": CREATED, "config": None}, 1),
    "config-absent": (OCI, {"created": CREATED}, 1),
    "created-absent": (OCI, _NONE, 1),
    "created-null": (DOCKER, {"created": None}, 1),
    "created-zone": (OCI, {"created": "2024-01-02T05:04:05.123400+02:00"}, 1),
    "history-empty": (OCI, {"created": CREATED, "history": []}, 1),
    "history-null": (OCI, {"created": CREATED, "history": None}, 1),
    "layers-empty": (OCI, {"created": CREATED}, 0),
    "layers-absent": (DOCKER, {"created": CREATED, "rootfs": None, "config": {"Labels": _NONE}}, 0),
    "layers-null": (OCI, {"created": CREATED, "rootfs": {"type": "layers", "diff_ids": None}}, 0),
    "layers-type": (OCI, {"created": CREATED, "rootfs": {"type": "other", "diff_ids": []}}, 0),
    "two-layers": (
        OCI,
        {"created": CREATED, "author": "me", "config": {"User": "u", "ExposedPorts": {"80/tcp": {}}}},
        2,
    ),
}
"""By tag: media type of the manifest, members of the configuration, number of layers."""


def digest_of(body: bytes) -> str:
    return f"sha256:{hashlib.sha256(body).hexdigest()}"


def image(media_type: str, members: dict[str, Any], layers: int, word: str) -> tuple[bytes, Blobs]:
    """The manifest of an image with one file a layer, and all it names."""
    return _image(media_type, members, [_tar(f"{word} {number}") for number in range(layers)])


def image_of(
    media_type: str, members: dict[str, Any], files: dict[str, bytes], links: dict[str, str]
) -> tuple[bytes, Blobs]:
    """As ``image``, with one layer of these programs, and of symbolic links to them."""
    return _image(media_type, members, [_tar_of(files, links)])


def _image(media_type: str, members: dict[str, Any], tars: list[bytes]) -> tuple[bytes, Blobs]:
    packed = [gzip.compress(each, mtime=0) for each in tars]
    rootfs = {"type": "layers", "diff_ids": [digest_of(each) for each in tars]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": rootfs, **members}).encode()
    config_type, layer_type = _TYPES[media_type]
    manifest = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": {"mediaType": config_type, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": layer_type, "digest": digest_of(each), "size": len(each)} for each in packed],
    }
    return json.dumps(manifest).encode(), {digest_of(body): body for body in (config, *packed)}


def pull(store: Store, tag: str | None, manifest: bytes, blobs: Blobs) -> str:
    """Have podman pull the image from a folder, and name it; its id."""
    folder = store.work / "context" / digest_of(manifest)[7:19]
    folder.mkdir()
    for digest, body in blobs.items():
        (folder / digest.removeprefix("sha256:")).write_bytes(body)
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    id_ = store.podman("pull", "-q", f"dir:{folder}").strip()
    if tag is not None:
        store.podman("tag", id_, f"localhost/odd:{tag}")
    return id_


def _tar(word: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(Path(word).name)
        entry.size = len(word)
        archive.addfile(entry, io.BytesIO(word.encode()))
    return buffer.getvalue()


def _tar_of(files: dict[str, bytes], links: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o755
            archive.addfile(entry, io.BytesIO(content))
        for name, target in links.items():
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    return buffer.getvalue()
