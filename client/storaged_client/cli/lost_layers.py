"""Refuses images with a lost layer in commands that describe layers, like podman's commands."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..contract.plain import Damage

_LOST = ("TopLayerMissing", "ParentLayerMissing", "LayerCycle")


def require_layers(image: str, damage: Damage | None) -> None:
    """Check that the layers of the image exist.

    Raises:
        ImageDamaged: one does not.
    """
    if damage is not None and damage["name"] in _LOST:
        from storaged_client.contract.errors import ImageDamaged

        raise ImageDamaged(f"image {image[:12]}: {damage['detail']}: layer not known", {"id": image})
