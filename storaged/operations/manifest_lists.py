"""``manifests.*``: the local manifest lists, their instances, and the digests they protect."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, cast

import msgspec

from storaged.operations.query_context import QueryContext
from storaged.operations.resolving import find, local_instance
from storaged.snapshot.model import Image, Snapshot
from storaged.store.layout.contents import InstanceFacts, ManifestFacts
from storaged.store.layout.decoding import bounded
from storaged.store.layout.records import Digest
from storaged_client.contract.errors import ImageDamaged, ImageUnknown, ManifestListUnknown
from storaged_client.contract.types import (
    JSON,
    Damage,
    Exists,
    Instance,
    ManifestDetails,
    ManifestLists,
    ManifestListSummary,
    Platform,
    ReferencedDigest,
    ReferencedDigests,
    Timestamp,
)

_decode: Callable[[bytes], Any] = bounded(msgspec.json.decode)


def list_manifests(snapshot: Snapshot, include: Collection[str]) -> ManifestLists:
    """All local lists in the order of the store.

    A list whose manifest can no longer be read is a row with its damage and, if it was read before, with its last known
    instances.
    """
    lists = (image for image in snapshot.images if image.is_list or _was_list(snapshot, image))
    return ManifestLists(manifests=tuple(summary(snapshot, image, include) for image in lists))


def find_list(snapshot: Snapshot, name: str, view: QueryContext) -> Image:
    """One list by any of its names.

    Raises:
        ManifestListUnknown: nothing has the name.
        NotAManifestList: it refers to an ordinary image.
        ImageDamaged: its manifest cannot be read.
        AmbiguousName, InvalidName: see ``resolving.find``.
    """
    try:
        return find(snapshot, name, manifest=True, or_list=True, view=view).image
    except ImageUnknown as error:
        raise ManifestListUnknown(error.message, error.data) from None


def details(snapshot: Snapshot, image: Image) -> ManifestDetails:
    """A list, with the exact JSON of its manifest.

    Raises:
        ImageDamaged: its manifest cannot be decoded.
    """
    return ManifestDetails(manifest=summary(snapshot, image, ("instances", "annotations")), raw=_raw(image))


def exists(snapshot: Snapshot, name: str, view: QueryContext) -> Exists:
    """Whether a name refers to a list. A list that cannot be read exists.

    Raises:
        NotAManifestList: it refers to an ordinary image, which is an error in podman, too.
        AmbiguousName, InvalidName: see ``resolving.find``.
    """
    try:
        find_list(snapshot, name, view)
    except ManifestListUnknown:
        return Exists(exists=False)
    except ImageDamaged:
        return Exists(exists=True)
    return Exists(exists=True)


def referenced(snapshot: Snapshot, digest: str | None) -> ReferencedDigests:
    """The digest set, sorted; or one digest only, empty if no list names it."""
    if digest is None:
        digests = sorted(snapshot.referenced)
    else:
        digests = [Digest(digest)] if digest in snapshot.referenced else []
    return ReferencedDigests(
        digests=tuple(
            ReferencedDigest(digest=named, lists=snapshot.referenced[named], image=_local_id(snapshot, named))
            for named in digests
        )
    )


def summary(snapshot: Snapshot, image: Image, include: Collection[str]) -> ManifestListSummary:
    """One row; ``include`` takes ``instances`` and ``annotations``."""
    manifest = _facts(snapshot, image)
    instances = manifest.instances if manifest is not None else ()
    damage = image.damage
    return ManifestListSummary(
        id=image.id,
        names=image.names,
        digest=image.digest,
        media_type=manifest.media_type if manifest is not None else None,
        created=cast("Timestamp", image.record.created),
        read_only=image.read_only,
        instance_count=len(instances),
        instances=tuple(_instance(snapshot, entry) for entry in instances) if "instances" in include else None,
        annotations=(manifest.annotations if manifest is not None else {}) if "annotations" in include else None,
        damage=Damage(name=damage.name, detail=damage.detail) if damage is not None else None,
    )


def _was_list(snapshot: Snapshot, image: Image) -> bool:
    """Whether its manifest is not available, and it was a list before or has what only lists have."""
    content = image.content
    return content.manifest is None and (
        image.id in snapshot.last_lists
        or (content.unreadable_evidence and "instances.json" in (image.record.big_data_names or ()))
    )


def _facts(snapshot: Snapshot, image: Image) -> ManifestFacts | None:
    return image.content.manifest if image.is_list else snapshot.last_lists.get(image.id)


def _raw(image: Image) -> JSON:
    raw = image.content.manifest.raw if image.content.manifest is not None else None
    try:
        return _decode(raw or b"")
    except ValueError as error:
        raise ImageDamaged(f"the manifest of {image.id[:12]} cannot be decoded: {error}", id=image.id) from None


def _local_id(snapshot: Snapshot, digest: Digest) -> str | None:
    image = local_instance(snapshot, digest)
    return image.id if image is not None else None


def _instance(snapshot: Snapshot, entry: InstanceFacts) -> Instance:
    platform = entry.platform
    return Instance(
        digest=entry.digest,
        size=entry.size,
        media_type=entry.media_type,
        artifact_type=entry.artifact_type,
        platform=Platform(
            architecture=platform.architecture,
            os=platform.os,
            variant=platform.variant,
            os_version=platform.os_version,
            os_features=platform.os_features,
            features=platform.features,
        )
        if platform is not None
        else None,
        annotations=entry.annotations,
        image=_local_id(snapshot, entry.digest),
    )
