"""Determines what is left to do of a dead transaction, from the present tables. Pure.

::

    deletion    no record was removed yet ...... it never happened
                some were ...................... layers that nobody needs and, if all images are gone, the
                                                 containers: remove records and files, and files without a record
    editing     no file is in its place yet .... it never happened
                every file is, and the record .. it is done
                some are ....................... all must follow, and the record
                the record differs ............. another tool has written the list since: do nothing

Other tools have worked on the store meanwhile. What they recorded or need since is theirs: whatever has an image, a
container or a child layer stays, and so does a layer that was created again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import Struct, field

from storaged.store.changes import Change
from storaged.store.layout.records import ContainerID, ContainerRecord, Digest, ImageID, ImageRecord, LayerID
from storaged.store.tables import StoreTables
from storaged.store.writing.entries import Deletion, Editing


class Orphans(Struct, frozen=True, kw_only=True):
    """Ids whose files are removed unless they have a record. The files need not exist."""

    layers: tuple[LayerID, ...] = ()
    images: tuple[ImageID, ...] = ()
    containers: tuple[ContainerID, ...] = ()
    links: Mapping[LayerID, str] = field(default_factory=dict)
    """Short names of layers."""


def rest_of(entry: Deletion, tables: StoreTables) -> tuple[Change, Orphans]:
    """What is left of a deletion: records for a change to remove, and ids that may have files without a record."""
    images = {row.record.id: row.record for row in tables.images if row.store == 0}
    containers = {row.record.id for row in tables.containers if row.store == 0}
    layers = {row.record.id: row.record for row in tables.layers if row.store == 0}
    gone = tuple([image for image in entry.images if image not in images])
    away = tuple([each for each in entry.containers if each not in containers])
    # A deletion removes all images at once: if only some are gone, another tool removed them, and the containers are
    # not ours to remove.
    whole = len(gone) == len(entry.images) and bool(gone or away)
    left = tuple([each for each in entry.containers if each in containers]) if whole else ()
    begun = bool(gone or away)
    going = [layer for layer in entry.layers if layer in layers and (begun or layers[layer].incomplete)]
    # A pull in progress has layers for a while before it has an image.
    going = [layer for layer in going if layers[layer].created == entry.times.get(layer, layers[layer].created)]
    needed = _needed(tables, going, frozenset(left))
    change = Change(layers=tuple([layer for layer in going if layer not in needed]), containers=left)
    lost = [layer for layer in entry.layers if layer not in layers]
    kept = _needed(tables, lost, frozenset(left))  # its record is lost, but it is still used
    lost = [layer for layer in lost if layer not in kept]
    return change, Orphans(layers=tuple(lost), images=gone, containers=away, links=entry.links)


def _needed(tables: StoreTables, going: list[LayerID], leaving: frozenset[ContainerID]) -> set[LayerID]:
    """Those of ``going`` that something needs which stays."""
    wanted = frozenset(going)
    needed: set[LayerID] = set()
    for image in tables.images:
        needed |= wanted.intersection(_layers_of(image.record))
    for container in tables.containers:
        if container.record.id not in leaving:
            needed |= wanted.intersection(_layer_of(container.record))
    parents = {row.record.id: row.record.parent for row in tables.layers}
    needed |= {parent for layer, parent in parents.items() if parent in wanted and layer not in wanted}
    # What stays keeps the layers below it.
    waiting = list(needed)
    while waiting:
        parent = parents.get(waiting.pop())
        if parent is not None and parent in wanted and parent not in needed:
            needed.add(parent)
            waiting.append(parent)
    return needed


def _layers_of(record: ImageRecord) -> tuple[LayerID, ...]:
    return (*(() if record.layer is None else (record.layer,)), *(record.mapped_layers or ()))


def _layer_of(record: ContainerRecord) -> tuple[LayerID, ...]:
    return () if record.layer is None else (record.layer,)


def standing(
    entry: Editing, record: ImageRecord | None, places: Mapping[str, Digest | None]
) -> Literal["over", "forward"]:
    """Whether an edit has to be continued. ``places`` has the digest of the file in each item's place."""
    if record is None:
        return "over"
    recorded = record.big_data_digests or {}
    if all(recorded.get(item.key) == item.digest for item in entry.items):
        return "over"
    if any(recorded.get(item.key) not in (item.before, item.digest) for item in entry.items):
        return "over"
    moved = any(places[item.key] == item.digest != recorded.get(item.key) for item in entry.items)
    return "forward" if moved else "over"
