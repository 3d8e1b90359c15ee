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
    """Damage of the store, then of each image and layer, in store order."""
    found = [t.Flaw(name=flaw.name, detail=flaw.detail, image=flaw.image, file=flaw.file) for flaw in snapshot.flaws]
    found += [
        t.Flaw(name=image.damage.name, detail=image.damage.detail, image=image.id)
        for image in snapshot.images
        if image.damage is not None
    ]
    found += [
        t.Flaw(name=layer.damage.name, detail=f"layer {layer.id}: {layer.damage.detail}")
        for layer in snapshot.layers
        if layer.damage is not None
    ]
    return tuple(found)
