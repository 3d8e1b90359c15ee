"""One change of the store between its plan and its commit: values, and the signal that the plan is out of date."""

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
    """The store is not any more what the change was planned on: nothing was written; plan again on its new state."""


class ListLocked(PlanOutdated):
    """Somebody holds the digest lock of a list that was not expected to be edited: nothing was written; expect it."""


@frozen(kw_only=True)
class TableWrite:
    """A table that is replaced: its path and lock, and the temporary file that holds its new bytes, flushed."""

    path: str
    lock: str
    temporary: Temporary
    data: bytes = field(repr=False)


class DataFolder(msgspec.Struct, frozen=True, kw_only=True):
    """The big data of one image that is written: flushed files beside their targets, in the order of the renames."""

    path: str
    made: bool
    """Whether the folder was made for it."""
    temporaries: tuple[Temporary, ...] = ()


class Holdings(msgspec.Struct, kw_only=True):
    """What a prepared change holds outside its files; ``ended`` once it was committed or given up."""

    entries: list[OpenEntry] = msgspec.field(default_factory=list)
    room: ExitStack = msgspec.field(default_factory=ExitStack)
    """Ends the use of the reserve."""
    begun: bool = False
    """Whether anything is in its place: from then on nothing can be taken back."""
    published: bool = False
    """Whether everything is in its place; it may not be durable yet."""
    ended: bool = False


@frozen(kw_only=True)
class Prepared:
    """A change that only the renames are missing of. Its files exist until it is committed or discarded."""

    change: Change
    stamp: Stamp
    locks: tuple[str, ...]
    """Held for the commit, in the order of acquisition; those in ``shared`` against writers only."""
    shared: tuple[str, ...] = ()
    data: tuple[DataFolder, ...] = ()
    tables: tuple[TableWrite, ...] = ()
    """In the order of the renames."""
    last: tuple[TableWrite, ...] = ()
    """Tables that are replaced once more, after the files of the layers were moved aside."""
    evidence: tuple[tuple[str, Identity], ...] = ()
    """Files that must still be these at the commit."""
    deletion: LayerDeletion | None = None
    holdings: Holdings = field(factory=Holdings, eq=False, repr=False)


@frozen(kw_only=True)
class Committed:
    """What a commit left: the stamp taken under the locks after the last rename, and the tables' new bytes by path."""

    stamp: Stamp
    written: Mapping[str, bytes] = field(repr=False)
    deletion: LayerDeletion | None = None
    holdings: Holdings = field(factory=Holdings, eq=False, repr=False)
