"""Checks the part of a layer that every driver has: the tar-split beside the layer records."""

from __future__ import annotations

from collections.abc import Iterator

from storaged.store.checking import repair_hints, tar_split
from storaged.store.checking.findings import Finding, finding
from storaged.store.checking.look import Look
from storaged.store.checking.state import layer_roots
from storaged.store.files import open_regular
from storaged.store.layout import paths
from storaged.store.layout.digest_forms import hasher_of, is_digest
from storaged.store.tables import LayerRow

_GZIP = b"\x1f\x8b"


def layer_finding(
    look: Look, row: LayerRow, name: str, detail: str, file: str, mend: str | None = None, *, refetch: bool = True
) -> Finding:
    """Make a finding of a layer. Without its own repair hint it suggests to pull the images on the layer, if that
    helps."""
    images = look.state.images_on(row.record.id)
    if mend is None and refetch and row.store == 0:
        mend = repair_hints.replace(look.state, images)
    return finding(name, "layer", row.record.id, detail, store=row.store, file=file, images=images, mend=mend)


def check_vfs_layer(look: Look, row: LayerRow) -> Iterator[Finding | None]:
    """A layer of the vfs driver: ``vfs/dir/<id>/`` is its whole file system.

    Raises:
        OSError: an existing file cannot be read.
    """
    folder = look.layer_folder(row)
    if look.kind_of(folder) != "directory":
        yield layer_finding(look, row, "layer_directory_missing", "its folder is missing", folder)
        return
    yield from check_tar_split(look, row, folder, whole=True)


def check_tar_split(look: Look, row: LayerRow, folder: str, *, whole: bool) -> Iterator[Finding | None]:
    """Check the tar-split of one layer; in scope ``contents`` also the tar that it forms with the files in ``folder``.

    ``whole`` says that the folder holds the layer's files under their own names. Yields None now and then.

    Raises:
        OSError: an existing file cannot be read.
    """
    record = row.record
    candidates = [
        paths.tar_split(root, look.location.driver, record.id) for root in layer_roots(look.location, row.store)
    ]
    path = next((path for path in candidates if look.kind_of(path) is not None), None)
    if path is None:
        if record.diff_digest is not None and record.toc_digest is None:
            detail = "there is no tar-split: the tar must be rebuilt from the files and will rarely be the same"
            yield layer_finding(look, row, "tar_split_missing", detail, candidates[0])
        return
    if look.kind_of(path) != "file":
        yield layer_finding(look, row, "tar_split_undecodable", "there is no regular file", path)
        return
    fd = open_regular(look.files, path, follow=False)
    try:
        head = look.files.read(fd, len(_GZIP))
    finally:
        look.files.close(fd)
    if not head:
        yield layer_finding(look, row, "tar_split_empty", "the tar-split has no bytes", path)
    elif head != _GZIP:
        yield layer_finding(look, row, "tar_split_undecodable", "no gzip", path)
    elif whole and (gone := _gone(look, path, folder)) is not None:
        yield layer_finding(look, row, "layer_content_lost", gone, folder)
    elif look.scope == "contents":
        yield from _contents(look, row, path, folder, whole)


def _gone(look: Look, path: str, folder: str) -> str | None:
    """The evidence that the layer's files are gone. Scope ``contents`` reports other problems of its tar-split."""
    try:
        return tar_split.lost(look.files, path, folder)
    except tar_split.Undecodable:
        return None


def _contents(look: Look, row: LayerRow, path: str, folder: str, whole: bool) -> Iterator[Finding | None]:
    record = row.record
    digest = record.diff_digest if record.diff_digest and is_digest(record.diff_digest) else None
    if digest is not None and hasher_of(digest) is None:
        digest = None  # cannot be verified
    try:
        if digest is None or not whole:
            for count, _ in enumerate(tar_split.read_entries(look.files, path)):
                if count % 65536 == 65535:
                    yield None
            return
        yield from tar_split.compare(look.files, path, folder, digest, record.diff_size)
    except tar_split.Undecodable as error:
        yield layer_finding(look, row, "tar_split_undecodable", str(error), path)
    except tar_split.Differs as error:
        yield layer_finding(look, row, "layer_content_differs", str(error), folder)
