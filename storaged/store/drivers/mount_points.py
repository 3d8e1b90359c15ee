"""Finds out what a store has mounted: from the kernel's table, and from the store's own counts.

::

    /proc/self/mountinfo                         mounts of our mount namespace, see proc(5)
    runroot/drv-layers/mountpoints.json          [{"id": layer, "path": …, "count": n}, …], of all namespaces

The counts are written under layers.lock and mountpoints.lock, so they do not change while we hold layers.lock for
writing. A user's podman mounts in its own namespace, which only the counts show. Source: containers/storage
``layers.go`` (saveMounts).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import msgspec

from storaged.store.files import Files, Identity, NotAFile, identity, read_whole
from storaged.store.layout.decoding import bounded
from storaged.store.layout.paths import layers_dir
from storaged.store.layout.records import LayerID
from storaged.store.mountinfo import mounts
from storaged.store.tables import StoreLocation
from storaged_client.contract.errors import StoreCorrupt

_LIMIT = 64 << 20


class _Count(msgspec.Struct, frozen=True):
    id: LayerID
    path: str = ""
    count: int = 0


_counts = bounded(msgspec.json.Decoder(list[_Count] | None).decode)


def counted_file(location: StoreLocation) -> str:
    return os.path.join(layers_dir(location.runroot, location.driver), "mountpoints.json")


def counted(location: StoreLocation, files: Files) -> tuple[dict[LayerID, str], Identity | None]:
    """The layers that the store counts as mounted, with their mount points, and the identity of the file.

    Raises:
        StoreCorrupt: the file cannot be parsed.
        OSError: it cannot be read.
    """
    path = counted_file(location)
    try:
        data, seen = read_whole(files, path, _LIMIT)
        mounts = _counts(data) if data else None
    except FileNotFoundError:
        return {}, None
    except (msgspec.MsgspecError, NotAFile) as error:
        detail = f"it does not tell which layers are mounted: {error}"
        raise StoreCorrupt(f"{path}: {detail}", file=path, detail=detail) from None
    return {mount.id: mount.path for mount in mounts or () if mount.count > 0}, seen


def count_identity(location: StoreLocation, files: Files) -> Identity | None:
    """The identity that :func:`counted` would return now.

    Raises:
        OSError: the file cannot be examined.
    """
    try:
        return identity(files.stat(counted_file(location)))
    except FileNotFoundError:
        return None


def mount_points(files: Files) -> tuple[str, ...]:
    """Every mount point in our mount namespace, as the kernel writes it: absolute, without links.

    Raises:
        OSError: the table cannot be read.
    """
    return tuple(mount.point for mount in mounts(files))


def below(points: Iterable[str], folder: str) -> Iterator[tuple[str, str]]:
    """The mount points below a folder: the name of the entry at or above each, and the mount point itself."""
    prefix = f"{folder.rstrip('/')}/"
    for point in points:
        if point.startswith(prefix):
            yield point[len(prefix) :].split("/", 1)[0], point
