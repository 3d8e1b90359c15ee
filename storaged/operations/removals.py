"""Images that go, and the change that lets them go: what prune and remove have in common.

A removal is made in rounds, each one commit of at most ``MOST_MOVES`` moves, so that no lock is held for long. A
round is the first part of the sequence of removals, which is a whole removal by itself; the rest is decided anew
on the state after it.
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
"""Files and folders that one commit moves aside under the locks, some 20 µs each; a single image may have more."""

_MOVES_OF_LAYER: Final = 3
_MOVES_OF_CONTAINER: Final = 2

Item = TypeVar("Item")


class Removal(Struct, frozen=True, kw_only=True):
    """An image that goes, and what goes with it and not with an earlier one."""

    image: Image
    reason: Going
    freed: Freed
    containers: tuple[Container, ...] = ()

    @property
    def moves(self) -> int:
        """Files and folders that are moved aside for it, at most: a layer has a folder, a link and a tar-split."""
        return 1 + _MOVES_OF_LAYER * len(self.freed.layers) + _MOVES_OF_CONTAINER * len(self.containers)


class Refusal(Struct, frozen=True, kw_only=True):
    """An image, or a name that was asked for, that cannot go."""

    id: ImageID | None
    name: str | None
    error: StoragedError


@frozen(kw_only=True)
class Batch(Generic[Item]):
    """What one commit does, and what is left to do: ``items`` and ``rest`` are what was asked for."""

    removals: tuple[Removal, ...] = ()
    untagged: tuple[Untagged, ...] = ()
    refused: tuple[Refusal, ...] = ()
    kept: tuple[Kept, ...] = ()
    changed: tuple[Kept, ...] = ()
    """Kept, though an earlier decision let it go."""
    items: tuple[Item, ...] = ()
    rest: tuple[Item, ...] = field(default=(), repr=False)


def within(sizes: Iterable[int], most: int | None) -> int:
    """How many of the first parts, of so many moves each, one commit takes: one at least."""
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
    """The change that carries a round out.

    ``judged``: something goes because no list names it, so that every list must still be what was read. One that goes
    too: by other bytes it has another digest, which a list that stays may name.
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
    """A removal as the report has it."""
    return Removed(
        id=removal.image.id,
        names=removal.image.names,
        freed=removal.freed.size,
        reasons=(removal.reason,),
        containers=tuple(container.id for container in removal.containers),
    )
