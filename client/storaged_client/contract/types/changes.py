"""Results of the methods that change the store.

``freed`` is bytes: the uncompressed size of layers that really went, and big data, each counted once.
"""

from __future__ import annotations

from typing import Literal

from attrs import frozen

from ..value import Timestamp, Value
from .base import ErrorObject, Result
from .images import Reason


@frozen(kw_only=True, eq=False, repr=False)
class Moved(Value):
    """A name that another image bore until now."""

    name: str
    image: str


@frozen(kw_only=True, eq=False, repr=False)
class Tagged(Result):
    """``images.tag`` and ``images.untag``: the names the image has now, and whether that is news."""

    id: str
    names: tuple[str, ...]
    changed: bool
    moved_from: tuple[Moved, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class Created(Result):
    """``images.create``: the images made, and their names. An id that was there already is one of them."""

    ids: tuple[str, ...]
    names: tuple[str, ...]
    moved_from: tuple[Moved, ...] = ()


GoingCode = Literal["dangling", "unused", "ancestor", "requested"]


@frozen(kw_only=True, eq=False, repr=False)
class Going(Value):
    """Why an image goes: it is dangling, no container needs it, its last child goes, or it was asked for."""

    code: GoingCode
    detail: str
    image: str | None = None
    """The descendant with which an ancestor goes."""


@frozen(kw_only=True, eq=False, repr=False)
class Removed(Value):
    """An image that went, or in a dry run would go. ``freed`` is None while a layer's size is unknown."""

    id: str
    names: tuple[str, ...]
    freed: int | None
    reasons: tuple[Going, ...]
    containers: tuple[str, ...] = ()
    """Storage containers that went with it (``external``, ``force``)."""


@frozen(kw_only=True, eq=False, repr=False)
class Untagged(Value):
    """A name that was taken from an image, gone or kept."""

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
    """An image, or a name that was asked for, that could not be removed. It fails none of the others."""

    id: str | None
    name: str | None
    error: ErrorObject


@frozen(kw_only=True, eq=False, repr=False)
class PruneReport(Result):
    """``images.prune``, ``images.remove`` and ``manifests.remove``.

    ``changed`` lists what the plan meant to remove and what is kept now because its reasons no longer hold;
    ``plan`` names a dry run's plan for one ``images.prune`` to apply. ``unfinished`` says why files of what went are
    still on the disk, None where none are: nobody uses them, and the next start of the daemon removes them.
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
    """``store.lease``: ``images`` are ids; ``expires`` is RFC 3339. It ends with its connection, too."""

    lease: str
    images: tuple[str, ...]
    expires: Timestamp
