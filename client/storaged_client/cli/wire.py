"""The results of the protocol as plain dictionaries, for the type checker only.

The commands read the wire's own dictionaries: the attrs types of the contract take longer to import than a
request takes. Members and meanings are those of ``contract.types``.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Damage(TypedDict):
    name: str
    detail: str


class Image(TypedDict):
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


class History(TypedDict):
    created: str | None
    created_by: str | None
    author: str | None
    comment: str | None
    empty_layer: bool


class Details(TypedDict):
    summary: Image
    top_layer: str | None
    layers: list[str]
    diff_ids: list[str]
    created: str | None
    rootfs_type: str | None
    absent: list[str]
    config: dict[str, Any] | None
    healthcheck: Any
    history: list[History]
    author: str | None
    comment: str | None
    docker_version: str | None
    config_media_type: str | None
    manifest_type: str | None
    annotations: dict[str, str]
    driver: str
    driver_data: dict[str, str]


class Error(TypedDict):
    code: int
    message: str
    data: dict[str, Any]


class Lookup(TypedDict):
    name: str
    image: Details | None
    digest: str | None
    error: Error | None


class Reason(TypedDict):
    code: str
    detail: str
    name: str | None
    image: str | None
    list: str | None
    list_names: list[str]
    digest: str | None
    container: str | None
    owner: str | None
    file: str | None
    command: str | None


class Why(TypedDict):
    id: str
    dangling: bool
    intermediate: bool
    prunable: bool
    removable: bool
    reasons: list[Reason]


class Layer(TypedDict):
    id: str
    parent: str | None
    names: list[str]
    created: str
    diff_digest: str | None
    size: int | None
    images: list[str]
    containers: list[str]
    children: int
    depth: int
    read_only: bool
    damage: Damage | None


class HistoryRow(TypedDict):
    id: str | None
    created: str | None
    created_by: str | None
    size: int | None
    comment: str | None
    tags: list[str]
    empty_layer: bool


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


class Tree(TypedDict):
    id: str
    names: list[str]
    size: int | None
    size_pending: bool
    top_layer: str | None
    layers: list[TreeLayer]
    damage: Damage | None


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
    owner: str
    size: int | None
    size_pending: bool
    size_reason: str | None


class VolumeUsage(TypedDict):
    name: str
    size: int | None


class Usage(TypedDict):
    images_size: int | None
    images_reclaimable: int | None
    images: list[ImageUsage]
    containers_size: int | None
    containers: list[ContainerUsage]
    volumes_size: int | None
    volumes: list[VolumeUsage] | None
    sizes_pending: int


class Platform(TypedDict):
    architecture: str | None
    os: str | None
    variant: str | None


class Instance(TypedDict):
    digest: str
    platform: Platform | None
    image: str | None


class ManifestList(TypedDict):
    id: str
    names: list[str]
    digest: str | None
    media_type: str | None
    created: str
    read_only: bool
    instance_count: int
    instances: list[Instance] | None
    annotations: dict[str, str] | None
    damage: Damage | None


class Container(TypedDict):
    id: str
    names: list[str]
    image: str | None
    layer: str | None
    created: str
    owner: str
    volatile: bool


class Finding(TypedDict):
    name: str
    severity: str
    kind: str
    id: str
    store: int
    file: str | None
    detail: str
    endangers: str
    images: list[str]
    mend: str | None


class Flaw(TypedDict):
    name: str
    detail: str
    image: str | None
    file: str | None
    command: str | None


class Info(TypedDict):
    version: str
    protocol: str
    pid: int
    backend: str
    socket: str
    graphroot: str
    runroot: str
    driver: str
    additional_stores: list[str]
    config_file: str | None
    started: str
    writable: bool
    writable_reason: str | None
    read_only: NotRequired[bool]
    compat: NotRequired[str]
    settings_file: NotRequired[str | None]
    started_by: NotRequired[str]
    freshness: str
    images: int
    manifest_lists: int
    layers: int
    containers: int
    half_made: list[str]
    unreadable_evidence: list[Flaw]
    flaws: list[Flaw]
    stale: dict[str, Any] | None
