"""The results of the protocol, as frozen values.

Times are RFC 3339 strings exactly as the store has them, sizes are bytes, ids are 64 hexadecimal
digits without a prefix, digests have one. ``None`` means "not known" or "not set", never zero.
A result names its ``generation``: one consistent state of the store. ``stale`` is ``None`` where the
store's files are those of that generation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

from attrs import field, frozen

JSON = Any
"""A value as JSON has it, passed through untouched."""


@frozen(kw_only=True)
class Holder:
    """Who holds a lock; a member the kernel does not tell is ``None``."""

    pid: int | None = None
    command: str | None = None
    mode: Literal["read", "write"] | None = None


@frozen(kw_only=True)
class Stale:
    """Why the answer is of an earlier state than the files on disk, and how old that state is."""

    age_ms: int
    reason: Literal["locked", "unreadable", "incomplete"]
    lock: str | None = None
    holder: Holder | None = None
    file: str | None = None


@frozen(kw_only=True)
class Damage:
    """What is wrong with one image, layer or list: a stable name and a sentence for people."""

    name: str
    detail: str


@frozen(kw_only=True)
class ErrorObject:
    """An error inside a result, of one item among many; the same form as a JSON-RPC error."""

    code: int
    message: str
    data: dict[str, JSON] = field(factory=dict)


@frozen(kw_only=True)
class Result:
    """What every result carries."""

    generation: str = ""
    stale: Stale | None = None


@frozen(kw_only=True)
class Unchanged(Result):
    """The answer where ``if_generation`` named the current generation."""

    unchanged: Literal[True] = True


# ---------------------------------------------------------------- images


@frozen(kw_only=True)
class ImageSummary:
    """One image or manifest list as a listing shows it."""

    id: str
    digest: str | None
    digests: tuple[str, ...]
    names: tuple[str, ...]
    names_history: tuple[str, ...]
    created: str
    size: int | None
    unique_size: int | None
    labels: dict[str, str] | None
    architecture: str | None
    os: str | None
    variant: str | None
    parent: str | None
    children: int
    containers: int
    read_only: bool
    manifest_list: bool
    dangling: bool
    intermediate: bool
    in_lists: tuple[str, ...]
    damage: Damage | None

    @property
    def short_id(self) -> str:
        """The first twelve digits of the id."""
        return self.id[:12]


@frozen(kw_only=True)
class ImageList(Result):
    """``images.list``. With ``fields``, the members not asked for are absent on the wire."""

    images: tuple[ImageSummary, ...] = ()
    next_cursor: str | None = None
    sizes_pending: int = 0

    def __iter__(self) -> Iterator[ImageSummary]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)


@frozen(kw_only=True)
class HistoryEntry:
    """One entry of a configuration's own history, in the order of the configuration."""

    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool = False


@frozen(kw_only=True)
class BigData:
    """One item of an image's big data: its key, size and digest as the record has them."""

    key: str
    size: int | None
    digest: str | None


@frozen(kw_only=True)
class ImageDetails:
    """Everything the store knows of one image."""

    summary: ImageSummary
    top_layer: str | None
    layers: tuple[str, ...]
    """Layer ids, base first."""
    diff_ids: tuple[str, ...]
    config: JSON
    """The ``config`` member of the configuration blob, as it is there."""
    healthcheck: JSON
    history: tuple[HistoryEntry, ...]
    author: str | None
    comment: str | None
    docker_version: str | None
    config_media_type: str | None
    manifest_type: str | None
    annotations: dict[str, str]
    big_data: tuple[BigData, ...]
    driver: str
    driver_data: dict[str, str]


@frozen(kw_only=True)
class ImageLookup:
    """One name of ``images.get``: the image, or the error."""

    name: str
    image: ImageDetails | None = None
    error: ErrorObject | None = None


@frozen(kw_only=True)
class ImageDetailsList(Result):
    """``images.get``: an entry a name, in the order asked."""

    images: tuple[ImageLookup, ...] = ()

    def __iter__(self) -> Iterator[ImageLookup]:
        return iter(self.images)

    def __len__(self) -> int:
        return len(self.images)


@frozen(kw_only=True)
class Exists(Result):
    """``images.exists``, ``manifests.exists``."""

    exists: bool

    def __bool__(self) -> bool:
        return self.exists


@frozen(kw_only=True)
class Resolved(Result):
    """``images.resolve``: the image a name means, and by which rule."""

    id: str
    name: str
    how: Literal["name", "digest", "id", "id_prefix", "short_name"]


@frozen(kw_only=True)
class Relations(Result):
    """``images.relations``: ids of an image's kin by podman's parent rule."""

    id: str
    parent: str | None
    children: tuple[str, ...]
    ancestors: tuple[str, ...]
    siblings: tuple[str, ...]


ReasonCode = Literal["named", "child", "manifest_list", "container", "lease", "read_only", "unreadable_evidence"]


@frozen(kw_only=True)
class Reason:
    """One reason that keeps an image, with its evidence; members that do not apply are ``None``."""

    code: ReasonCode
    detail: str
    name: str | None = None
    image: str | None = None
    list: str | None = None
    list_names: tuple[str, ...] = ()
    digest: str | None = None
    container: str | None = None
    owner: str | None = None
    file: str | None = None
    command: str | None = None


@frozen(kw_only=True)
class Why(Result):
    """``images.why``."""

    id: str
    dangling: bool
    intermediate: bool
    prunable: bool
    removable: bool
    reasons: tuple[Reason, ...]


@frozen(kw_only=True)
class Data(Result):
    """``images.data``: one item of big data, base64."""

    id: str
    key: str
    size: int
    digest: str | None
    data: str


@frozen(kw_only=True)
class HistoryRow:
    """One instruction of a history. ``id`` is the image that the build had made by then, where the store has it.

    ``size`` is that of the layer the instruction made, 0 where it made none; ``None`` while unknown.
    """

    id: str | None
    created: str | None
    created_by: str | None
    size: int | None
    comment: str | None
    tags: tuple[str, ...]
    """All names of that image."""
    empty_layer: bool


@frozen(kw_only=True)
class ImageHistory(Result):
    """``images.history``, newest first."""

    history: tuple[HistoryRow, ...] = ()

    def __iter__(self) -> Iterator[HistoryRow]:
        return iter(self.history)

    def __len__(self) -> int:
        return len(self.history)


@frozen(kw_only=True)
class TreeImage:
    id: str
    names: tuple[str, ...]


@frozen(kw_only=True)
class TreeLayer:
    """One layer of a tree; ``images`` are those whose top layer it is. ``siblings`` counts the other layers on its
    parent, whether they are in the tree or not."""

    id: str
    parent: str | None
    siblings: int
    size: int | None
    size_pending: bool
    images: tuple[TreeImage, ...]
    containers: tuple[str, ...]


@frozen(kw_only=True)
class ImageTree(Result):
    """``images.tree``: the layers of an image, base first; or with ``what_requires`` its top layer and all that
    stands on it, parents first and each subtree in one piece."""

    id: str
    names: tuple[str, ...]
    size: int | None
    size_pending: bool
    top_layer: str | None
    layers: tuple[TreeLayer, ...] = ()

    def __iter__(self) -> Iterator[TreeLayer]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)


# ---------------------------------------------------------------- layers


@frozen(kw_only=True)
class LayerSummary:
    """One layer. ``size`` is that of its uncompressed tar, or of its files where the record does not tell it.

    It is ``None`` while the files are measured; where they cannot be, ``size_reason`` tells why.
    """

    id: str
    parent: str | None
    names: tuple[str, ...]
    created: str
    diff_digest: str | None
    compressed_digest: str | None
    toc_digest: str | None
    size: int | None
    compressed_size: int | None
    images: tuple[str, ...]
    """Images whose top layer this is."""
    containers: tuple[str, ...]
    children: int
    depth: int
    """Layers below it; a base layer has 0."""
    read_only: bool
    damage: Damage | None
    size_reason: str | None = None


@frozen(kw_only=True)
class LayerList(Result):
    """``layers.list`` (store order) and ``layers.tree`` (parents before children)."""

    layers: tuple[LayerSummary, ...] = ()
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[LayerSummary]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)


@frozen(kw_only=True)
class LayerDetails(Result):
    """``layers.get``."""

    layer: LayerSummary
    chain: tuple[str, ...]
    """Ids from this layer to its base."""
    child_layers: tuple[str, ...]


# ---------------------------------------------------------------- manifest lists


@frozen(kw_only=True)
class Platform:
    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()
    features: tuple[str, ...] = ()


@frozen(kw_only=True)
class Instance:
    """One entry of a manifest list; ``image`` is the local image with that digest, if any."""

    digest: str
    size: int | None
    media_type: str | None
    artifact_type: str | None
    platform: Platform | None
    annotations: dict[str, str]
    image: str | None


@frozen(kw_only=True)
class ManifestListSummary:
    """One local manifest list. ``instances`` and ``annotations`` are ``None`` unless included."""

    id: str
    names: tuple[str, ...]
    digest: str | None
    media_type: str | None
    created: str
    read_only: bool
    instance_count: int
    instances: tuple[Instance, ...] | None = None
    annotations: dict[str, str] | None = None
    damage: Damage | None = None


@frozen(kw_only=True)
class ManifestLists(Result):
    """``manifests.list``."""

    manifests: tuple[ManifestListSummary, ...] = ()

    def __iter__(self) -> Iterator[ManifestListSummary]:
        return iter(self.manifests)

    def __len__(self) -> int:
        return len(self.manifests)


@frozen(kw_only=True)
class ManifestDetails(Result):
    """``manifests.get``: the list, and the very JSON of its manifest."""

    manifest: ManifestListSummary
    raw: JSON


@frozen(kw_only=True)
class ReferencedDigest:
    """A digest that at least one local list names."""

    digest: str
    lists: tuple[str, ...]
    image: str | None


@frozen(kw_only=True)
class ReferencedDigests(Result):
    """``manifests.referenced``, sorted by digest."""

    digests: tuple[ReferencedDigest, ...] = ()

    def __iter__(self) -> Iterator[ReferencedDigest]:
        return iter(self.digests)

    def __len__(self) -> int:
        return len(self.digests)


# ---------------------------------------------------------------- containers, store, server


@frozen(kw_only=True)
class ContainerSummary:
    id: str
    names: tuple[str, ...]
    image: str | None
    layer: str | None
    created: str
    owner: Literal["podman", "buildah", "cri-o", "unknown"]
    volatile: bool


@frozen(kw_only=True)
class ContainerList(Result):
    """``containers.list``: storage containers of every tool."""

    containers: tuple[ContainerSummary, ...] = ()

    def __iter__(self) -> Iterator[ContainerSummary]:
        return iter(self.containers)

    def __len__(self) -> int:
        return len(self.containers)


@frozen(kw_only=True)
class ImageUsage:
    """The room one image takes, in bytes; ``None`` while unknown.

    ``shared`` and ``unique`` divide ``size`` by whether another image has the layer, too. ``freed`` is what removing
    this image gives back.
    """

    id: str
    names: tuple[str, ...]
    created: str
    read_only: bool
    size: int | None
    shared: int | None
    unique: int | None
    freed: int | None
    containers: int


@frozen(kw_only=True)
class ContainerUsage:
    """The room that the container's own layer takes, measured lately."""

    id: str
    names: tuple[str, ...]
    image: str | None
    created: str
    owner: Literal["podman", "buildah", "cri-o", "unknown"]
    size: int | None
    size_pending: bool
    size_reason: str | None


@frozen(kw_only=True)
class VolumeUsage:
    name: str
    size: int | None


@frozen(kw_only=True)
class StoreUsage(Result):
    """``store.usage``. A sum is ``None`` while one of its parts is unknown; ``sizes_pending`` counts the layers
    that are still to be measured."""

    images_size: int | None
    """Every layer of the store once, and all big data."""
    images_reclaimable: int | None
    """All of that but what only images with containers need."""
    images: tuple[ImageUsage, ...]
    containers_size: int | None
    containers: tuple[ContainerUsage, ...]
    volumes_size: int | None
    volumes: tuple[VolumeUsage, ...] | None
    """Local volumes below the graphroot; ``None`` where their folder is not there or must not be read."""
    sizes_pending: int


@frozen(kw_only=True)
class Flaw:
    """Something wrong in the store, where it lies and what mends it."""

    name: str
    detail: str
    image: str | None = None
    file: str | None = None
    command: str | None = None


@frozen(kw_only=True)
class Finding:
    """One thing that ``store.check`` found. ``id`` is a record's id, or a path for tables and files."""

    name: str
    severity: Literal["fatal", "damage", "warning", "debris"]
    kind: Literal["store", "table", "image", "layer", "container", "file"]
    id: str
    store: int
    """0 is the writable store, others count the additional ones."""
    file: str | None
    detail: str
    endangers: str
    images: tuple[str, ...]
    """Images that need the subject, at most 32."""
    mend: str | None
    """What mends it without losing data."""


@frozen(kw_only=True)
class CheckReport(Result):
    """``store.check``: a slice of it where ``resume`` is not ``None``. ``done`` and ``total`` count units."""

    findings: tuple[Finding, ...] = ()
    done: int
    total: int
    resume: str | None = None
    unsettled: tuple[str, ...] = ()
    """What could not be judged: a writer was at work through every look, or it may not be read."""

    def __iter__(self) -> Iterator[Finding]:
        return iter(self.findings)

    def __len__(self) -> int:
        return len(self.findings)


@frozen(kw_only=True)
class ServerInfo(Result):
    """``server.info``."""

    version: str
    protocol: str
    pid: int
    backend: str
    socket: str
    graphroot: str
    runroot: str
    driver: str
    additional_stores: tuple[str, ...]
    limits: dict[str, int]
    config_fingerprint: str
    config_file: str | None
    started: str
    writable: bool
    writable_reason: str | None
    freshness: Literal["locks", "file system"]
    images: int
    manifest_lists: int
    layers: int
    containers: int
    half_made: tuple[str, ...]
    """Ids of image records that do not name a manifest yet; hidden from every listing."""
    unreadable_evidence: tuple[Flaw, ...]
    flaws: tuple[Flaw, ...]


@frozen(kw_only=True)
class Empty(Result):
    """A result that says nothing but its generation."""


@frozen(kw_only=True)
class ServerStats(Result):
    """``server.stats``: counters since the daemon started; times in seconds."""

    counters: dict[str, int]
    seconds: dict[str, float]
    gauges: dict[str, float]
