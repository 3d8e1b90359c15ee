"""The records of the store's tables, with the members that storaged reads.

Unknown members are ignored here. :mod:`storaged.store.layout.table` keeps them, because it holds each record's bytes.
Go writes ``null`` for an empty list and omits empty values, hence the ``None`` defaults. Times stay strings, because no
codec keeps nanoseconds.

Source of the names: containers/storage ``images.go``, ``layers.go``, ``containers.go`` (struct tags), unchanged from
1.43 to 1.63.
"""

from __future__ import annotations

import hashlib
from typing import NewType

from msgspec import Struct

ImageID = NewType("ImageID", str)
LayerID = NewType("LayerID", str)
ContainerID = NewType("ContainerID", str)
Digest = NewType("Digest", str)

UNKNOWN_TIME = "0001-01-01T00:00:00Z"
"""The time that Go decodes if the member is missing."""


def digest_of(data: bytes) -> Digest:
    """The sha256 digest of these bytes, which every writer of the store uses."""
    return Digest(f"sha256:{hashlib.sha256(data).hexdigest()}")


class ImageRecord(Struct, frozen=True, gc=False, kw_only=True, rename="kebab"):
    """One object of ``<driver>-images/images.json``."""

    id: ImageID
    digest: Digest | None = None
    names: tuple[str, ...] | None = None
    names_history: tuple[str, ...] | None = None
    layer: LayerID | None = None
    mapped_layers: tuple[LayerID, ...] | None = None
    metadata: str | None = None
    big_data_names: tuple[str, ...] | None = None
    big_data_sizes: dict[str, int] | None = None
    big_data_digests: dict[str, Digest] | None = None
    created: str = UNKNOWN_TIME
    flags: dict[str, object] | None = None


class LayerRecord(Struct, frozen=True, gc=False, kw_only=True, rename="kebab"):
    """One object of ``<driver>-layers/layers.json`` or ``volatile-layers.json``."""

    id: LayerID
    names: tuple[str, ...] | None = None
    parent: LayerID | None = None
    created: str = UNKNOWN_TIME
    compressed_diff_digest: Digest | None = None
    compressed_size: int | None = None
    diff_digest: Digest | None = None
    diff_size: int | None = None
    toc_digest: Digest | None = None
    flags: dict[str, object] | None = None

    @property
    def incomplete(self) -> bool:
        """Whether the layer is being created or deleted. Only boolean true counts, as upstream reads it."""
        return self.flags is not None and self.flags.get("incomplete") is True


class ContainerRecord(Struct, frozen=True, gc=False, kw_only=True, rename="kebab"):
    """One object of ``<driver>-containers/containers.json`` or ``volatile-containers.json``."""

    id: ContainerID
    names: tuple[str, ...] | None = None
    image: ImageID | None = None
    layer: LayerID | None = None
    metadata: str | None = None
    big_data_names: tuple[str, ...] | None = None
    big_data_sizes: dict[str, int] | None = None
    created: str = UNKNOWN_TIME
    flags: dict[str, object] | None = None
