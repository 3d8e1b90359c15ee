"""``images.create``: creates an image from a configuration only, like a build ``FROM scratch`` that adds no file.

::

    id              sha256 of the configuration's bytes
    manifest        OCI: the configuration, no layer
    record          no layer; big data in upstream's order: sha256:<id>, manifest-<digest>, manifest

If the id exists already, the image is given the names, as upstream does. ``new_config`` checks the configuration.

Source: image ``storage_dest.go`` (Commit), containers/storage ``images.go``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from storaged.operations.new_config import checked, config_bytes, created
from storaged.operations.tagging import history_after, naming_members, new_name, taken_from_others
from storaged.snapshot.model import Image, Snapshot
from storaged.store.changes import Change, ChangeSet, ImageEdit, Item, NewImage
from storaged.store.layout.edit import emit, encode
from storaged.store.layout.records import Digest, ImageID, digest_of
from storaged_client.contract.errors import ImageDamaged, StoreBusy
from storaged_client.contract.params import ImagesCreate
from storaged_client.contract.types import Created

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


def create(snapshot: Snapshot, params: ImagesCreate, now: str) -> ChangeSet[Created]:
    """Create an image from a configuration with the given names, which are taken from other images.

    ``now`` (RFC 3339) is the time of creation, unless the configuration has one.

    Raises:
        InvalidParams: the configuration is not that of an image without layers.
        InvalidName: a name is not a reference, or has a digest.
        ImageDamaged: the image exists, and has a layer that its configuration does not have.
        StoreBusy: another tool is creating the same image.
    """
    data = config_bytes(params.config)
    config = checked(data)
    given = [new_name(name) for name in params.names]
    own = ImageID(hashlib.sha256(data).hexdigest())
    known = snapshot.by_id.get(own)
    if known is not None and known.read_only:
        known = None
    if known is None and own in snapshot.half_made:
        raise StoreBusy(f"image {own[:12]} is being made by another tool; try again", id=own)
    moves, moved = taken_from_others(snapshot, given, own)
    if known is not None:
        change, names = _renamed(known, given, moves, data)
        return ChangeSet(change=change, result=Created(ids=(own,), names=names, moved_from=moved))
    names = tuple(dict.fromkeys(reversed(given)))
    items, digest = _items(own, data)
    members = {
        "id": own,
        "digest": digest,
        **naming_members(names, history_after((), names)),
        "metadata": "{}",
        "created": created(config) or now,
    }
    return ChangeSet(
        change=Change(edits=moves, added=(NewImage(members=members, items=items),)),
        result=Created(ids=(own,), names=names, moved_from=moved),
    )


def _renamed(
    image: Image, given: Sequence[str], moves: tuple[ImageEdit, ...], data: bytes
) -> tuple[Change, tuple[str, ...]]:
    """Give the names to an existing image, and restore its bytes if it has lost them."""
    if image.record.layer:
        raise ImageDamaged(
            f"image {image.id[:12]} is in the store with a layer that its configuration does not have: remove it first",
            id=image.id,
        )
    names = tuple(dict.fromkeys((*reversed(given), *image.names)))
    history = history_after(image.record.names_history or (), names)
    members = naming_members(names, history) if given else {}
    items = _items(image.id, data)[0] if image.content.damage else ()
    same = names == image.names and history == (image.record.names_history or ()) and not moves
    if not items and (not given or same):
        return Change(), image.names
    return Change(edits=(*moves, ImageEdit(image=image.id, members=members, items=items))), names


def _items(own: ImageID, data: bytes) -> tuple[tuple[Item, ...], Digest]:
    """The big data, and the digest of the manifest."""
    config = {"mediaType": encode(CONFIG_TYPE), "digest": encode(f"sha256:{own}"), "size": encode(len(data))}
    manifest = emit(
        {
            "schemaVersion": encode(2),
            "mediaType": encode(MANIFEST_TYPE),
            "config": emit(config),
            "layers": encode([]),
        }
    )
    digest = digest_of(manifest)
    items = (
        Item(key=f"sha256:{own}", data=data),
        Item(key=f"manifest-{digest}", data=manifest),
        Item(key="manifest", data=manifest),
    )
    return items, digest
