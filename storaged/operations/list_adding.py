"""What an image, or a list of images, adds to a manifest list: entries, and where they can be read.

Only local images are used; no registry is ever contacted. For a local image its id is recorded::

    an image       its ``manifest`` item; platform from its configuration
    a list         its entry for this platform, or with ``all`` every one, as it is described there
      entry          read from the local image whose manifest it is, else from where that list has it

Source: container-libs ``libimage/manifests/manifests.go`` (Add).
"""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct, structs

from storaged.operations.list_forms import Entry, Members
from storaged.operations.list_parts import MANIFEST, Added, ListParts, Means, load
from storaged.operations.list_sources import local_reference
from storaged.operations.name_lookup import shortened, visible
from storaged.operations.resolving import choose_instance, find
from storaged.snapshot.model import Image, Snapshot
from storaged.store.layout.decoding import bounded
from storaged.store.layout.edit import encode
from storaged.store.layout.manifests import OCI_INDEX, Undecodable, is_signed_schema1, parse_manifest
from storaged.store.layout.records import Digest, digest_of
from storaged_client.contract.errors import DataUnknown, ImageDamaged, ImageUnknown, NotAManifestList

_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
_SIGNED_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


class _Manifest(msgspec.Struct, rename="camel"):
    schema_version: int | None = None
    artifact_type: str | None = None


class _Config(msgspec.Struct):
    architecture: str | None = None
    os: str | None = None
    os_version: str | None = msgspec.field(default=None, name="os.version")
    os_features: list[str] | None = msgspec.field(default=None, name="os.features")
    variant: str | None = None


_decode_manifest = bounded(msgspec.json.Decoder(_Manifest).decode)
_decode_config = bounded(msgspec.json.Decoder(_Config).decode)


class Contribution(Struct, frozen=True, kw_only=True):
    """What one name adds. ``evidence`` is the list that contains these entries; None for a separate image."""

    added: tuple[Added, ...]
    evidence: Image | None = None


def contribution(snapshot: Snapshot, name: str, every: bool, means: Means) -> Contribution:
    """What the name of a local image or list adds; ``every`` takes all entries of a list.

    Raises:
        ImageUnknown: no local image has the name, the list has nothing for this platform, or it is unknown where
            an entry can be read.
        ImageDamaged: its manifest, its configuration, or an item of the list cannot be read.
        AmbiguousName, InvalidName: see ``resolving.find``.
    """
    image = named(snapshot, name, means)
    if not image.is_list:
        return Contribution(added=(_of_image(image, means),))
    parts = load(image, means)
    entries = parts.form.entries
    if not every:
        digest = choose_instance(image, means.view)
        chosen = parts.form.find(digest) if digest is not None else None
        if chosen is None:
            raise ImageUnknown(
                f"{shortened(name)}: the manifest list has no image for {means.view.platform}; take all of them (all)",
                asked=name[:200],
                lists=[image.id],
            )
        entries = (chosen,)
    return Contribution(
        added=tuple(_of_entry(snapshot, entry, parts, image, means) for entry in entries), evidence=image
    )


def named(snapshot: Snapshot, name: str, means: Means) -> Image:
    """The image or list itself that a name refers to.

    Raises:
        ImageUnknown, ImageDamaged, AmbiguousName, InvalidName: see ``resolving.find``.
    """
    try:
        return find(snapshot, name, manifest=True, or_list=True, view=means.view).image
    except NotAManifestList:
        return find(snapshot, name, manifest=False, or_list=True, view=means.view).image


def descriptor(image: Image, means: Means) -> Members:
    """The descriptor of an image or a list: media type, digest, size and artifact type of its manifest.

    Raises:
        ImageDamaged: the manifest cannot be read.
    """
    data = _read(image, MANIFEST, means)
    members = {
        "mediaType": encode(_media_type(image, data)),
        "digest": encode(_digest(image, data)),
        "size": encode(len(data)),
    }
    kind = None if image.is_list else _decoded(image, data).artifact_type
    return {**members, "artifactType": encode(kind)} if kind else members


def _of_image(image: Image, means: Means) -> Added:
    about = dict(descriptor(image, means))
    digest = Digest(msgspec.json.decode(about.pop("digest"), type=str))
    platform = None if "artifactType" in about else _platform(image, means)
    return Added(
        entry=Entry(digest=digest, members=about, platform=platform),
        reference=local_reference(means.location, image.id),
    )


def _of_entry(snapshot: Snapshot, entry: Entry, parts: ListParts, source: Image, means: Means) -> Added:
    local = next(_bearers(snapshot, entry.digest), None)
    artifact = parts.artifacts.get(entry.digest)
    if local is not None:
        return Added(entry=_with_platform(entry, local, means), reference=local_reference(means.location, local.id))
    reference = parts.instances.get(entry.digest)
    if reference is None and artifact is None:
        raise ImageUnknown(
            f"the instance {entry.digest} of manifest list {source.id[:12]} is not in the store, and the list does "
            "not say where it is: pull it first",
            asked=entry.digest,
            lists=[source.id],
        )
    return Added(entry=entry, reference=reference, artifact=artifact)


def _with_platform(entry: Entry, local: Image, means: Means) -> Entry:
    """Give an entry without a platform that of the configuration, as for a separately added image."""
    told = entry.platform or {}
    if ("os" in told and "architecture" in told) or "artifactType" in entry.members:
        return entry
    own = _platform(local, means) or {}
    lacking = [name for name in ("os", "architecture") if name not in told]
    taken = {"os": ("os", "os.version", "os.features"), "architecture": ("architecture", "variant")}
    added = {name: own[name] for part in lacking for name in taken[part] if name in own}
    return structs.replace(entry, platform={**told, **added} or None)


def _bearers(snapshot: Snapshot, digest: Digest) -> Iterator[Image]:
    """Images that are read as this manifest by their ids: it is their ``manifest`` item, which was written last."""
    for image in visible(snapshot, snapshot.by_digest.get(digest, ())):
        if (image.record.big_data_digests or {}).get(MANIFEST) == digest:
            yield image


def _platform(image: Image, means: Means) -> Members | None:
    """The platform in the configuration of an image that can run."""
    manifest = parse_manifest(_read(image, MANIFEST, means))
    if manifest.config_digest is None or manifest.config_media_type not in (_OCI_CONFIG, _DOCKER_CONFIG):
        return None
    data = _read(image, manifest.config_digest, means)
    try:
        config = _decode_config(data)
    except ValueError as error:
        raise ImageDamaged(f"the configuration of {image.id[:12]} cannot be decoded: {error}", id=image.id) from None
    told = {
        "architecture": config.architecture,
        "os": config.os,
        "os.version": config.os_version,
        "os.features": config.os_features,
        "variant": config.variant,
    }
    return {name: encode(value) for name, value in told.items() if value} or None


def _read(image: Image, key: str, means: Means) -> bytes:
    try:
        return means.read(image, key)
    except DataUnknown as error:
        raise ImageDamaged(error.message, error.data) from None


def _decoded(image: Image, data: bytes) -> _Manifest:
    try:
        return _decode_manifest(data)
    except ValueError as error:
        raise ImageDamaged(f"the manifest of {image.id[:12]} cannot be decoded: {error}", id=image.id) from None


def _digest(image: Image, data: bytes) -> Digest:
    """A signed schema 1 manifest has another digest than its bytes: the record has it."""
    recorded = (image.record.big_data_digests or {}).get(MANIFEST)
    return recorded if recorded and is_signed_schema1(data) else digest_of(data)


def _media_type(image: Image, data: bytes) -> str:
    """The manifest's own media type, else the one that follows from its members (image ``manifest.GuessMIMEType``)."""
    try:
        facts = parse_manifest(data)
    except Undecodable as error:
        raise ImageDamaged(f"the manifest of {image.id[:12]} cannot be decoded: {error}", id=image.id) from None
    if facts.media_type is not None:
        return facts.media_type
    if facts.is_list:
        return OCI_INDEX
    if _decoded(image, data).schema_version == 1:
        return _SIGNED_SCHEMA1 if is_signed_schema1(data) else _SCHEMA1
    return _DOCKER_MANIFEST if facts.config_media_type == _DOCKER_CONFIG else _OCI_MANIFEST
