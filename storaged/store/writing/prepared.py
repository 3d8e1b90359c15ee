"""Values that a change has between decision and commit, and the signals that it must be decided again."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack

import msgspec
from attrs import field, frozen

from storaged.store.changes import Change
from storaged.store.files import Identity
from storaged.store.stamp import Stamp
from storaged.store.writing.deletion import LayerDeletion
from storaged.store.writing.journal import OpenEntry
from storaged.store.writing.temporary import Temporary
from storaged_client.contract.errors import InternalError


class PlanOutdated(InternalError):
    """The store has changed since the change was decided: nothing was written; decide again on the new state."""


class ListLocked(PlanOutdated):
    """Another process holds the digest lock of a list that was not expected to be edited: nothing was written; retry
    and expect this list."""


@frozen(kw_only=True)
class TableWrite:
    """A table to be replaced: its path and lock, and the flushed temporary file with its new bytes."""

    path: str
    lock: str
    temporary: Temporary
    data: bytes = field(repr=False)


class DataFolder(msgspec.Struct, frozen=True, kw_only=True):
    """The new big data of one image: flushed files beside their targets, in the order of the renames."""

    path: str
    made: bool
    """Whether the folder was created for it."""
    temporaries: tuple[Temporary, ...] = ()


class Holdings(msgspec.Struct, kw_only=True):
    """What a prepared change holds besides its files; ``ended`` after it was committed or abandoned."""

    entries: list[OpenEntry] = msgspec.field(default_factory=list)
    room: ExitStack = msgspec.field(default_factory=ExitStack)
    """Ends the use of the reserve."""
    begun: bool = False
    """Whether anything is in its final place: from then on nothing can be undone."""
    published: bool = False
    """Whether everything is in its final place; it may not be durable yet."""
    ended: bool = False


@frozen(kw_only=True)
class Prepared:
    """A change that lacks only the renames. Its files exist until it is committed or discarded."""

    change: Change
    stamp: Stamp
    locks: tuple[str, ...]
    """Held for the commit, in the order of acquisition; those in ``shared`` only against writers."""
    shared: tuple[str, ...] = ()
    data: tuple[DataFolder, ...] = ()
    tables: tuple[TableWrite, ...] = ()
    """In the order of the renames."""
    last: tuple[TableWrite, ...] = ()
    """Tables that are replaced once more after the layers' files were moved to quarantine."""
    evidence: tuple[tuple[str, Identity], ...] = ()
    """Files that must still have these identities at the commit."""
    deletion: LayerDeletion | None = None
    holdings: Holdings = field(factory=Holdings, eq=False, repr=False)


@frozen(kw_only=True)
class Committed:
    """The result of a commit: the stamp taken under the locks after the last rename, and the tables' new bytes by
    path."""

    stamp: Stamp
    written: Mapping[str, bytes] = field(repr=False)
    deletion: LayerDeletion | None = None
    holdings: Holdings = field(factory=Holdings, eq=False, repr=False)
