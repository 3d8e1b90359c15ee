"""Images of which a layer is lost: what describes their layers ends with an error, as podman's commands do."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .wire import Damage

_LOST = ("TopLayerMissing", "ParentLayerMissing", "LayerCycle")


def require_layers(image: str, damage: Damage | None) -> None:
    """See that the layers of the image are there.

    Raises:
        ImageDamaged: one is not.
    """
    if damage is not None and damage["name"] in _LOST:
        from storaged_client.contract.errors import ImageDamaged

        raise ImageDamaged(f"image {image[:12]}: {damage['detail']}: layer not known", {"id": image})
