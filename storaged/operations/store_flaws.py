"""Problems of the store as a whole, for ``server.info``."""

from __future__ import annotations

from storaged.snapshot.model import Snapshot
from storaged.store.checking.loss import Loss, Recorded
from storaged.store.inventory import TableKind
from storaged_client.contract import types as t


def evidence(snapshot: Snapshot) -> tuple[t.Flaw, ...]:
    """Every record that may be a manifest list and cannot be read, with the command that removes it."""
    return tuple(
        t.Flaw(
            name="UnreadableEvidence",
            detail=found.detail,
            image=found.image,
            file=found.file,
            command=found.command or None,
        )
        for found in snapshot.evidence
    )


def flaws(snapshot: Snapshot) -> tuple[t.Flaw, ...]:
    """Damage of the store and its layers, then of each image, in store order.

    A layer that is only on top of a damaged one is not reported again: one lost base may have thousands above it.
    """
    found = [t.Flaw(name=flaw.name, detail=flaw.detail, image=flaw.image, file=flaw.file) for flaw in snapshot.flaws]
    for image in snapshot.images:
        if image.damage is not None:
            file = image.content.damage[0].file if image.content.damage else None
            found.append(t.Flaw(name=image.damage.name, detail=image.damage.detail, image=image.id, file=file))
    return tuple(found)


def recorded(snapshot: Snapshot, stores: int) -> Recorded:
    """The contents of the tables of ``stores`` stores, including the writable one: compared with it, folders show
    losses."""
    ids: dict[tuple[TableKind, int], set[str]] = {
        ("containers", 0): {each.id for each in snapshot.containers if not each.volatile}
    }
    for store in range(stores):
        ids["images", store], ids["layers", store] = set(), set()
    for image in snapshot.images:
        ids["images", image.store].add(image.id)
    for layer in snapshot.layers:
        if not layer.volatile:
            ids["layers", layer.store].add(layer.id)
    # Incomplete images are not listed by store; any store will do, because they are never looked up.
    ids["images", 0].update(snapshot.half_made)
    ids["layers", 0].update(snapshot.forest.incomplete)
    return Recorded(
        ids=ids,
        unfinished=frozenset((*snapshot.half_made, *snapshot.forest.incomplete)),
        volatile=frozenset(each.id for each in snapshot.layers if each.volatile)
        | frozenset(each.id for each in snapshot.containers if each.volatile),
        unread=frozenset(flaw.file for flaw in snapshot.flaws if flaw.file is not None),
    )


def losses(found: tuple[Loss, ...]) -> tuple[t.Flaw, ...]:
    """The losses that the store's folders show."""
    return tuple(t.Flaw(name=loss.name, detail=loss.detail, file=loss.file) for loss in found)
