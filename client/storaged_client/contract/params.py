"""The parameters of each method: one frozen class a method, members in positional order.

Five more are common to all and given by name only: see ``Common``. A member without a default is
required; an unknown one is refused. The signatures of the Python clients are made of these classes: see ``calls``.
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
    """What every request may carry besides its own parameters.

    ``timeout`` is in seconds and bounds a ``strict`` read. ``if_generation`` equal to the current
    generation makes the answer ``{"unchanged": true}``. A daemon of another store than ``store`` answers WrongStore.
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
    """``fields`` names the members wanted of each image; the others are left out."""

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
    """``what_requires`` asks for what stands on the image instead of what it stands on."""

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
    """Without ``id`` the whole forest."""

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
    """``name`` means a list itself, not its instance. A tag without registry gets ``localhost/``, one without tag
    ``:latest``."""

    name: str
    tags: tuple[str, ...]


@frozen(kw_only=True, eq=False, repr=False)
class ImagesUntag(Value):
    """Without ``tags`` all names are taken away."""

    name: str
    tags: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class ImagesCreate(Value):
    """``config`` is an OCI image configuration without layers: an object, or a text whose very bytes are kept.
    ``names`` may lack registry and tag."""

    config: Config
    names: tuple[str, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class ImagesRemove(Value):
    """``all`` takes no names and means every image of the writable store. ``force`` removes containers of other
    tools than podman, and ids with several names. ``no_prune`` keeps dangling ancestors."""

    names: tuple[str, ...] = ()
    force: bool = False
    ignore: bool = False
    no_prune: bool = False
    all: bool = False
    dry_run: bool = False


@frozen(kw_only=True, eq=False, repr=False)
class ImagesPrune(Value):
    """``all`` means every image without containers, not only dangling ones. ``external`` takes images whose
    containers are all of other tools than podman, with these containers. ``plan`` applies a dry run's plan and
    takes no other parameter; with ``dry_run`` it is looked at: the report tells what would go of it now."""

    filters: tuple[Filter, ...] = ()
    all: bool = False
    external: bool = False
    dry_run: bool = False
    plan: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class PlatformChoice(Value):
    """What a descriptor's platform becomes. A member that is None is left as it is, an empty one is taken away; an
    architecture without a variant takes the variant away."""

    architecture: str | None = None
    os: str | None = None
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] | None = None
    features: tuple[str, ...] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ArtifactLayer(Value):
    """One of ``data``, which is base64 and kept in the list, and ``fd``: which of the descriptors that come with the
    message is the file, from 0. It is read once; the list keeps its path, and podman reads the file at each push.
    Without a ``media_type`` it is guessed from the title and the data, as podman guesses."""

    data: str | None = None
    media_type: str | None = None
    title: str | None = None
    fd: int | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Artifact(Value):
    """An artifact manifest that is made of data and files given here."""

    type: str | None = None
    config: str | None = None
    config_type: str | None = None
    layers: tuple[ArtifactLayer, ...] = ()
    subject: str | None = None
    annotations: dict[str, str] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsCreate(Value):
    """``images`` become the first instances. ``all`` takes every entry of those that are lists, ``amend`` goes on
    with a list that has the name already."""

    name: str
    images: tuple[str, ...] = ()
    all: bool = False
    amend: bool = False
    annotations: dict[str, str] | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsAdd(Value):
    """One of ``image`` and ``artifact``. ``annotations`` are those of the new entry."""

    name: str
    image: str | None = None
    all: bool = False
    platform: PlatformChoice | None = None
    annotations: dict[str, str] | None = None
    artifact: Artifact | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ManifestsAnnotate(Value):
    """The entry ``digest`` (or a local image's name whose digest is meant), or with ``index`` the list itself.
    Only the list itself has a ``subject``; an empty one takes it away."""

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
