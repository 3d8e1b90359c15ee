"""``store.usage``: disk usage, by podman's arithmetic.

Source: libimage ``disk_usage.go``, podman ``cmd/podman/system/df.go`` (5.8; before, sharing was guessed from parents).

::

    images_size    every layer of every store once, as recorded, and all big data of all images
    shared         an image's layers that another image has, too
    unique         its other layers, and its big data
    size           both
    reclaimable    images_size less the unique part of images that a container uses
    container      its own layer, its big data and the files of its two folders
    freed          what removing this one image frees: the layers that nothing else needs, and the big data,
                   also of the untagged parents that are removed with it

Two sums are better than podman's, which fails completely if an image's layer has no size or an image is damaged: those
sizes are measured or null. A container's own layer counts in ``images_size`` as recorded, which is nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

from msgspec import Struct

from storaged.operations.container_list import Owner
from storaged.snapshot.model import Image, Layer, Snapshot
from storaged.snapshot.sizes import in_common, layer_size, top_layers, union
from storaged.store.layout.records import ImageID, LayerID
from storaged_client.contract.types import ContainerUsage, ImageUsage, StoreUsage, Timestamp, VolumeUsage


class _Parts(Struct, frozen=True):
    """Bytes from each layer to its base, by whether other images have the layer as well."""

    shared: dict[LayerID, int | None]
    unique: dict[LayerID, int | None]


def usage(snapshot: Snapshot) -> StoreUsage:
    """The usage of the whole store, in time linear in its records (and the layers that are freed)."""
    parts, mapped = _parts(snapshot), _mapped(snapshot)
    images = tuple(_image(snapshot, image, parts, mapped) for image in snapshot.images)
    size = _sum((*_layer_sizes(snapshot), *map(_data, snapshot.images)))
    used = _sum({row.id: row.unique for row in images if row.containers}.values())
    containers = tuple(_containers(snapshot))
    volumes = snapshot.known_sizes.volumes
    return StoreUsage(
        images_size=size,
        images_reclaimable=size - used if size is not None and used is not None else None,
        images=images,
        containers_size=_sum(row.size for row in containers),
        containers=containers,
        volumes_size=_sum(volumes.values()) if volumes is not None else None,
        volumes=tuple(VolumeUsage(name=name, size=size) for name, size in volumes.items())
        if volumes is not None
        else None,
        sizes_pending=sum(layer.size_pending for layer in snapshot.layers),
    )


def _sum(sizes: Iterable[int | None]) -> int | None:
    total = 0
    for size in sizes:
        if size is None:
            return None
        total += size
    return total


def _data(image: Image) -> int:
    """As podman: every size in the record."""
    return sum((image.record.big_data_sizes or {}).values())


def _layer_sizes(snapshot: Snapshot) -> Iterator[int | None]:
    of_images = {image.chain.layer for image in snapshot.images if image.chain is not None}
    for layer in reversed(snapshot.forest.top_down):
        parent = snapshot.forest.below(layer)
        if layer in of_images and parent is not None:
            of_images.add(parent)
    for row in snapshot.layers:
        recorded = layer_size(row.record)
        if recorded is not None:
            yield recorded
        elif row.id in of_images or row.record.diff_size == -1:
            yield row.size
        else:
            yield max(0, row.record.diff_size or 0)


def _parts(snapshot: Snapshot) -> _Parts:
    tree = snapshot.forest
    users: dict[LayerID, int] = {}
    for image in snapshot.images:
        previous: LayerID | None = None
        tops = (top for top in top_layers(image.record) if top in tree.by_id)
        for top in sorted(tops, key=tree.position.__getitem__):
            users[top] = users.get(top, 0) + 1
            common = in_common(previous, top, tree) if previous is not None else None
            if common is not None:
                users[common] = users.get(common, 0) - 1
            previous = top
    for layer in reversed(tree.top_down):
        parent = tree.below(layer)
        if parent is not None:
            users[parent] = users.get(parent, 0) + users.get(layer, 0)
    shared: dict[LayerID, int | None] = {}
    unique: dict[LayerID, int | None] = {}
    for layer in tree.top_down:
        size = snapshot.layer_by_id[layer].size
        parent = tree.below(layer)
        own, other = (shared, unique) if users.get(layer, 0) > 1 else (unique, shared)
        under = own[parent] if parent is not None else 0
        own[layer] = size + under if size is not None and under is not None else None
        other[layer] = other[parent] if parent is not None else 0
    return _Parts(shared, unique)


def _mapped(snapshot: Snapshot) -> dict[LayerID, set[ImageID]]:
    """The images whose mapped copy a layer is: the layer itself only names those whose top layer it is."""
    found: dict[LayerID, set[ImageID]] = {}
    for image in snapshot.images:
        for layer in image.record.mapped_layers or ():
            found.setdefault(layer, set()).add(image.id)
    return found


def _image(snapshot: Snapshot, image: Image, parts: _Parts, mapped: Mapping[LayerID, set[ImageID]]) -> ImageUsage:
    tops = top_layers(image.record)
    shared, unique = (union(tops, snapshot.forest, part) for part in (parts.shared, parts.unique))
    if any(top in snapshot.forest.damage for top in tops):
        shared = unique = None
    unique = unique + _data(image) if unique is not None else None
    return ImageUsage(
        id=image.id,
        names=image.names,
        created=cast("Timestamp", image.record.created),
        read_only=image.read_only,
        size=shared + unique if shared is not None and unique is not None else None,
        shared=shared,
        unique=unique,
        freed=_freed(snapshot, image, mapped),
        containers=len(image.containers),
    )


def _freed(snapshot: Snapshot, image: Image, mapped: Mapping[LayerID, set[ImageID]]) -> int | None:
    """Bytes that removing the image frees; zero for a read-only one."""
    if image.read_only:
        return 0
    leaving = _leaving(snapshot, image)
    gone: set[LayerID] = set()
    total: int | None = sum(map(_data, leaving.values()))
    for top in {top for each in leaving.values() for top in top_layers(each.record)}:
        layer = snapshot.layer_by_id.get(top)
        while layer is not None and layer.id not in gone and _is_freed(snapshot, layer, leaving, gone, mapped):
            gone.add(layer.id)
            total = total + layer.size if total is not None and layer.size is not None else None
            layer = snapshot.layer_by_id.get(layer.record.parent) if layer.record.parent else None
    return total


def _leaving(snapshot: Snapshot, image: Image) -> dict[ImageID, Image]:
    """The image, and the parents that podman removes with it: each untagged, in no list, without another child."""
    found = {image.id: image}
    at = snapshot.by_id.get(image.parent) if image.parent is not None else None
    while at is not None and at.id not in found:
        if at.names or at.in_lists or at.containers or at.read_only or any(child not in found for child in at.children):
            break
        found[at.id] = at
        at = snapshot.by_id.get(at.parent) if at.parent is not None else None
    return found


def _is_freed(
    snapshot: Snapshot,
    layer: Layer,
    leaving: Mapping[ImageID, Image],
    gone: set[LayerID],
    mapped: Mapping[LayerID, set[ImageID]],
) -> bool:
    """Whether nothing that stays needs the layer."""
    return not (
        layer.store
        or layer.containers
        or layer.id in snapshot.forest.under_incomplete
        or layer.id in snapshot.half_made_layers
        or not mapped.get(layer.id, set()) <= leaving.keys()
        or any(image not in leaving for image in layer.images)
        or any(child not in gone for child in layer.children)
    )


def _containers(snapshot: Snapshot) -> Iterator[ContainerUsage]:
    known = snapshot.known_sizes
    for container in snapshot.containers:
        record = container.record
        layer = snapshot.layer_by_id.get(record.layer) if record.layer else None
        files, why_not = known.containers.get(container.id), known.container_reasons.get(container.id)
        yield ContainerUsage(
            id=container.id,
            names=record.names or (),
            image=record.image or None,
            created=cast("Timestamp", record.created),
            owner=cast("Owner", container.owner),
            size=_sum((layer.size, files, *(record.big_data_sizes or {}).values())) if layer is not None else None,
            size_pending=layer is not None and (layer.size_pending or (files is None and why_not is None)),
            size_reason=layer.size_reason or why_not if layer is not None else "it has no layer in the store",
        )
