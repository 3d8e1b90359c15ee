"""The parameters of each method: one frozen class per method, members in positional order.

All methods share five more parameters, by name only: see ``Common``. A member without a default is required; an unknown
one is refused. The signatures of the Python clients are made from these classes: see ``calls``.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

from attrs import frozen

from .value import Value

Filter: TypeAlias = Any
"""``{"key", "value", "negate"}`` or podman's ``key=value`` / ``key!=value``."""
Config: TypeAlias = Any
"""An OCI image configuration: an object, or its text."""
Consistency: TypeAlias = Literal["fresh", "strict", "cached"]
Sort: TypeAlias = Literal["store", "created", "id", "repository", "size", "tag"]
Part: TypeAlias = Literal["instances", "annotations"]
Scope: TypeAlias = Literal["records", "files", "contents"]


@frozen(kw_only=True, eq=False, repr=False)
class StatedStore(Value):
    """The store a client means, paths with their symbolic links resolved. A member that is null is not compared."""

    graphroot: str
    runroot: str | None = None
    driver: str | None = None
    additional_stores: tuple[str, ...] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Common(Value):
    """What every request may have besides its own parameters.

    ``timeout`` is in seconds and limits a ``strict`` read. If ``if_generation`` equals the current generation, the
    answer is ``{"unchanged": true}``. A daemon of another store than ``store`` answers WrongStore.
    """

    consistency: Consistency = "fresh"
    timeout: float = 10.0
    if_generation: str | None = None
    progress_token: str | int | None = None
    store: StatedStore | None = None


@frozen(kw_only=True, eq=False, repr=False)
class NoParams(Value):
    pass


@frozen(kw_only=True, eq=False, repr=False)
class ImagesList(Value):
    """``fields`` names the wanted members of each image; the others are omitted."""

    filters: tuple[Filter, ...] = ()
    all: bool = False
    sort: Sort = "store"
    limit: int | None = None
    cursor: str | None = None
    fields: tuple[str, ...] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ImagesGet(Value):
    names: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class ImageName(Value):
    """``manifest`` addresses a manifest list itself and not its instance for this platform."""

    name: str
    manifest: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class ImagesHistory(Value):
    name: str


@frozen(kw_only=True, eq=False, repr=False)
class ImagesTree(Value):
    """``what_requires`` asks for the layers on top of the image instead of those below."""

    name: str
    what_requires: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class ImagesData(Value):
    name: str
    key: str


@frozen(kw_only=True, eq=False, repr=False)
class LayersList(Value):
    limit: int | None = None
    cursor: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class LayersGet(Value):
    id: str


@frozen(kw_only=True, eq=False, repr=False)
class LayersTree(Value):
    """Without ``id``, the whole forest."""

    id: str | None = None
    limit: int | None = None
    cursor: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsList(Value):
    include: tuple[Part, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class ManifestName(Value):
    name: str


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsReferenced(Value):
    digest: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class StoreCheck(Value):
    """``slice``: seconds after which it returns with a token; ``resume``: that token, with the same scope."""

    scope: Scope = "files"
    slice: float | None = None
    resume: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ImagesTag(Value):
    """``name`` addresses a list itself, not its instance. A new name without registry gets ``localhost/``, one without
    tag ``:latest``."""

    name: str
    tags: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class ImagesUntag(Value):
    """Without ``tags``, all names are removed."""

    name: str
    tags: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class ImagesCreate(Value):
    """``config`` is an OCI image configuration without layers: an object, or a text whose exact bytes are kept.
    ``names`` may lack registry and tag."""

    config: Config
    names: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class ImagesRemove(Value):
    """``all`` takes no names and means every image of the writable store. ``force`` removes containers of other tools
    than podman, and ids with several names. ``no_prune`` keeps dangling ancestors."""

    names: tuple[str, ...] = ()
    force: bool = False
    ignore: bool = False
    no_prune: bool = False
    all: bool = False
    dry_run: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class ImagesPrune(Value):
    """``all`` means every image without containers, not only dangling ones. ``external`` also removes images that are
    used only by containers of other tools than podman, with these containers. ``plan`` applies the plan of a dry run
    and takes no other parameter; with ``dry_run``, it reports what the plan would remove now."""

    filters: tuple[Filter, ...] = ()
    all: bool = False
    external: bool = False
    dry_run: bool = False
    plan: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class PlatformChoice(Value):
    """The changes to a descriptor's platform. A member that is None stays as it is, an empty one is removed; an
    architecture without a variant removes the variant."""

    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ArtifactLayer(Value):
    """Either ``data``, which is base64 and kept in the list, or ``fd``, the number, from 0, of the descriptor sent with
    the message. Its file is read once; the list keeps the path, and podman reads the file at each push. Without a
    ``media_type``, it is guessed from the title and the data, like podman does."""

    data: str | None = None
    media_type: str | None = None
    title: str | None = None
    fd: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Artifact(Value):
    """An artifact manifest that is made of the given data and files."""

    type: str | None = None
    config: str | None = None
    config_type: str | None = None
    layers: tuple[ArtifactLayer, ...] = ()
    subject: str | None = None
    annotations: dict[str, str] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsCreate(Value):
    """``images`` become the first instances. ``all`` takes every entry of those that are lists; ``amend`` continues
    with an existing list of that name."""

    name: str
    images: tuple[str, ...] = ()
    all: bool = False
    amend: bool = False
    annotations: dict[str, str] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsAdd(Value):
    """Either ``image`` or ``artifact``. ``annotations`` are those of the new entry."""

    name: str
    image: str | None = None
    all: bool = False
    platform: PlatformChoice | None = None
    annotations: dict[str, str] | None = None
    artifact: Artifact | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsAnnotate(Value):
    """Either the entry ``digest`` (or the name of a local image with that digest) or, with ``index``, the list itself.
    Only the list itself has a ``subject``; an empty one removes it."""

    name: str
    digest: str | None = None
    platform: PlatformChoice | None = None
    annotations: dict[str, str] | None = None
    index: bool = False
    subject: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsRemoveInstance(Value):
    name: str
    digest: str


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsRemove(Value):
    names: tuple[str, ...]
    ignore: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class StoreLease(Value):
    """``ttl`` is in seconds; the lease ends with its connection at the latest."""

    images: tuple[str, ...]
    ttl: float = 600.0


@frozen(kw_only=True, eq=False, repr=False)
class StoreRelease(Value):
    lease: str
