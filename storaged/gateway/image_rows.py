"""One image as a row of podman's listings, encoded once for each kind of row and kept with the snapshot.

::

    podman's tree    Id bare, RepoTags null where there are none, VirtualSize, IsManifestList, Arch and Os of images
    Docker's tree    Id with sha256:, RepoTags [] where there are none, SharedSize -1 unless asked for, VirtualSize only
                     for clients that ask in a version below 1.44; manifest lists are no rows

Source: podman 5.8 ``entities.ImageSummary`` on the wire. A size that is not known yet is 0: the API has no null for it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from storaged.engine.row_cache import RowCache
from storaged.operations.image_list import summary
from storaged.snapshot.model import Image, Snapshot
from storaged_client import times
from storaged_client.podman import names
from storaged_client.podman.measures import GO_ZERO

LIBPOD: Final = "libpod"
DOCKER: Final = "docker"
"""Kinds of rows; Docker's may end in ``+shared`` and ``+virtual``."""

_encoder = msgspec.json.Encoder()


def kind_of(*, libpod: bool, shared: bool, virtual: bool) -> str:
    """The kind of row that a request wants."""
    if libpod:
        return LIBPOD
    return f"{DOCKER}{'+shared' if shared else ''}{'+virtual' if virtual else ''}"


def encoded(
    snapshot: Snapshot,
    rows: RowCache,
    images: Sequence[Image],
    kind: str,
    some_names: Mapping[int, tuple[str, ...]],
) -> list[bytes]:
    """A JSON array of these images' rows, in pieces to be joined.

    ``some_names``: by ``id()``, the names of those images that are listed under some of their names only.
    """
    pieces: list[bytes] = []
    for image in images:
        shown = some_names.get(id(image))
        if shown is not None:
            pieces.append(b"," + _encoder.encode(row(snapshot, image, kind, shown)))
            continue
        piece = rows.texts.find(kind, image)
        if piece is None:
            piece = rows.texts.keep(kind, image, b"," + _encoder.encode(row(snapshot, image, kind)))
        pieces.append(piece)
    if pieces:
        pieces[0] = pieces[0][1:]
    return [b"[", *pieces, b"]"]


def row(snapshot: Snapshot, image: Image, kind: str, shown: Sequence[str] | None = None) -> dict[str, Any]:
    """One row; ``shown`` are the names to list it under, None for all of them."""
    told = summary(snapshot, image)
    libpod = kind == LIBPOD
    all_names = list(told.names if shown is None else shown)
    size = told.size or 0
    made: dict[str, Any] = {
        "Id": told.id if libpod else f"sha256:{told.id}",
        "ParentId": told.parent or "",
        "RepoTags": all_names or (None if libpod else []),
        "RepoDigests": names.repository_digests(all_names, list(told.digests)),
        "Created": unix_seconds(image.record.created),
        "Size": size,
        "SharedSize": 0 if libpod or "+shared" in kind else -1,
    }
    if libpod or "+virtual" in kind:
        made["VirtualSize"] = size
    made["Labels"] = dict(sorted(told.labels.items())) if told.labels is not None else None
    made["Containers"] = told.containers
    if told.read_only:
        made["ReadOnly"] = True
    if told.dangling:
        made["Dangling"] = True
    arch, os = (told.architecture, told.os) if libpod and not told.manifest_list else (None, None)
    optional = {
        "Arch": arch,
        "Digest": told.digest,
        "History": list(told.names_history),
        "IsManifestList": told.manifest_list if libpod else None,
        "Names": all_names,
        "Os": os,
    }
    made.update((name, value) for name, value in optional.items() if value or (value is False))
    return made


def unix_seconds(time: str | None) -> int:
    """Whole seconds since 1970; Go's zero time if the time is missing or not valid."""
    try:
        return times.instant(time)[0] if time is not None else GO_ZERO
    except ValueError:
        return GO_ZERO
