"""Changes to a store as values: pure operations make them, ``store.writing`` carries them out.

A change refers to records by id and to members by their names in the tables (``names-history``). Everything it does not
name keeps its bytes. It is valid for one state of the tables: that of the snapshot it was decided on. The stamp proves
this under the exclusive locks.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

import msgspec
from attrs import field, frozen

from storaged.store.layout.records import ContainerID, ImageID, ImageRecord, LayerID

T = TypeVar("T")


@frozen(kw_only=True)
class Item:
    """A complete item of big data."""

    key: str
    data: bytes = field(repr=False)


class ImageEdit(msgspec.Struct, frozen=True, kw_only=True):
    """New values for members of one record; a member whose value becomes None is left out.

    ``items`` are written before the record. The writer itself sets the members that describe them (``big-data-names``,
    ``-sizes``, ``-digests``). ``image`` is a record of the writable store.
    """

    image: ImageID
    members: Mapping[str, Any] = msgspec.field(default_factory=dict)
    items: tuple[Item, ...] = ()


class NewImage(msgspec.Struct, frozen=True, kw_only=True):
    """A record to append. ``members`` holds ``id`` and everything else except the description of ``items``."""

    members: Mapping[str, Any]
    items: tuple[Item, ...] = ()


@frozen(kw_only=True)
class Change:
    """Everything that one commit does. All of it becomes visible, or nothing.

    ``layers`` are removed with their files, each child before its parent. ``containers`` are storage containers whose
    records and files are removed; their own layers are among ``layers``. The writer refuses to remove a mounted
    container, or one whose layer is mounted.
    """

    edits: tuple[ImageEdit, ...] = ()
    added: tuple[NewImage, ...] = ()
    removed: tuple[ImageID, ...] = ()
    layers: tuple[LayerID, ...] = ()
    containers: tuple[ContainerID, ...] = ()
    evidence: tuple[tuple[ImageRecord, int], ...] = field(default=(), repr=False)
    """Records (with their stores) whose ``manifest`` must still have the recorded bytes at the commit: a deletion
    depends on what these lists name."""
    editing: tuple[ImageID, ...] = ()
    """Manifest lists whose digest lock is held during the commit."""
    needs_layers: tuple[LayerID, ...] = ()
    """Layers that a new or changed record depends on: they must exist at the commit."""

    @property
    def empty(self) -> bool:
        """Whether nothing would be written."""
        return not (self.edits or self.added or self.removed or self.layers or self.containers)


NOTHING: Final = Change()


class ChangeSet(msgspec.Struct, Generic[T], frozen=True, kw_only=True):
    """What an operation decided: a change of the store, and the answer once it is done.

    ``result`` is true of the store as soon as ``change`` is committed; an empty change is true already.
    """

    change: Change
    result: T
