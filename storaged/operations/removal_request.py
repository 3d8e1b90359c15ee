"""The request of a removal: names and ids, grouped by the image they refer to."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct, structs

from storaged.operations.change_target import addressed, certainly
from storaged.operations.name_lookup import shortened
from storaged.operations.query_context import QueryContext
from storaged.operations.removals import Refusal
from storaged.snapshot.lookup import split_name
from storaged.snapshot.model import Image, Snapshot
from storaged.store.layout.records import ImageID
from storaged_client.contract.errors import ImageDamaged, ImageUnknown, NotAManifestList, StoragedError, TagUnknown


class RequestedName(Struct, frozen=True, kw_only=True):
    """One thing to be removed: a name as it was given, or an image as a whole, whatever its names."""

    name: str | None = None
    image: ImageID | None = None
    meant: ImageID | None = None
    """The image that the name referred to when the removal began: a later batch must not remove another one."""
    alone: bool = False
    """Its ancestors stay."""


class Reference(Struct, frozen=True, kw_only=True):
    """How an image was addressed: by these of its names, or ``by`` its ID or digest, or as a whole."""

    item: RequestedName
    names: tuple[str, ...] = ()
    by: str = ""


class Group(Struct, frozen=True, kw_only=True):
    """Everything that refers to one image, in the order it was given."""

    image: Image
    references: tuple[Reference, ...]

    @property
    def items(self) -> tuple[RequestedName, ...]:
        return tuple(reference.item for reference in self.references)


def everything(snapshot: Snapshot) -> tuple[RequestedName, ...]:
    """Every image of the writable store, in its order."""
    return tuple(RequestedName(image=image.id) for image in snapshot.images if image.store == 0)


def group(
    snapshot: Snapshot,
    wanted: Sequence[RequestedName],
    view: QueryContext,
    *,
    manifest: bool = False,
    gone: Collection[ImageID] = (),
) -> tuple[list[Group], list[tuple[RequestedName, Refusal]]]:
    """The images, in the order in which they are first mentioned; and the names that refer to nothing.

    ``manifest``: only lists are accepted. A name of an image that is ``gone``, as an ancestor of another, is done.
    """
    found: dict[int, tuple[Image, list[Reference]]] = {}
    nowhere: list[tuple[RequestedName, Refusal]] = []
    for item in dict.fromkeys(wanted):
        if (item.image or item.meant) in gone:
            continue
        try:
            image, reference = _look_up(snapshot, item, view, manifest)
        except StoragedError as error:
            nowhere.append((item, Refusal(id=item.image, name=item.name, error=error)))
            continue
        reference = structs.replace(reference, item=structs.replace(item, meant=image.id))
        found.setdefault(id(image), (image, []))[1].append(reference)
    return [Group(image=image, references=tuple(references)) for image, references in found.values()], nowhere


def _look_up(snapshot: Snapshot, item: RequestedName, view: QueryContext, manifest: bool) -> tuple[Image, Reference]:
    if item.image is not None:
        known = snapshot.by_id.get(item.image)
        if known is None or known.read_only:
            raise ImageUnknown(f"{item.image}: image not known", asked=item.image)
        return known, Reference(item=item)
    name = item.name or ""
    found = certainly(snapshot, name, view) if manifest else addressed(snapshot, name, view, or_list=True)
    image = found.image
    if item.meant is not None and image.id != item.meant:
        raise ImageUnknown(
            f"{shortened(name)}: it now means another image than when this removal began; try again", asked=name[:200]
        )
    if view.podman_lists and not manifest and not image.is_list and certainly(snapshot, name, view).image.is_list:
        return image, _of_instance(image, item)
    if manifest and not image.is_list:
        if image.content.unreadable_evidence:
            raise ImageDamaged(f"{found.name} may be a manifest list, but its manifest cannot be read", id=image.id)
        raise NotAManifestList(f"{found.name}: image is not a manifest list", id=image.id)
    if snapshot.by_name.get(found.name) is image or found.name in image.names:
        return image, Reference(item=item, names=(found.name,))
    if found.how == "digest" and "@" in found.name:
        repository = split_name(found.name)[0]
        return image, Reference(
            item=item, names=tuple(borne for borne in image.names if split_name(borne)[0] == repository)
        )
    return image, Reference(item=item, by="digest" if name.startswith("sha256:") else "ID")


def _of_instance(image: Image, item: RequestedName) -> Reference:
    """A list's name that means its instance: for podman, a name that the instance does not have, unless it has one."""
    if len(image.names) != 1:
        raise TagUnknown(
            f"{shortened(item.name or '')}: tag not known: it means the list's instance {image.id[:12]} here "
            '(compat = "podman"); name the image itself, or remove the list by manifest rm',
            tag=(item.name or "")[:200],
            id=image.id,
            names=list(image.names[:10]),
        )
    return Reference(item=item, names=image.names)
