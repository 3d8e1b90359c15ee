"""``images.relations``: the relatives of an image by podman's parent rule."""

from __future__ import annotations

from storaged.snapshot.model import Image, Snapshot
from storaged.store.layout.records import ImageID
from storaged_client.contract.types import Relations


def relations(snapshot: Snapshot, image: Image) -> Relations:
    """Parent, children, ancestors (nearest first) and siblings (other children of the parent)."""
    siblings: tuple[ImageID, ...] = ()
    if image.parent is not None and (parent := snapshot.by_id.get(image.parent)) is not None:
        siblings = tuple(child for child in parent.children if child != image.id)
    return Relations(
        id=image.id,
        parent=image.parent,
        children=image.children,
        ancestors=ancestors(snapshot, image),
        siblings=siblings,
    )


def ancestors(snapshot: Snapshot, image: Image) -> tuple[ImageID, ...]:
    """Parent, its parent, and so on; forged ids that form a ring end it."""
    found: dict[ImageID, None] = {}
    at = image
    while at.parent is not None and at.parent != image.id and at.parent not in found:
        found[at.parent] = None
        parent = snapshot.by_id.get(at.parent)
        if parent is None:
            break
        at = parent
    return tuple(found)
