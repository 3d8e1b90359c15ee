"""Results of the methods that change the store.

``freed`` is in bytes: the uncompressed size of removed layers, and removed big data, each counted once.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from ..value import Timestamp, Value
from .base import ErrorObject, Result
from .images import Reason


@frozen(kw_only=True, eq=False, repr=False)
class Moved(Value):
    """A name that another image had until now."""

    name: str
    image: str


@frozen(kw_only=True, eq=False, repr=False)
class Tagged(Result):
    """``images.tag`` and ``images.untag``: the names the image has now, and whether they changed."""

    id: str
    names: tuple[str, ...]
    changed: bool
    moved_from: tuple[Moved, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Created(Result):
    """``images.create``: the images created, and their names. Includes an id that existed already."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    moved_from: tuple[Moved, ...] = ()


GoingCode = Literal["dangling", "unused", "ancestor", "requested"]


@frozen(kw_only=True, eq=False, repr=False)
class Going(Value):
    """Why an image is removed: it is dangling, no container needs it, its last child is removed, or it was named."""

    code: GoingCode
    detail: str
    image: str | None = None
    """The descendant with which an ancestor is removed."""


@frozen(kw_only=True, eq=False, repr=False)
class Removed(Value):
    """An image that was removed or, in a dry run, would be. ``freed`` is None while a layer's size is unknown."""

    id: str
    names: tuple[str, ...]
    freed: int | None
    reasons: tuple[Going, ...]
    containers: tuple[str, ...] = ()
    """Storage containers removed with it (``external``, ``force``)."""


@frozen(kw_only=True, eq=False, repr=False)
class Untagged(Value):
    """A name removed from an image, whether the image was removed or kept."""

    id: str
    name: str


@frozen(kw_only=True, eq=False, repr=False)
class Kept(Value):
    """An image that was considered and stays. Its reasons are those of ``images.why``, at most ten of one code, or
    ``filtered``."""

    id: str
    names: tuple[str, ...]
    reasons: tuple[Reason, ...]


@frozen(kw_only=True, eq=False, repr=False)
class Failed(Value):
    """An image or a given name that could not be removed. It does not affect the others."""

    id: str | None
    name: str | None
    error: ErrorObject


@frozen(kw_only=True, eq=False, repr=False)
class PruneReport(Result):
    """``images.prune``, ``images.remove`` and ``manifests.remove``.

    ``changed`` lists images of the plan that are kept now because the reasons for their removal are gone; ``plan``
    names a dry run's plan for one ``images.prune`` to apply. ``unfinished`` says why files of removed images are still
    on disk, None if there are none: nobody uses them, and the next start of the daemon removes them.
    """

    removed: tuple[Removed, ...] = ()
    untagged: tuple[Untagged, ...] = ()
    kept: tuple[Kept, ...] = ()
    failed: tuple[Failed, ...] = ()
    freed: int | None = 0
    changed: tuple[Kept, ...] = ()
    plan: str | None = None
    unfinished: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class ListEdited(Result):
    """``manifests.create``, ``add``, ``annotate`` and ``remove_instance``: the list, its current digest, and the
    digests of the instances that were added, changed or removed, in that order."""

    id: str
    names: tuple[str, ...]
    digest: str
    instances: tuple[str, ...] = ()
    changed: bool = True


@frozen(kw_only=True, eq=False, repr=False)
class Lease(Result):
    """``store.lease``: ``images`` are ids; ``expires`` is RFC 3339. It also ends with its connection."""

    lease: str
    images: tuple[str, ...]
    expires: Timestamp
