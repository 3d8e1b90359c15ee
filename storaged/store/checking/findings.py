"""The catalogue of findings: stable names, severity, and what each endangers.

A finding says what is wrong with one subject (a record, a directory, a link). What else is broken because of it is
listed in ``images``, not in further findings.
"""

from __future__ import annotations

from typing import Final, Literal

from msgspec import Struct

Severity = Literal["fatal", "damage", "warning", "debris"]
"""``fatal``: commands fail, or wrongly succeed, for the whole store; ``damage``: one image, layer or container does not
work; ``warning``: works now, or only with some tools; ``debris``: takes space but does no harm."""

Subject = Literal["store", "table", "image", "layer", "container", "file"]


class Finding(Struct, frozen=True, kw_only=True):
    """One problem. ``id`` identifies the subject: a record's id, or a path for tables and files."""

    name: str
    severity: Severity
    kind: Subject
    id: str
    store: int
    """0 is the writable store, others count the additional ones."""
    file: str | None
    detail: str
    endangers: str
    images: tuple[str, ...]
    """Ids of images that need the subject, at most 32."""
    mend: str | None
    """A command or instruction that repairs it without losing data, or None."""


_ALL: Final = "every command of podman, buildah and skopeo on this store"
_ERASED: Final = (
    "all records of the table: podman 5 fails on every command, podman 4.3 takes the table for empty "
    "and overwrites it with its next change"
)
_LISTING: Final = "the listing of images: `podman images` and prune fail as a whole"
_PRUNE: Final = (
    "the listing of images, which fails as a whole, and the untagged images that the list names: prune may go by it"
)
_IMAGE: Final = "the image: it cannot be run, inspected or copied"
_IMAGES: Final = "the images on this layer: they cannot be mounted, run or built upon"
_OLD_TOOLS: Final = "the images on this layer, with tools before containers/storage 1.63: they do not use lower-layers"
_NEW_TOOLS: Final = "the images on this layer, with containers/storage 1.63 and later: lower-layers is all they read"
_PUSH: Final = "push and save of the images on this layer: their digests may not come out as recorded"
_CONTENT_LOST: Final = "the images on this layer: they start without its files, or not at all"
_CONTENT: Final = "what the images on this layer run: it may not be what was pulled"
_CONTAINER: Final = "the container: it cannot be started again, or not inspected in full"
_NAMES: Final = "the name: one of the records loses it at the next change"
_LOOKUP: Final = "look-ups of this name or digest: the wrong record, or none, may be found"
_ALGORITHM: Final = (
    "work with tools that do not know the digest's algorithm, all up to containers/storage 1.64: "
    "where it is a digest of an image they refuse the whole table"
)
_NEXT_OPEN: Final = "nothing that is finished: the next command of podman removes the layer"
_SPACE: Final = "disk space only"

CATALOGUE: Final[dict[str, tuple[Severity, str]]] = {
    # tables
    "store_missing": ("warning", "the images of this additional store: they are not seen"),
    "table_unreadable": ("fatal", _ERASED),
    "table_lost": ("fatal", "all records of the table: their files are there, nothing knows them any more"),
    "record_null": ("fatal", _ALL),
    "record_malformed": ("fatal", _ERASED),
    "record_id_malformed": ("warning", "the record's files: garbage collection does not recognise their names"),
    "time_malformed": ("fatal", _ERASED),
    "image_digest_invalid": ("fatal", _ALL),
    "digest_invalid": ("warning", _LOOKUP),
    "digest_not_verifiable": ("warning", _ALGORITHM),
    "digest_unusual": ("warning", _ALGORITHM),
    "id_duplicate": ("damage", _LOOKUP),
    "name_duplicate": ("warning", _NAMES),
    "name_invalid": ("fatal", _LISTING),
    # records compared with each other
    "image_half_made": ("damage", _IMAGE),
    "image_layer_missing": ("damage", _IMAGE),
    "image_mapped_layer_missing": ("warning", "the removal of the image, and containers with its ID map"),
    "layer_parent_missing": ("damage", _IMAGES),
    "layer_cycle": ("damage", _IMAGES),
    "layer_incomplete": ("warning", _NEXT_OPEN),
    "container_image_missing": ("warning", _CONTAINER),
    "container_layer_missing": ("damage", _CONTAINER),
    # images compared with their files
    "image_directory_missing": ("fatal", _LISTING),
    "big_data_missing": ("damage", _IMAGE),
    "big_data_unreadable": ("damage", _IMAGE),
    "big_data_size": ("damage", _IMAGE),
    "big_data_digest": ("damage", _IMAGE),
    "big_data_extra": ("debris", _SPACE),
    "manifest_missing": ("fatal", _LISTING),
    "manifest_undecodable": ("fatal", _LISTING),
    "config_undecodable": ("fatal", _LISTING),
    "config_missing": ("fatal", _LISTING),
    "config_mismatch": ("fatal", _LISTING),
    "config_unnamed": ("damage", _IMAGE),
    "evidence_unreadable": ("fatal", _PRUNE),
    "instances_missing": ("fatal", _LISTING),
    "instances_undecodable": ("fatal", _LISTING),
    "artifacts_undecodable": ("fatal", _LISTING),
    # layers compared with their files
    "layer_directory_missing": ("damage", _IMAGES),
    "layer_diff_missing": ("damage", _IMAGES),
    "layer_content_lost": ("damage", _CONTENT_LOST),
    "link_file_lost": ("damage", _IMAGES),
    "link_lost": ("damage", _IMAGES),
    "link_wrong": ("damage", _IMAGES),
    "lower_lost": ("damage", _OLD_TOOLS),
    "lower_wrong": ("damage", _OLD_TOOLS),
    "lower_layers_empty": ("damage", _NEW_TOOLS),
    "lower_layers_wrong": ("damage", _NEW_TOOLS),
    "tar_split_missing": ("warning", _PUSH),
    "tar_split_empty": ("damage", _PUSH),
    "tar_split_undecodable": ("damage", _PUSH),
    "layer_content_differs": ("warning", _CONTENT),
    # files without a record
    "image_directory_orphan": ("debris", _SPACE),
    "layer_directory_orphan": ("debris", _SPACE),
    "layer_data_orphan": ("debris", _SPACE),
    "tar_split_orphan": ("debris", _SPACE),
    "container_directory_orphan": ("debris", _SPACE),
    "link_orphan": ("debris", _SPACE),
    "temporary_left": ("debris", _SPACE),
    "staging_stale": ("debris", _SPACE),
    # files that we may read but cannot
    "file_unreadable": ("damage", "whatever needs the file: the file system or the disk refuses to read it"),
}
"""Every finding by name, with its severity and what it endangers."""


def finding(
    name: str,
    kind: Subject,
    id: str,
    detail: str,
    *,
    store: int = 0,
    file: str | None = None,
    images: tuple[str, ...] = (),
    mend: str | None = None,
) -> Finding:
    """Make a finding of the catalogue."""
    severity, endangers = CATALOGUE[name]
    return Finding(
        name=name,
        severity=severity,
        kind=kind,
        id=id,
        store=store,
        file=file,
        detail=detail,
        endangers=endangers,
        images=images,
        mend=mend,
    )
