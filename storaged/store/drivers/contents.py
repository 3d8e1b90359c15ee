"""Selects a store's driver by name: where its layers are, and what belongs to one."""

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
    """What a removal needs to know of a driver. Paths are absolute."""

    home: str
    """The driver's own folder."""
    layers: str
    """The folder that contains the layers' folders."""
    staging: str
    """The folder of staged deletions."""

    def short_name(self, layer: LayerID) -> str | None:
        """A second name of a layer on disk, if the driver gives it one.

        Raises:
            OSError: it cannot be examined.
        """

    def pieces(self, layer: LayerID, short: str | None) -> tuple[str, ...]:
        """The paths that make up a layer, in the order of removal; some may be missing.

        Raises:
            OSError: they cannot be examined.
        """

    def pulls(self) -> Iterable[str]:
        """Lock files of pulls that copy files out of layers; some may be missing.

        Raises:
            OSError: they cannot be listed.
        """


def contents_of(location: StoreLocation, files: Files) -> LayerContents:
    """The driver of the writable store.

    Raises:
        StoreUnsupported: layers of this driver, or of a store of this kind, cannot be removed.
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
