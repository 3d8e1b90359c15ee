"""The results of the protocol as plain dictionaries, for type checkers only: there is no such module to run.

Made by docs/from_code/plain.py of the classes in ``contract/types``, which say what the members mean: change those. A
daemon of an earlier version may leave out a member that is not required.
"""

from typing import Any, Literal, NotRequired, Protocol, TypedDict, overload

class Holder(TypedDict):
    pid: NotRequired[int | None]
    command: NotRequired[str | None]
    mode: NotRequired[Literal["read", "write"] | None]

class Stale(TypedDict):
    age_ms: int
    reason: Literal["locked", "unreadable", "incomplete"]
    lock: NotRequired[str | None]
    holder: NotRequired[Holder | None]
    file: NotRequired[str | None]

class Result(TypedDict):
    generation: NotRequired[str]
    stale: NotRequired[Stale | None]

class Flaw(TypedDict):
    name: str
    detail: str
    image: NotRequired[str | None]
    file: NotRequired[str | None]
    command: NotRequired[str | None]

class ServerInfo(Result):
    version: str
    protocol: str
    pid: int
    backend: str
    socket: str
    api_sockets: NotRequired[list[str]]
    podman_socket: NotRequired[str | None]
    graphroot: str
    runroot: str
    driver: str
    additional_stores: list[str]
    limits: dict[str, int]
    config_fingerprint: str
    config_file: str | None
    started: str
    writable: bool
    writable_reason: str | None
    read_only: NotRequired[bool]
    compat: NotRequired[Literal["none", "podman"]]
    settings_file: NotRequired[str | None]
    started_by: NotRequired[Literal["systemd", "client", "other"]]
    freshness: Literal["locks", "file system"]
    images: int
    manifest_lists: int
    layers: int
    containers: int
    half_made: list[str]
    unreadable_evidence: list[Flaw]
    flaws: list[Flaw]

class Empty(Result):
    ...

class Histogram(TypedDict):
    count: NotRequired[int]
    seconds: NotRequired[float]
    buckets: NotRequired[list[int]]

class MethodStats(TypedDict):
    errors: NotRequired[int]
    duration: NotRequired[Histogram]

class LockStats(TypedDict):
    wait: NotRequired[Histogram]
    hold: NotRequired[Histogram]

class ServerStats(Result):
    version: NotRequired[str]
    bounds: NotRequired[list[float]]
    methods: NotRequired[dict[str, MethodStats]]
    routes: NotRequired[dict[str, MethodStats]]
    errors: NotRequired[dict[str, int]]
    reloads: NotRequired[Histogram]
    changes: NotRequired[Histogram]
    locks: NotRequired[dict[str, LockStats]]
    limits_reached: NotRequired[dict[str, int]]
    counters: dict[str, int]
    seconds: dict[str, float]
    gauges: dict[str, float]

class Damage(TypedDict):
    name: str
    detail: str

class ImageSummary(TypedDict):
    id: str
    digest: str | None
    digests: list[str]
    names: list[str]
    names_history: list[str]
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
    in_lists: list[str]
    damage: Damage | None

class ImageList(Result):
    images: NotRequired[list[ImageSummary]]
    next_cursor: NotRequired[str | None]
    sizes_pending: NotRequired[int]

class HistoryEntry(TypedDict):
    created: NotRequired[str | None]
    created_by: NotRequired[str | None]
    author: NotRequired[str | None]
    comment: NotRequired[str | None]
    empty_layer: NotRequired[bool]

class BigData(TypedDict):
    key: str
    size: int | None
    digest: str | None

class ImageDetails(TypedDict):
    summary: ImageSummary
    top_layer: str | None
    layers: list[str]
    diff_ids: list[str]
    created: str | None
    rootfs_type: str | None
    absent: list[str]
    config: Any
    healthcheck: Any
    history: list[HistoryEntry]
    author: str | None
    comment: str | None
    docker_version: str | None
    config_media_type: str | None
    manifest_type: str | None
    annotations: dict[str, str]
    big_data: list[BigData]
    driver: str
    driver_data: dict[str, str]

class ErrorObject(TypedDict):
    code: int
    message: str
    data: NotRequired[dict[str, Any]]

class ImageLookup(TypedDict):
    name: str
    image: NotRequired[ImageDetails | None]
    digest: NotRequired[str | None]
    error: NotRequired[ErrorObject | None]

class ImageDetailsList(Result):
    images: NotRequired[list[ImageLookup]]

class Exists(Result):
    exists: bool

class Resolved(Result):
    id: str
    name: str
    how: Literal["name", "digest", "id", "id_prefix", "short_name"]

class Reason(TypedDict):
    code: Literal["named", "child", "manifest_list", "container", "lease", "read_only", "unreadable_evidence", "filtered"]
    detail: str
    name: NotRequired[str | None]
    image: NotRequired[str | None]
    list: NotRequired[str | None]
    list_names: NotRequired[list[str]]
    digest: NotRequired[str | None]
    container: NotRequired[str | None]
    owner: NotRequired[str | None]
    file: NotRequired[str | None]
    command: NotRequired[str | None]

class Why(Result):
    id: str
    dangling: bool
    intermediate: bool
    prunable: bool
    removable: bool
    reasons: list[Reason]

class Relations(Result):
    id: str
    parent: str | None
    children: list[str]
    ancestors: list[str]
    siblings: list[str]

class HistoryRow(TypedDict):
    id: str | None
    created: str | None
    created_by: str | None
    size: int | None
    comment: str | None
    tags: list[str]
    empty_layer: bool

class ImageHistory(Result):
    history: NotRequired[list[HistoryRow]]

class TreeImage(TypedDict):
    id: str
    names: list[str]

class TreeLayer(TypedDict):
    id: str
    parent: str | None
    siblings: int
    size: int | None
    size_pending: bool
    images: list[TreeImage]
    containers: list[str]

class ImageTree(Result):
    id: str
    names: list[str]
    size: int | None
    size_pending: bool
    top_layer: str | None
    layers: NotRequired[list[TreeLayer]]
    damage: NotRequired[Damage | None]

class Data(Result):
    id: str
    key: str
    size: int
    digest: str | None
    data: str

class Moved(TypedDict):
    name: str
    image: str

class Created(Result):
    ids: list[str]
    names: list[str]
    moved_from: NotRequired[list[Moved]]

class Tagged(Result):
    id: str
    names: list[str]
    changed: bool
    moved_from: NotRequired[list[Moved]]

class Going(TypedDict):
    code: Literal["dangling", "unused", "ancestor", "requested"]
    detail: str
    image: NotRequired[str | None]

class Removed(TypedDict):
    id: str
    names: list[str]
    freed: int | None
    reasons: list[Going]
    containers: NotRequired[list[str]]

class Untagged(TypedDict):
    id: str
    name: str

class Kept(TypedDict):
    id: str
    names: list[str]
    reasons: list[Reason]

class Failed(TypedDict):
    id: str | None
    name: str | None
    error: ErrorObject

class PruneReport(Result):
    removed: NotRequired[list[Removed]]
    untagged: NotRequired[list[Untagged]]
    kept: NotRequired[list[Kept]]
    failed: NotRequired[list[Failed]]
    freed: NotRequired[int | None]
    changed: NotRequired[list[Kept]]
    plan: NotRequired[str | None]
    unfinished: NotRequired[str | None]

class LayerSummary(TypedDict):
    id: str
    parent: str | None
    names: list[str]
    created: str
    diff_digest: str | None
    compressed_digest: str | None
    toc_digest: str | None
    size: int | None
    compressed_size: int | None
    images: list[str]
    containers: list[str]
    children: int
    depth: int
    read_only: bool
    damage: Damage | None
    size_reason: NotRequired[str | None]

class LayerList(Result):
    layers: NotRequired[list[LayerSummary]]
    next_cursor: NotRequired[str | None]

class LayerDetails(Result):
    layer: LayerSummary
    chain: list[str]
    child_layers: list[str]

class Platform(TypedDict):
    architecture: NotRequired[str | None]
    os: NotRequired[str | None]
    variant: NotRequired[str | None]
    os_version: NotRequired[str | None]
    os_features: NotRequired[list[str]]
    features: NotRequired[list[str]]

class Instance(TypedDict):
    digest: str
    size: int | None
    media_type: str | None
    artifact_type: str | None
    platform: Platform | None
    annotations: dict[str, str]
    image: str | None

class ManifestListSummary(TypedDict):
    id: str
    names: list[str]
    digest: str | None
    media_type: str | None
    created: str
    read_only: bool
    instance_count: int
    instances: NotRequired[list[Instance] | None]
    annotations: NotRequired[dict[str, str] | None]
    damage: NotRequired[Damage | None]

class ManifestLists(Result):
    manifests: NotRequired[list[ManifestListSummary]]

class ManifestDetails(Result):
    manifest: ManifestListSummary
    raw: Any

class ReferencedDigest(TypedDict):
    digest: str
    lists: list[str]
    image: str | None

class ReferencedDigests(Result):
    digests: NotRequired[list[ReferencedDigest]]

class ListEdited(Result):
    id: str
    names: list[str]
    digest: str
    instances: NotRequired[list[str]]
    changed: NotRequired[bool]

class ContainerSummary(TypedDict):
    id: str
    names: list[str]
    image: str | None
    layer: str | None
    created: str
    owner: Literal["podman", "buildah", "cri-o", "unknown"]
    volatile: bool

class ContainerList(Result):
    containers: NotRequired[list[ContainerSummary]]

class Finding(TypedDict):
    name: str
    severity: Literal["fatal", "damage", "warning", "debris"]
    kind: Literal["store", "table", "image", "layer", "container", "file"]
    id: str
    store: int
    file: str | None
    detail: str
    endangers: str
    images: list[str]
    mend: str | None

class CheckReport(Result):
    findings: NotRequired[list[Finding]]
    done: int
    total: int
    resume: NotRequired[str | None]
    unsettled: NotRequired[list[str]]
    notes: NotRequired[list[str]]
    age: NotRequired[float]
    begun: NotRequired[float]

class ImageUsage(TypedDict):
    id: str
    names: list[str]
    created: str
    read_only: bool
    size: int | None
    shared: int | None
    unique: int | None
    freed: int | None
    containers: int

class ContainerUsage(TypedDict):
    id: str
    names: list[str]
    image: str | None
    created: str
    owner: Literal["podman", "buildah", "cri-o", "unknown"]
    size: int | None
    size_pending: bool
    size_reason: str | None

class VolumeUsage(TypedDict):
    name: str
    size: int | None

class StoreUsage(Result):
    images_size: int | None
    images_reclaimable: int | None
    images: list[ImageUsage]
    containers_size: int | None
    containers: list[ContainerUsage]
    volumes_size: int | None
    volumes: list[VolumeUsage] | None
    sizes_pending: int

class Lease(Result):
    lease: str
    images: list[str]
    expires: str

class Caller(Protocol):
    """Calls a method of the daemon. The type of what it returns is that of the method's result."""

    @overload
    def __call__(self, method: Literal["server.info"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ServerInfo: ...
    @overload
    def __call__(self, method: Literal["server.ping"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Empty: ...
    @overload
    def __call__(self, method: Literal["server.stats"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ServerStats: ...
    @overload
    def __call__(self, method: Literal["server.shutdown"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Empty: ...
    @overload
    def __call__(self, method: Literal["images.list"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ImageList: ...
    @overload
    def __call__(self, method: Literal["images.get"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ImageDetailsList: ...
    @overload
    def __call__(self, method: Literal["images.exists"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Exists: ...
    @overload
    def __call__(self, method: Literal["images.resolve"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Resolved: ...
    @overload
    def __call__(self, method: Literal["images.why"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Why: ...
    @overload
    def __call__(self, method: Literal["images.relations"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Relations: ...
    @overload
    def __call__(self, method: Literal["images.history"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ImageHistory: ...
    @overload
    def __call__(self, method: Literal["images.tree"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ImageTree: ...
    @overload
    def __call__(self, method: Literal["images.data"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Data: ...
    @overload
    def __call__(self, method: Literal["images.create"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Created: ...
    @overload
    def __call__(self, method: Literal["images.tag"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Tagged: ...
    @overload
    def __call__(self, method: Literal["images.untag"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Tagged: ...
    @overload
    def __call__(self, method: Literal["images.remove"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> PruneReport: ...
    @overload
    def __call__(self, method: Literal["images.prune"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> PruneReport: ...
    @overload
    def __call__(self, method: Literal["layers.list"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> LayerList: ...
    @overload
    def __call__(self, method: Literal["layers.get"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> LayerDetails: ...
    @overload
    def __call__(self, method: Literal["layers.tree"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> LayerList: ...
    @overload
    def __call__(self, method: Literal["manifests.list"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ManifestLists: ...
    @overload
    def __call__(self, method: Literal["manifests.get"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ManifestDetails: ...
    @overload
    def __call__(self, method: Literal["manifests.exists"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Exists: ...
    @overload
    def __call__(self, method: Literal["manifests.referenced"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ReferencedDigests: ...
    @overload
    def __call__(self, method: Literal["manifests.create"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ListEdited: ...
    @overload
    def __call__(self, method: Literal["manifests.add"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ListEdited: ...
    @overload
    def __call__(self, method: Literal["manifests.annotate"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ListEdited: ...
    @overload
    def __call__(self, method: Literal["manifests.remove_instance"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ListEdited: ...
    @overload
    def __call__(self, method: Literal["manifests.remove"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> PruneReport: ...
    @overload
    def __call__(self, method: Literal["containers.list"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> ContainerList: ...
    @overload
    def __call__(self, method: Literal["store.check"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> CheckReport: ...
    @overload
    def __call__(self, method: Literal["store.usage"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> StoreUsage: ...
    @overload
    def __call__(self, method: Literal["store.refresh"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Empty: ...
    @overload
    def __call__(self, method: Literal["store.lease"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Lease: ...
    @overload
    def __call__(self, method: Literal["store.release"], params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Empty: ...
    @overload
    def __call__(self, method: str, params: Any = None, *, watched: bool = False, descriptors: tuple[int, ...] = ()) -> Any: ...
