"""What a mutation does to a store, as values: made by pure operations, carried out by ``store.writing``.

A change names records by id and speaks of members by the names they have in the tables (``names-history``).
Whatever it does not name keeps its bytes. It holds for one state of the tables: that of the snapshot it was
planned on, which the stamp proves under the exclusive locks.
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
    """One item of big data, whole."""

    key: str
    data: bytes = field(repr=False)


class ImageEdit(msgspec.Struct, frozen=True, kw_only=True):
    """Members of one record become others; a member that becomes None is left out.

    ``items`` are written before the record; the members that describe them (``big-data-names``, ``-sizes``,
    ``-digests``) are the writer's to set. ``image`` is a record of the writable store.
    """

    image: ImageID
    members: Mapping[str, Any] = msgspec.field(default_factory=dict)
    items: tuple[Item, ...] = ()


class NewImage(msgspec.Struct, frozen=True, kw_only=True):
    """A record to be appended. ``members`` bears ``id`` and all else but what describes ``items``."""

    members: Mapping[str, Any]
    items: tuple[Item, ...] = ()


@frozen(kw_only=True)
class Change:
    """Everything that one commit does. All of it becomes visible, or none.

    ``layers`` go with their files, each child before its parent; ``containers`` are storage containers whose
    records and files go, with their own layers among ``layers``. A container that is mounted, or whose layer is,
    is refused by the writer.
    """

    edits: tuple[ImageEdit, ...] = ()
    added: tuple[NewImage, ...] = ()
    removed: tuple[ImageID, ...] = ()
    layers: tuple[LayerID, ...] = ()
    containers: tuple[ContainerID, ...] = ()
    evidence: tuple[tuple[ImageRecord, int], ...] = field(default=(), repr=False)
    """Records (and their stores) whose ``manifest`` must still be the recorded bytes at the moment of the commit:
    a deletion depends on what these lists name."""
    editing: tuple[ImageID, ...] = ()
    """Manifest lists whose digest lock is held around the commit."""
    needs_layers: tuple[LayerID, ...] = ()
    """Layers that a new or changed record rests on: they must be there at the commit."""

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
