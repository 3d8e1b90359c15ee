"""Images to remove, and the change that removes them: shared by prune and remove.

A removal is made in batches, each one commit of at most ``MOST_MOVES`` moves, so that no lock is held for long. A batch
is the first part of the sequence of removals, which is complete by itself; the rest is decided again on the state after
it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Generic, TypeVar

from attrs import field, frozen
from msgspec import Struct

from storaged.operations.layer_gc import Freed
from storaged.snapshot.model import Container, Image, Snapshot
from storaged.store.changes import Change, ChangeSet, ImageEdit
from storaged.store.layout.records import ImageID, ImageRecord
from storaged_client.contract.errors import StoragedError
from storaged_client.contract.types import Going, Kept, Removed, Untagged

MOST_MOVES: Final = 2000
"""The maximum number of files and folders that one commit moves under the locks, some 20 µs each; a single image may
have more."""

_MOVES_OF_LAYER: Final = 3
_MOVES_OF_CONTAINER: Final = 2

Item = TypeVar("Item")


class Removal(Struct, frozen=True, kw_only=True):
    """An image to remove, and what is removed with it and not with an earlier one."""

    image: Image
    reason: Going
    freed: Freed
    containers: tuple[Container, ...] = ()

    @property
    def moves(self) -> int:
        """The maximum number of files and folders moved for it: a layer has a folder, a link and a tar-split."""
        return 1 + _MOVES_OF_LAYER * len(self.freed.layers) + _MOVES_OF_CONTAINER * len(self.containers)


class Refusal(Struct, frozen=True, kw_only=True):
    """An image or a given name that cannot be removed."""

    id: ImageID | None
    name: str | None
    error: StoragedError


@frozen(kw_only=True)
class Batch(Generic[Item]):
    """What one commit does, and what is left to do: ``items`` and ``rest`` are parts of the request."""

    removals: tuple[Removal, ...] = ()
    untagged: tuple[Untagged, ...] = ()
    refused: tuple[Refusal, ...] = ()
    kept: tuple[Kept, ...] = ()
    changed: tuple[Kept, ...] = ()
    """Kept, though an earlier decision would have removed it."""
    items: tuple[Item, ...] = ()
    rest: tuple[Item, ...] = field(default=(), repr=False)


def within(sizes: Iterable[int], most: int | None) -> int:
    """How many of the first parts, with this many moves each, one commit takes: at least one."""
    total = 0
    count = 0
    for count, size in enumerate(sizes, 1):
        total += size
        if most is not None and total > most and count > 1:
            return count - 1
    return count


def batch_change_set(
    snapshot: Snapshot, done: Batch[Item], *, judged: bool, edits: Sequence[ImageEdit] = ()
) -> ChangeSet[Batch[Item]]:
    """The change that carries out a batch.

    ``judged``: something is removed because no list names it, so every list must still be what was read. That includes
    removed lists: with other bytes a list has another digest, which a list that stays may name.
    """
    change = Change(
        edits=tuple(edits),
        removed=tuple(removal.image.id for removal in done.removals),
        layers=tuple(layer for removal in done.removals for layer in removal.freed.layers),
        containers=tuple(container.id for removal in done.removals for container in removal.containers),
        evidence=_evidence(snapshot) if judged and done.removals else (),
    )
    return ChangeSet(change=change, result=done)


def _evidence(snapshot: Snapshot) -> tuple[tuple[ImageRecord, int], ...]:
    return tuple((found.record, found.store) for found in snapshot.lists)


def removed(removal: Removal) -> Removed:
    """A removal in the report."""
    return Removed(
        id=removal.image.id,
        names=removal.image.names,
        freed=removal.freed.size,
        reasons=(removal.reason,),
        containers=tuple(container.id for container in removal.containers),
    )
