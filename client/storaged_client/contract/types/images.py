"""Results of ``images.*`` that change nothing."""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import frozen

from ..value import Timestamp, Value
from .base import JSON, Damage, ErrorObject, Listing, Result


@frozen(kw_only=True, eq=False, repr=False)
class ImageSummary(Value):
    """One image or manifest list in a listing."""

    id: str
    digest: str | None
    digests: tuple[str, ...]
    names: tuple[str, ...]
    names_history: tuple[str, ...]
    created: Timestamp
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


@frozen(kw_only=True, eq=False, repr=False)
class ImageList(Result, Listing[ImageSummary]):
    """``images.list``. With ``fields``, the other members are absent on the wire."""

    rows_of: ClassVar = "images"

    images: tuple[ImageSummary, ...] = ()
    next_cursor: str | None = None
    sizes_pending: int = 0


@frozen(kw_only=True, eq=False, repr=False)
class HistoryEntry(Value):
    """One entry of a configuration's own history, in the order of the configuration."""

    created: Timestamp | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class BigData(Value):
    """One item of an image's big data: its key, size and digest in the record."""

    key: str
    size: int | None
    digest: str | None


@frozen(kw_only=True, eq=False, repr=False)
class ImageDetails(Value):
    """Everything the store knows of one image."""

    summary: ImageSummary
    top_layer: str | None
    layers: tuple[str, ...]
    """Layer ids, base first."""
    diff_ids: tuple[str, ...]
    created: Timestamp | None
    """The time in the configuration, None if it has none; the record's if there is no configuration."""
    rootfs_type: str | None
    """``rootfs.type`` of the configuration, empty if it has none; None if there is no configuration."""
    absent: tuple[str, ...]
    """Which of ``history`` and ``diff_ids`` are missing or null in the configuration, rather than empty."""
    config: JSON
    """The ``config`` member of the configuration blob, unchanged."""
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


@frozen(kw_only=True, eq=False, repr=False)
class ImageLookup(Value):
    """One name of ``images.get``: the image, or the error."""

    name: str
    image: ImageDetails | None = None
    digest: str | None = None
    """The digest that the name refers to: the one in it, that of the image's own manifest, or, for an id, the record's,
    which is the list's if the image was pulled through one."""
    error: ErrorObject | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ImageDetailsList(Result, Listing[ImageLookup]):
    """``images.get``: one entry per name, in the order of the request."""

    rows_of: ClassVar = "images"

    images: tuple[ImageLookup, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Exists(Result):
    """``images.exists``, ``manifests.exists``."""

    exists: bool

    def __bool__(self) -> bool:
        return self.exists


@frozen(kw_only=True, eq=False, repr=False)
class Resolved(Result):
    """``images.resolve``: the image that a name refers to, and the rule that applied."""

    id: str
    name: str
    how: Literal["name", "digest", "id", "id_prefix", "short_name"]


@frozen(kw_only=True, eq=False, repr=False)
class Relations(Result):
    """``images.relations``: ids of an image's relatives by podman's parent rule."""

    id: str
    parent: str | None
    children: tuple[str, ...]
    ancestors: tuple[str, ...]
    siblings: tuple[str, ...]


ReasonCode = Literal[
    "named", "child", "manifest_list", "container", "lease", "read_only", "unreadable_evidence", "filtered"
]
"""``filtered`` occurs only in reports of a prune: a filter of the user does not select the image."""


@frozen(kw_only=True, eq=False, repr=False)
class Reason(Value):
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


@frozen(kw_only=True, eq=False, repr=False)
class Why(Result):
    """``images.why``."""

    id: str
    dangling: bool
    intermediate: bool
    prunable: bool
    removable: bool
    reasons: tuple[Reason, ...]


@frozen(kw_only=True, eq=False, repr=False)
class Data(Result):
    """``images.data``: one item of big data, base64."""

    id: str
    key: str
    size: int
    digest: str | None
    data: str


@frozen(kw_only=True, eq=False, repr=False)
class HistoryRow(Value):
    """One instruction of a history. ``id`` is the image that the build had created by then, if the store has it.

    ``size`` is that of the layer the instruction created, 0 if it created none; ``None`` while unknown.
    """

    id: str | None
    created: Timestamp | None
    created_by: str | None
    size: int | None
    comment: str | None
    tags: tuple[str, ...]
    """All names of that image."""
    empty_layer: bool


@frozen(kw_only=True, eq=False, repr=False)
class ImageHistory(Result, Listing[HistoryRow]):
    """``images.history``, newest first."""

    rows_of: ClassVar = "history"

    history: tuple[HistoryRow, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class TreeImage(Value):
    id: str
    names: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class TreeLayer(Value):
    """One layer of a tree; ``images`` are those whose top layer it is. ``siblings`` counts the other layers on its
    parent, whether they are in the tree or not."""

    id: str
    parent: str | None
    siblings: int
    size: int | None
    size_pending: bool
    images: tuple[TreeImage, ...]
    containers: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class ImageTree(Result, Listing[TreeLayer]):
    """``images.tree``: the layers of an image, base first; or, with ``what_requires``, its top layer and all layers on
    top of it, parents first and each subtree in one piece."""

    rows_of: ClassVar = "layers"

    id: str
    names: tuple[str, ...]
    size: int | None
    size_pending: bool
    top_layer: str | None
    layers: tuple[TreeLayer, ...] = ()
    damage: Damage | None = None
    """What is wrong with the image, as in its summary: if a layer is lost, only the layers above it are listed."""
