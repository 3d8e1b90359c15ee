"""Makes an artifact manifest from data in the request, or from files passed with it.

::

    manifest    schemaVersion mediaType artifactType config layers[] subject annotations
      config    the empty object, or the given text; its bytes are in the manifest, too
      layer     mediaType digest size annotations{title}

podman remembers the paths of the files and reads them again at each push. Here the daemon opens no path of a client.
The bytes in the request are kept in the list itself (``artifacts.json``, ``blobs``), and podman pushes them from there.
For a passed file the path is kept (``detached``), as podman does for all files.

Source: container-libs ``libimage/manifests/manifests.go`` (AddArtifact), image-spec ``manifest.md``.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence

from msgspec import Struct

from storaged.operations.list_forms import Entry, Members
from storaged.operations.list_parts import Added
from storaged.operations.list_sources import Artifact
from storaged.store.layout.edit import emit, encode
from storaged.store.layout.records import Digest, digest_of
from storaged_client.contract import params as p

MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
UNKNOWN_TYPE = "application/vnd.unknown.artifact.v1"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"

_EMPTY = b"{}"
_TITLE = "org.opencontainers.image.title"


class Layer(Struct, frozen=True, kw_only=True):
    """A layer as it was read: its bytes, or the path of its file."""

    media_type: str
    digest: Digest
    size: int
    title: str | None = None
    data: bytes | None = None
    path: str | None = None


def make_artifact(asked: p.Artifact, layers: Sequence[Layer], subject: Members | None) -> Added:
    """The artifact as an entry of a list. ``layers`` are its layers as read, ``subject`` is the descriptor it refers
    to."""
    config, config_data = _config(asked)
    blobs: dict[str, bytes] = {digest_of(config_data): encode(base64.b64encode(config_data).decode())}
    detached: dict[str, bytes] = {}
    for layer in layers:
        if layer.path is not None:
            detached[layer.digest] = encode(layer.path)
        else:
            blobs[layer.digest] = encode(base64.b64encode(layer.data or b"").decode())
    shown = [
        _descriptor(layer.media_type, layer.digest, layer.size, annotations=_titled(layer.title)) for layer in layers
    ]
    named = [layer.digest for layer in layers]
    if not layers:
        # The specification requires at least one layer.
        shown, named = [_inline(EMPTY_TYPE, _EMPTY)], [digest_of(_EMPTY)]
        blobs[digest_of(_EMPTY)] = encode(base64.b64encode(_EMPTY).decode())
    kind = asked.type if asked.type is not None else UNKNOWN_TYPE
    members = {
        "schemaVersion": encode(2),
        "mediaType": encode(MEDIA_TYPE),
        **({"artifactType": encode(kind)} if kind else {}),
        "config": config,
        "layers": b"[" + b",".join(shown) + b"]",
        **({"subject": emit(subject)} if subject is not None else {}),
        **({"annotations": encode(asked.annotations)} if asked.annotations else {}),
    }
    manifest = emit(members)
    entry = {"mediaType": encode(MEDIA_TYPE), "size": encode(len(manifest))}
    files = list(dict.fromkeys(layer.path for layer in layers if layer.path is not None))
    return Added(
        entry=Entry(digest=digest_of(manifest), members={**entry, **({"artifactType": encode(kind)} if kind else {})}),
        artifact=Artifact(
            members={
                "manifests": encode(manifest.decode()),
                **({"files": encode(files)} if files else {}),
                "config": encode(digest_of(config_data)),
                "layers": encode(named),
            },
            blobs={"detached": detached, "blobs": blobs},
        ),
    )


def _config(asked: p.Artifact) -> tuple[bytes, bytes]:
    """Its descriptor and its bytes."""
    if asked.config:
        data = asked.config.encode()
        return _inline(asked.config_type or CONFIG_TYPE, data), data
    return _inline(asked.config_type or EMPTY_TYPE, _EMPTY), _EMPTY


def _inline(kind: str, data: bytes) -> bytes:
    return _descriptor(kind, digest_of(data), len(data), data=encode(base64.b64encode(data).decode()))


def _titled(title: str | None) -> bytes | None:
    return encode({_TITLE: title}) if title else None


def _descriptor(kind: str, digest: Digest, size: int, **more: bytes | None) -> bytes:
    return emit(
        {
            "mediaType": encode(kind),
            "digest": encode(digest),
            "size": encode(size),
            **{name: value for name, value in more.items() if value is not None},
        }
    )
