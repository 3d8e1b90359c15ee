"""Resolves a name to an image: ``images.resolve``, ``images.exists``, and the look-up of every other method.

``name_lookup`` defines the order in which a name is tried. **Manifest lists**: a name of a list means its instance for
this platform, as in podman. If no such instance is local, ``exists`` and ``resolve`` say so, while the methods that
describe (``get``, ``why``, ``relations``, ``data``) describe the list itself, so that every name can be described. With
``manifest``, the list itself is meant, and anything else is an error.
"""

from __future__ import annotations

from storaged.operations.name_lookup import Found, hits, shortened, visible
from storaged.operations.query_context import QueryContext
from storaged.snapshot.model import Image, Snapshot
from storaged.store.layout.records import Digest
from storaged_client.contract.errors import ImageDamaged, ImageUnknown, NotAManifestList
from storaged_client.contract.types import Resolved


def resolve(snapshot: Snapshot, name: str, manifest: bool, view: QueryContext) -> Resolved:
    """``images.resolve``: the id that a name refers to, by which name and which rule.

    Raises:
        ImageUnknown, AmbiguousName, InvalidName, NotAManifestList, ImageDamaged: see ``find``.
    """
    found = find(snapshot, name, manifest=manifest, or_list=False, view=view)
    return Resolved(id=found.image.id, name=found.name, how=found.how)


def exists(snapshot: Snapshot, name: str, manifest: bool, view: QueryContext) -> bool:
    """``images.exists``: whether ``find`` finds a usable image.

    As in podman, an image without a readable manifest, or with a lost layer, does not exist: a script then pulls it
    again. (libimage ``image.go:isCorrupted``, which does not check the configuration.)

    Raises:
        AmbiguousName: it may refer to several.
        InvalidName: it is not an image reference, which is an error in podman, too.
    """
    try:
        image = find(snapshot, name, manifest=manifest, or_list=False, view=view).image
    except (ImageUnknown, NotAManifestList, ImageDamaged):
        return False
    return image.content.manifest is not None and _has_layers(snapshot, image)


def find(snapshot: Snapshot, name: str, *, manifest: bool, or_list: bool, view: QueryContext) -> Found:
    """Find the image that a name refers to.

    ``manifest`` accepts only lists. ``or_list`` falls back to the list itself if none of its instances for this
    platform is local.

    Raises:
        ImageUnknown: nothing has the name, or it is a list without a local instance (``lists`` names those).
        AmbiguousName: several images match: ``candidates``, ``matches``.
        InvalidName: it is not an image reference.
        NotAManifestList: with ``manifest``, it refers to an ordinary image.
        ImageDamaged: with ``manifest``, it may be a list, but its manifest cannot be read.
    """
    passed_over: list[Found] = []
    for found in hits(snapshot, name, view):
        if manifest:
            return _the_list(found)
        settled = _settle(snapshot, found, view)
        if settled is not None:
            return settled
        passed_over.append(found)
    if passed_over and or_list:
        return passed_over[0]
    raise _unknown(name, passed_over, view)


def meant_digest(found: Found) -> Digest | None:
    """The digest of what a name refers to, as podman's ``inspect`` shows it; None if none is recorded.

    A name reads the manifest of its digest, else the image's own. An id, and a name of a list whose instance it is,
    reads the record, whose digest is that of the list if the image was pulled through one. (image ``storage_src.go``,
    libimage ``inspect.go``.)
    """
    image = found.image
    _, at, asked = found.name.rpartition("@")
    if (at or found.how == "digest") and asked in image.digests:
        return Digest(asked)
    if found.how in ("id", "id_prefix") or found.name not in image.names:
        return image.digest
    return (image.record.big_data_digests or {}).get("manifest") or image.digest


def choose_instance(image: Image, view: QueryContext) -> Digest | None:
    """The digest of a list's instance for this platform; None if it has none.

    The most capable variant first, then the order of the list; an entry without a platform is used if no other fits
    (image ``internal/manifest``: ``ChooseInstance``).
    """
    manifest = image.content.manifest
    if manifest is None:
        return None
    ranked = [
        (rank, at)
        for at, instance in enumerate(manifest.instances)
        if (rank := view.platform.rank(instance.platform)) is not None
    ]
    if ranked:
        return manifest.instances[min(ranked)[1]].digest
    return next((instance.digest for instance in manifest.instances if instance.platform is None), None)


def local_instance(snapshot: Snapshot, digest: Digest) -> Image | None:
    """The image with this digest, the writable store's first; hidden ones are skipped."""
    return next(iter(visible(snapshot, snapshot.by_digest.get(digest, ()))), None)


def _has_layers(snapshot: Snapshot, image: Image) -> bool:
    top = image.record.layer
    if not top:
        return True
    layer = snapshot.layer_by_id.get(top)
    return layer is not None and layer.damage is None


def _the_list(found: Found) -> Found:
    if found.image.is_list:
        return found
    if found.image.content.unreadable_evidence:
        raise ImageDamaged(
            f"{shortened(found.name)} may be a manifest list, but its manifest cannot be read", id=found.image.id
        )
    raise NotAManifestList(f"{shortened(found.name)}: image is not a manifest list", id=found.image.id)


def _settle(snapshot: Snapshot, found: Found, view: QueryContext) -> Found | None:
    """The image itself, or a list's instance here; None if that is not local."""
    if not found.image.is_list:
        return found
    digest = choose_instance(found.image, view)
    instance = local_instance(snapshot, digest) if digest is not None else None
    return Found(image=instance, name=found.name, how=found.how) if instance is not None else None


def _unknown(name: str, lists: list[Found], view: QueryContext) -> ImageUnknown:
    if not lists:
        return ImageUnknown(f"{shortened(name)}: image not known", asked=name[:200])
    return ImageUnknown(
        f"{shortened(name)}: image not known: it is a manifest list, and the store has no instance of it for "
        f"{view.platform}. Ask for the list itself (manifest)",
        asked=name[:200],
        lists=list(dict.fromkeys(found.image.id for found in lists)),
    )
