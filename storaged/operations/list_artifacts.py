"""An artifact manifest made of data that came with the request.

::

    manifest    schemaVersion mediaType artifactType config layers[] subject annotations
      config    the empty object, or the text given; its bytes stand in the manifest, too
      layer     mediaType digest size annotations{title}

podman remembers the paths of the files and reads them again at each push. Here the daemon opens no path of a
client: the bytes are kept in the list itself (``artifacts.json``, ``blobs``), where podman pushes them from.

Source: container-libs ``libimage/manifests/manifests.go`` (AddArtifact), image-spec ``manifest.md``.
"""

from __future__ import annotations

import base64
import binascii

from storaged.errors import InvalidParams
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
_TYPES = {
    "avif": "image/avif",
    "css": "text/css",
    "gif": "image/gif",
    "htm": "text/html",
    "html": "text/html",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "mjs": "text/javascript",
    "pdf": "application/pdf",
    "png": "image/png",
    "svg": "image/svg+xml",
    "txt": "text/plain",
    "wasm": "application/wasm",
    "webp": "image/webp",
    "xml": "text/xml",
}
"""What Go knows by itself (``mime/type.go``), and ``.txt``: the answer is the same on every machine."""


def make_artifact(asked: p.Artifact, subject: Members | None) -> Added:
    """The artifact as an entry of a list, with all its data. ``subject`` is the descriptor of what it refers to.

    Raises:
        InvalidParams: the data of a layer is no base64.
    """
    config, config_data = _config(asked)
    blobs = {digest_of(config_data): config_data}
    layers: list[bytes] = []
    named: list[str] = []
    for at, layer in enumerate(asked.layers):
        data = _data(layer, at)
        digest = digest_of(data)
        layers.append(_layer(layer, digest, data))
        named.append(digest)
        blobs[digest] = data
    if not layers:
        # The specification wants one layer at least.
        layers, named = [_descriptor(EMPTY_TYPE, digest_of(_EMPTY), _EMPTY, inline=True)], [digest_of(_EMPTY)]
        blobs[digest_of(_EMPTY)] = _EMPTY
    kind = asked.type if asked.type is not None else UNKNOWN_TYPE
    members = {
        "schemaVersion": encode(2),
        "mediaType": encode(MEDIA_TYPE),
        **({"artifactType": encode(kind)} if kind else {}),
        "config": config,
        "layers": b"[" + b",".join(layers) + b"]",
        **({"subject": emit(subject)} if subject is not None else {}),
        **({"annotations": encode(asked.annotations)} if asked.annotations else {}),
    }
    manifest = emit(members)
    entry = {"mediaType": encode(MEDIA_TYPE), "size": encode(len(manifest))}
    return Added(
        entry=Entry(digest=digest_of(manifest), members={**entry, **({"artifactType": encode(kind)} if kind else {})}),
        artifact=Artifact(
            members={
                "manifests": encode(manifest.decode()),
                "config": encode(digest_of(config_data)),
                "layers": encode(named),
            },
            blobs={"blobs": {digest: encode(base64.b64encode(data).decode()) for digest, data in blobs.items()}},
        ),
    )


def _config(asked: p.Artifact) -> tuple[bytes, bytes]:
    """Its descriptor and its bytes."""
    if asked.config:
        data = asked.config.encode()
        return _descriptor(asked.config_type or CONFIG_TYPE, digest_of(data), data, inline=True), data
    return _descriptor(asked.config_type or EMPTY_TYPE, digest_of(_EMPTY), _EMPTY, inline=True), _EMPTY


def _layer(layer: p.ArtifactLayer, digest: Digest, data: bytes) -> bytes:
    kind = layer.media_type or _TYPES.get((layer.title or "").rpartition(".")[2].lower()) or _sniffed(data)
    return _descriptor(kind, digest, data, title=layer.title)


def _descriptor(kind: str, digest: Digest, data: bytes, *, inline: bool = False, title: str | None = None) -> bytes:
    return emit(
        {
            "mediaType": encode(kind),
            "digest": encode(digest),
            "size": encode(len(data)),
            **({"annotations": encode({_TITLE: title})} if title else {}),
            **({"data": encode(base64.b64encode(data).decode())} if inline else {}),
        }
    )


def _data(layer: p.ArtifactLayer, at: int) -> bytes:
    try:
        return base64.b64decode(layer.data, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidParams(
            f"the data of layer {at} is no base64: {error}", path=f"artifact.layers[{at}].data"
        ) from None


def _sniffed(data: bytes) -> str:
    """Text or not, as far as the first 512 bytes tell."""
    head = data[:512]
    if any(byte < 0x20 and byte not in b"\t\n\f\r\x1b" for byte in head):
        return "application/octet-stream"
    return "text/plain"
