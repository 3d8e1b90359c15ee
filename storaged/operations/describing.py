"""What is wrong with the store as a whole, for ``server.info``."""

from __future__ import annotations

from storaged.snapshot.model import Snapshot
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

    A layer that only stands on a damaged one is not told again: one lost base may have thousands above it.
    """
    found = [t.Flaw(name=flaw.name, detail=flaw.detail, image=flaw.image, file=flaw.file) for flaw in snapshot.flaws]
    for image in snapshot.images:
        if image.damage is not None:
            file = image.content.damage[0].file if image.content.damage else None
            found.append(t.Flaw(name=image.damage.name, detail=image.damage.detail, image=image.id, file=file))
    return tuple(found)
