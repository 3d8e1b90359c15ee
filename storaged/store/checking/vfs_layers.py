"""Checks one layer of the vfs driver: ``vfs/dir/<id>/`` is the whole file system of the layer, with nothing beside
it."""

from __future__ import annotations

from collections.abc import Iterator

from storaged.store.checking.findings import Finding
from storaged.store.checking.layer_data import check_tar_split, layer_finding
from storaged.store.checking.look import Look
from storaged.store.tables import LayerRow


def check_vfs_layer(look: Look, row: LayerRow) -> Iterator[Finding | None]:
    """Raises: OSError: a file that is there cannot be read."""
    folder = look.layer_folder(row)
    if look.kind_of(folder) != "directory":
        yield layer_finding(look, row, "layer_directory_missing", "its folder is missing", folder)
        return
    yield from check_tar_split(look, row, folder, whole=True)
