"""The driver of a store, chosen by its name: where the layers lie, and what belongs to one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from storaged.store.drivers.overlay import OverlayContents
from storaged.store.drivers.vfs import VfsContents
from storaged.store.files import Files
from storaged.store.layout.records import LayerID
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import StoreUnsupported


class LayerContents(Protocol):
    """What a removal must know of a driver. Paths are absolute."""

    home: str
    """The driver's own folder."""
    layers: str
    """The folder of the layers' folders."""
    staging: str
    """The folder of staged deletions."""

    def short_name(self, layer: LayerID) -> str | None:
        """Another name under which a layer lies, where the driver gives it one.

        Raises:
            OSError: it cannot be looked at.
        """

    def pieces(self, layer: LayerID, short: str | None) -> tuple[str, ...]:
        """The paths that make up a layer, in the order they go; some may be missing.

        Raises:
            OSError: they cannot be looked at.
        """

    def pulls(self) -> Iterable[str]:
        """Lock files of pulls that copy files out of layers; some may be missing.

        Raises:
            OSError: they cannot be looked for.
        """


def contents_of(location: StoreLocation, files: Files) -> LayerContents:
    """The driver of the writable store.

    Raises:
        StoreUnsupported: layers of this driver, or of a store of this shape, are not removed.
    """
    if location.image_store is not None or location.transient:
        shape = "split" if location.image_store is not None else "transient"
        raise StoreUnsupported(f"layers of a {shape} store are not removed; use podman", driver=location.driver)
    match location.driver:
        case "overlay":
            return OverlayContents(location.graphroot, files)
        case "vfs":
            return VfsContents(location.graphroot)
        case driver:
            raise StoreUnsupported(
                f"layers of the driver {driver} are not removed; use podman rmi or podman image prune", driver=driver
            )
