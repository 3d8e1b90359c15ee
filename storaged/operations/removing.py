"""``images.remove``: podman's decision table for removing names (libimage ``image.go``: remove, removeRecursive).

::

    names that refer to one image are taken together, in the order in which they first occur
    name, other names left          only untagged, with or without force
    name, the last one              the image is removed, with that name; if it cannot be, it keeps the name
    id, several names               MultipleNames; with force it is removed with all of them
    REPOSITORY@DIGEST               as if all its names in that repository were given
    in use                          ImageInUse; with force, containers of other tools than podman are removed, too
    leased, in an additional store  Leased, ReadOnlyImage
    its parent is dangling then     removed as well, and so on, unless ``no_prune``; being kept is not a failure

A list is addressed as itself. Children and lists do not prevent a removal by name. A failure of one name does not
affect others.

Different from podman: a name given twice counts once; podman's own containers are left to podman, whose database knows
them.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final

from msgspec import Struct

from storaged.operations.image_why import reasons
from storaged.operations.layer_gc import LayerGC
from storaged.operations.name_lookup import shortened
from storaged.operations.query_context import QueryContext
from storaged.operations.reference_counts import ReferenceCounts
from storaged.operations.removal_blockers import several_names, why_not_removable
from storaged.operations.removal_request import Group, Reference, RequestedName, group
from storaged.operations.removals import Batch, Refusal, Removal, batch_change_set, within
from storaged.operations.tagging import history_without, naming_members, without
from storaged.snapshot.model import Container, Image, Snapshot
from storaged.store.changes import ChangeSet, ImageEdit
from storaged.store.layout.records import ImageID
from storaged_client.contract.errors import ImageUnknown, StoragedError
from storaged_client.contract.types import Going, Kept, Reason, Untagged

_MOST_REASONS: Final = 10


class Removing(Struct, frozen=True, kw_only=True):
    """``manifest``: only lists are accepted."""

    force: bool = False
    ignore: bool = False
    no_prune: bool = False
    manifest: bool = False


def remove(
    snapshot: Snapshot,
    wanted: Sequence[RequestedName],
    asked: Removing,
    view: QueryContext,
    *,
    most: int | None = None,
    gone: Collection[ImageID] = (),
) -> ChangeSet[Batch[RequestedName]]:
    """Decide one batch. ``most`` limits the moves; ``gone`` are images that earlier batches removed."""
    groups, nowhere = group(snapshot, wanted, view, manifest=asked.manifest, gone=gone)
    unknown = [found for _, found in nowhere if not (asked.ignore and isinstance(found.error, ImageUnknown))]
    decision = _Decision(snapshot, asked, view)
    parts: list[_Part] = []

    def moves() -> Iterator[int]:
        # As far as the batch goes: the rest is decided in the next one, on the state after this.
        for each in groups:
            parts.append(decision.take(each))
            yield parts[-1].moves

    count = within(moves(), most)
    taken = parts[:count]
    done = Batch(
        removals=tuple(gone for part in taken for gone in part.removals),
        untagged=tuple(name for part in taken for name in part.untagged),
        refused=(*unknown, *(refusal for part in taken for refusal in part.refused)),
        kept=tuple(kept for part in taken for kept in part.kept),
        items=(*(item for item, _ in nowhere), *(item for each in groups[:count] for item in each.items)),
        rest=tuple(item for each in groups[count:] for item in each.items),
    )
    edits = [part.edit for part in taken if part.edit is not None]
    judged = any(gone.reason.code == "ancestor" for gone in done.removals)
    return batch_change_set(snapshot, done, judged=judged, edits=edits)


class _Part(Struct, frozen=True, kw_only=True):
    """What happens to one addressed image and its ancestors."""

    removals: tuple[Removal, ...] = ()
    untagged: tuple[Untagged, ...] = ()
    edit: ImageEdit | None = None
    refused: tuple[Refusal, ...] = ()
    kept: tuple[Kept, ...] = ()

    @property
    def moves(self) -> int:
        return sum(gone.moves for gone in self.removals)


class _Decision:
    def __init__(self, snapshot: Snapshot, asked: Removing, view: QueryContext) -> None:
        self._snapshot = snapshot
        self._asked = asked
        self._view = view
        self._remaining = ReferenceCounts(snapshot)
        self._freeing = LayerGC(snapshot)

    def take(self, asked: Group) -> _Part:
        """Decide on one image; the decision applies to the groups after it."""
        image = asked.image
        if image.id in self._remaining.gone and not image.store:
            # It was removed as an ancestor of an earlier one.
            return _Part()
        left = dict.fromkeys(image.names)
        dropped: list[str] = []
        refused: list[Refusal] = []
        whole: Reference | None = None
        for reference in asked.references:
            own = tuple(name for name in reference.names if name in left)
            error: StoragedError | None = None
            if image.read_only:
                error = why_not_removable(self._snapshot, image, self._view, force=self._asked.force)
            elif reference.names and len(own) < len(left):
                dropped += own
                for name in own:
                    del left[name]
            elif not reference.names and len(left) > 1 and reference.by and not self._asked.force:
                error = several_names(image, tuple(left), reference.by)
            else:
                error = why_not_removable(self._snapshot, image, self._view, force=self._asked.force)
                whole = whole or (reference if error is None else None)
            if error is not None:
                refused.append(Refusal(id=image.id, name=reference.item.name, error=error))
        if whole is not None:
            return self._go(image, whole, dropped, refused)
        return self._untag(image, dropped, refused)

    def _untag(self, image: Image, dropped: list[str], refused: list[Refusal]) -> _Part:
        if not dropped:
            return _Part(refused=tuple(refused))
        names = without(image.names, dropped)
        history = history_without(image.record.names_history or (), names, dropped)
        left = [
            reason
            for reason in self._reasons(image, _MOST_REASONS + len(dropped))
            if reason.name not in dropped or reason.code != "named"
        ]
        return _Part(
            untagged=tuple(Untagged(id=image.id, name=name) for name in dropped),
            edit=ImageEdit(image=image.id, members=naming_members(names, history)),
            refused=tuple(refused),
            kept=(Kept(id=image.id, names=names, reasons=tuple(left[:_MOST_REASONS])),),
        )

    def _go(self, image: Image, reference: Reference, dropped: list[str], refused: list[Refusal]) -> _Part:
        name = reference.item.name
        what = f"by {shortened(name)}" if name is not None else "with all others"
        removals = [self._leave(image, Going(code="requested", detail=f"it was asked for {what}"))]
        kept: list[Kept] = []
        child = image
        while not (self._asked.no_prune or reference.item.alone):
            parent = self._snapshot.by_id.get(child.parent) if child.parent is not None else None
            if parent is None or parent.id in self._remaining.gone or not self._remaining.dangling(parent):
                break
            if why_not_removable(self._snapshot, parent, self._view, force=self._asked.force) is not None:
                kept.append(Kept(id=parent.id, names=(), reasons=self._reasons(parent, _MOST_REASONS)))
                break
            removals.append(
                self._leave(
                    parent,
                    Going(
                        code="ancestor",
                        detail=f"no name, and {child.id[:12]}, its last child, is removed",
                        image=child.id,
                    ),
                )
            )
            child = parent
        # As given, then the others: podman reports them like that, because it takes one after the other.
        names = dict.fromkeys((*dropped, *image.names))
        return _Part(
            removals=tuple(removals),
            untagged=tuple(Untagged(id=image.id, name=name) for name in names),
            refused=tuple(refused),
            kept=tuple(kept),
        )

    def _reasons(self, image: Image, most: int) -> tuple[Reason, ...]:
        return reasons(self._snapshot, image, self._view, is_left=self._remaining.is_left, most=most)

    def _leave(self, image: Image, reason: Going) -> Removal:
        containers: tuple[Container, ...] = tuple(
            self._snapshot.container_by_id[used_by] for used_by in image.containers
        )
        self._remaining.leave(image)
        freed = self._freeing.leave(image, containers)
        return Removal(image=image, reason=reason, freed=freed, containers=containers)
