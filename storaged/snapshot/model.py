"""The snapshot: one consistent state of the store, with all relations computed.

Everything here is immutable once built, needs no file to answer, and knows no clock. A snapshot is
replaced by one assignment; a request keeps the one it started with.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

from attrs import field, frozen
from msgspec import Struct

from storaged.snapshot.sizes import KnownSizes, Uses
from storaged.snapshot.tree import Chain, Damage, LayerTree, StoreFlaw
from storaged.store.layout.contents import ImageContent, ManifestFacts
from storaged.store.layout.records import (
    ContainerID,
    ContainerRecord,
    Digest,
    ImageID,
    ImageRecord,
    LayerID,
    LayerRecord,
)


@frozen(kw_only=True)
class Image:
    """One image record of one store, with its content and its relations.

    ``parent`` and ``children`` follow podman's rule for configurations (libimage), ``in_lists`` has the ids of lists
    that name any of ``digests``, each once, in store order.
    """

    record: ImageRecord
    store: int
    content: ImageContent
    digests: tuple[Digest, ...]
    digest: Digest | None
    """The record's; for a manifest list, that of its current bytes."""
    parent: ImageID | None
    children: tuple[ImageID, ...]
    possible_children: tuple[ImageID, ...]
    """Images that may have been built on it, but whose configurations cannot be trusted. While there is one, the image
    is not dangling. Empty if its own configuration cannot be trusted either."""
    containers: tuple[ContainerID, ...]
    in_lists: tuple[ImageID, ...]
    chain: Chain | None = field(eq=False, repr=False)
    """From the top layer down, as far as it is known; None without a top layer, or if it is lost."""
    size: int | None
    unique_size: int | None
    size_pending: bool
    """Whether ``size`` is unknown only until a layer is measured."""
    dangling: bool
    damage: Damage | None

    @property
    def id(self) -> ImageID:
        return self.record.id

    @property
    def names(self) -> tuple[str, ...]:
        return self.record.names or ()

    @property
    def read_only(self) -> bool:
        return self.store > 0

    @property
    def is_list(self) -> bool:
        return self.content.manifest is not None and self.content.manifest.is_list

    @property
    def layers(self) -> tuple[LayerID, ...]:
        """The chain, base first, as far as it is known; ``damage`` tells where it is broken."""
        found: list[LayerID] = []
        node = self.chain
        while node is not None:
            found.append(node.layer)
            node = node.below
        return tuple(reversed(found))

    @property
    def intermediate(self) -> bool:
        """Untagged with at least one child; membership in lists does not matter."""
        return not self.names and bool(self.children)


class Layer(Struct, frozen=True, gc=False, kw_only=True):
    """One layer record. A snapshot has no incomplete layers."""

    record: LayerRecord
    store: int
    volatile: bool
    children: tuple[LayerID, ...]
    images: tuple[ImageID, ...]
    """Images with this top layer, in store order."""
    containers: tuple[ContainerID, ...]
    depth: int
    size: int | None
    """Bytes of the uncompressed tar, or of the files if the record does not tell; None while unknown."""
    size_pending: bool
    size_reason: str | None
    """Why the size cannot be known."""
    damage: Damage | None

    @property
    def id(self) -> LayerID:
        return self.record.id


@frozen(kw_only=True)
class Container:
    record: ContainerRecord
    store: int
    volatile: bool
    owner: str
    """``podman``, ``buildah``, ``cri-o`` or ``unknown``: a guess from what the tools leave in the record."""

    @property
    def id(self) -> ContainerID:
        return self.record.id


@frozen(kw_only=True)
class Evidence:
    """Unreadable evidence: something that may be a manifest list but cannot be read.

    While there is any, no image counts as dangling. ``file`` is missing or wrong, ``command`` removes the record; it is
    empty if no tool can.
    """

    image: ImageID | None
    names: tuple[str, ...]
    detail: str
    file: str
    command: str


@frozen(kw_only=True)
class Snapshot:
    """The whole store at one generation. Tuples are in the order of the store."""

    generation: str
    proven: bool
    """False for a state that was read while a writer was at work: nothing in it counts as dangling."""
    images: tuple[Image, ...]
    """All images except incomplete ones."""
    half_made: tuple[ImageID, ...]
    half_made_names: Mapping[str, ImageRecord]
    """Names that incomplete images of the writable store have already: no look-up finds them."""
    half_made_layers: frozenset[LayerID]
    """Top layers of incomplete images and their mapped copies: another tool is about to need them."""
    layers: tuple[Layer, ...]
    containers: tuple[Container, ...]
    lists: tuple[Image, ...]
    evidence: tuple[Evidence, ...]
    flaws: tuple[StoreFlaw, ...]

    by_id: Mapping[ImageID, Image]
    """The writable store's image hides a read-only one of the same id."""
    by_name: Mapping[str, Image]
    """Exact stored names; the writable store first, the later record wins within a store."""
    by_digest: Mapping[Digest, tuple[Image, ...]]
    """By every digest of an image, in store order."""
    sorted_ids: tuple[tuple[ImageID, ...], ...]
    """One tuple for each store, for prefix look-ups by bisection; without hidden read-only ids."""
    by_suffix: Mapping[str, tuple[str, Image]]
    """Every tagged tail of a name (``c:t``, ``b/c:t``, ``a/b/c:t``) to the first (stored name, image) that has it."""
    layer_by_id: Mapping[LayerID, Layer]
    container_by_id: Mapping[ContainerID, Container]
    referenced: Mapping[Digest, tuple[ImageID, ...]]
    """Digest to all local lists that name it directly."""
    last_lists: Mapping[ImageID, ManifestFacts]
    """The last readable content of every recorded list; it still protects when the list becomes unreadable."""

    known_sizes: KnownSizes = field(repr=False)
    """The measured sizes that were used besides the records."""
    forest: LayerTree = field(eq=False, repr=False)
    """The layer forest; the next snapshot takes it over if no layer has changed."""
    uses: Uses = field(eq=False, repr=False)
    """Users of layers, and sizes of big data; if these are equal, the next snapshot takes over layers and sizes."""

    @cached_property
    def listed(self) -> tuple[Image, ...]:
        """All images except intermediate ones, which a listing shows only on request."""
        return tuple([image for image in self.images if not image.intermediate])

    @cached_property
    def unsized(self) -> tuple[int, int]:
        """How many layers have a size that is still to be measured, and how many one that cannot be. Counted once."""
        pending = sum(layer.size_pending for layer in self.layers)
        return pending, sum(layer.size_reason is not None for layer in self.layers)
