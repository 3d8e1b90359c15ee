"""Results of ``manifests.*`` that change nothing."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from ..value import Timestamp, Value
from .base import JSON, Damage, Listing, Result


@frozen(kw_only=True, eq=False, repr=False)
class Platform(Value):
    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Instance(Value):
    """One entry of a manifest list; ``image`` is the local image with that digest, if any."""

    digest: str
    size: int | None
    media_type: str | None
    artifact_type: str | None
    platform: Platform | None
    annotations: dict[str, str]
    image: str | None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestListSummary(Value):
    """One local manifest list. ``instances`` and ``annotations`` are ``None`` unless included."""

    id: str
    names: tuple[str, ...]
    digest: str | None
    media_type: str | None
    created: Timestamp
    read_only: bool
    instance_count: int
    instances: tuple[Instance, ...] | None = None
    annotations: dict[str, str] | None = None
    damage: Damage | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestLists(Result, Listing[ManifestListSummary]):
    """``manifests.list``."""

    rows_of: ClassVar = "manifests"

    manifests: tuple[ManifestListSummary, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class ManifestDetails(Result):
    """``manifests.get``: the list, and the exact JSON of its manifest."""

    manifest: ManifestListSummary
    raw: JSON


@frozen(kw_only=True, eq=False, repr=False)
class ReferencedDigest(Value):
    """A digest that at least one local list names."""

    digest: str
    lists: tuple[str, ...]
    image: str | None


@frozen(kw_only=True, eq=False, repr=False)
class ReferencedDigests(Result, Listing[ReferencedDigest]):
    """``manifests.referenced``, sorted by digest."""

    rows_of: ClassVar = "digests"

    digests: tuple[ReferencedDigest, ...] = ()
