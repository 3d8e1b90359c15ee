"""The parameters of each method: one frozen class a method, members in positional order.

Four more are common to all and given by name only: see ``Common``. A member without a default is
required; an unknown one is refused.
"""

from __future__ import annotations

from typing import Any, Literal

from attrs import frozen

Filter = Any
"""``{"key", "value", "negate"}`` or podman's ``key=value`` / ``key!=value``."""


@frozen(kw_only=True)
class Common:
    """What every request may carry besides its own parameters.

    ``timeout`` is in seconds and bounds a ``strict`` read. ``if_generation`` equal to the current
    generation makes the answer ``{"unchanged": true}``.
    """

    consistency: Literal["fresh", "strict", "cached"] = "fresh"
    timeout: float = 10.0
    if_generation: str | None = None
    progress_token: str | int | None = None


@frozen(kw_only=True)
class NoParams:
    pass


@frozen(kw_only=True)
class ImagesList:
    filters: tuple[Filter, ...] = ()
    all: bool = False
    sort: Literal["store", "created", "id", "repository", "size", "tag"] = "store"
    limit: int | None = None
    cursor: str | None = None
    fields: tuple[str, ...] | None = None


@frozen(kw_only=True)
class ImagesGet:
    names: tuple[str, ...]


@frozen(kw_only=True)
class ImageName:
    """``manifest`` addresses a manifest list itself and not its instance for this platform."""

    name: str
    manifest: bool = False


@frozen(kw_only=True)
class ImagesHistory:
    name: str


@frozen(kw_only=True)
class ImagesTree:
    """``what_requires`` asks for what stands on the image instead of what it stands on."""

    name: str
    what_requires: bool = False


@frozen(kw_only=True)
class ImagesData:
    name: str
    key: str


@frozen(kw_only=True)
class LayersList:
    limit: int | None = None
    cursor: str | None = None


@frozen(kw_only=True)
class LayersGet:
    id: str


@frozen(kw_only=True)
class LayersTree:
    """Without ``id`` the whole forest."""

    id: str | None = None


@frozen(kw_only=True)
class ManifestsList:
    include: tuple[Literal["instances", "annotations"], ...] = ()


@frozen(kw_only=True)
class ManifestName:
    name: str


@frozen(kw_only=True)
class ManifestsReferenced:
    digest: str | None = None


@frozen(kw_only=True)
class StoreCheck:
    """``slice``: seconds after which it returns with a token; ``resume``: that token, with the same scope."""

    scope: Literal["records", "files", "contents"] = "files"
    slice: float | None = None
    resume: str | None = None
