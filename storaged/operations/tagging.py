"""``images.tag``, ``images.untag``: changes the names of one image, with podman's order and history.

::

    names           newest first; a name given again moves to the front
    names-history   present names, oldest first, then former ones, the last dropped first

A name belongs to one image of the writable store. If it is given to another, the first loses it, and its history keeps
it. All names of one request are given, or removed, in one change. An image of an additional store is copied into the
writable store with all its names and big data, and the copy is changed.

Source: libimage ``image.go`` (Tag, Untag), containers/storage ``images.go`` (updateNames, addNameToHistory),
``store.go`` (updateNames: "pull up the image").
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from storaged.operations.change_target import addressed, itself
from storaged.operations.name_lookup import shortened
from storaged.operations.query_context import QueryContext
from storaged.snapshot.model import Image, Snapshot
from storaged.store.changes import Change, ChangeSet, ImageEdit, Item, NewImage
from storaged.store.layout import references
from storaged.store.layout.records import ImageID, ImageRecord
from storaged.store.layout.references import Reference
from storaged_client.contract.errors import InvalidName, StoreBusy, TagUnknown
from storaged_client.contract.types import Moved, Tagged

_LONGEST = 255
"""Characters of a repository, as image ``docker/reference`` counts them (NameTotalLengthMax)."""

Read = Callable[[Image, str], bytes]
"""The checked bytes of one item of an image's big data; raises ImageDamaged, DataUnknown, TooLarge."""


def tag(snapshot: Snapshot, name: str, tags: Sequence[str], view: QueryContext, read: Read) -> ChangeSet[Tagged]:
    """Give an image further names. Blocking if an image is copied from an additional store.

    Raises:
        ImageUnknown, AmbiguousName, InvalidName: of ``name``, or a tag is not a reference or has a digest.
        ImageDamaged: an image to be copied cannot be read completely.
        StoreBusy: another tool is copying it.
    """
    image = itself(snapshot, name, view).image
    given = [new_name(text) for text in tags]
    names = tuple(dict.fromkeys((*reversed(given), *image.names)))
    edits, moved = taken_from_others(snapshot, given, image.id)
    history = history_after(image.record.names_history or (), names)
    if not given or (names == image.names and history == image.record.names_history and not edits):
        return _unchanged(image)
    return _named(snapshot, image, names, history, edits, moved, read)


def untag(snapshot: Snapshot, name: str, tags: Sequence[str], view: QueryContext, read: Read) -> ChangeSet[Tagged]:
    """Remove names of an image, all of them without ``tags``; the image stays.

    Raises:
        ImageUnknown, AmbiguousName, InvalidName: of ``name``, or a tag is not a reference.
        TagUnknown: the image does not have one of them; it then keeps the others, too.
        ImageDamaged: an image to be copied cannot be read completely.
        StoreBusy: another tool is copying it.
    """
    image = addressed(snapshot, name, view, or_list=False).image
    borne = frozenset(image.names)
    dropped = list(dict.fromkeys(_borne(image, borne, text) for text in tags)) if tags else list(image.names)
    if not dropped:
        return _unchanged(image)
    names = without(image.names, dropped)
    history = history_without(image.record.names_history or (), names, dropped)
    return _named(snapshot, image, names, history, (), (), read)


def new_name(text: str) -> str:
    """The full name that podman makes of a new name.

    Raises:
        InvalidName: it is not a reference, or has a digest.
    """
    if text.startswith("sha256:"):
        raise InvalidName(f"{shortened(text)}: tag by digest not supported", asked=text[:200])
    reference = new_reference(text)
    if reference.digest is not None:
        raise InvalidName(f"{shortened(text)}: tag by digest not supported", asked=text[:200])
    return reference.text


def new_reference(text: str) -> Reference:
    """The full form of a new name. One name that podman cannot parse breaks its listing of the whole store.

    Raises:
        InvalidName: it is not a reference, or not one for podman.
    """
    reference = references.normalise(text)
    if len(reference.repository) > _LONGEST:
        raise InvalidName(
            f"{shortened(text)}: podman takes at most {_LONGEST} characters of registry and path together: shorten it",
            asked=text[:200],
        )
    if "[" in reference.repository:
        raise InvalidName(
            f"{shortened(text)}: podman takes no IPv6 address for a registry: give its host name", asked=text[:200]
        )
    return reference


def taken_from_others(
    snapshot: Snapshot, names: Iterable[str], owner: ImageID | None
) -> tuple[tuple[ImageEdit, ...], tuple[Moved, ...]]:
    """The edits that remove names from other records of the writable store, and the moved names.

    A store that podman has not repaired yet may have one name on several records: all lose it.
    """
    bearers: dict[str, list[ImageRecord]] = {name: [] for name in names}
    for image in snapshot.images:
        if image.store == 0:
            for name in bearers.keys() & image.names:
                bearers[name].append(image.record)
    losers: dict[ImageID, tuple[ImageRecord, list[str]]] = {}
    moved: list[Moved] = []
    for name, records in bearers.items():
        half_made = snapshot.half_made_names.get(name)
        for record in (*records, half_made) if half_made is not None else records:
            if record.id != owner:
                losers.setdefault(record.id, (record, []))[1].append(name)
                moved.append(Moved(name=name, image=record.id))
    edits = tuple(
        ImageEdit(image=loser, members={"names": without(record.names or (), lost) or None})
        for loser, (record, lost) in losers.items()
    )
    return edits, tuple(moved)


def bearer(snapshot: Snapshot, name: str) -> ImageRecord | None:
    """The record of the writable store that has a name, even an incomplete one."""
    image = snapshot.by_name.get(name)
    if image is not None and image.store == 0:
        return image.record
    return snapshot.half_made_names.get(name)


def history_after(history: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """The history after an image gets these names, newest first."""
    return tuple(dict.fromkeys((*reversed(names), *history)))


def history_without(history: Sequence[str], names: Sequence[str], dropped: Sequence[str]) -> tuple[str, ...]:
    """The history after the dropped names are removed one after the other, and these are left.

    Each step moves the names that are left to the front; no step moved the name dropped first.
    """
    return tuple(dict.fromkeys((*reversed(names), *reversed(dropped[1:]), *history)))


def without(names: Sequence[str], dropped: Iterable[str]) -> tuple[str, ...]:
    """The remaining names, in their order."""
    lost = frozenset(dropped)
    return tuple(name for name in names if name not in lost)


def naming_members(names: Sequence[str], history: Sequence[str]) -> dict[str, Any]:
    """The members of a record with these names; an empty list is omitted, as in Go."""
    return {"names": tuple(names) or None, "names-history": tuple(history) or None}


def _borne(image: Image, borne: Collection[str], text: str) -> str:
    if text.startswith("sha256:"):
        raise InvalidName(f"{shortened(text)}: untag by digest not supported", asked=text[:200])
    if text in borne:
        return text
    full = references.normalise_name(text)
    if full not in borne:
        # podman's exact words: scripts compare the whole line. The image's names are in the data.
        raise TagUnknown(f"{full}: tag not known", tag=full, id=image.id, names=list(image.names[:10]))
    return full


def _unchanged(image: Image) -> ChangeSet[Tagged]:
    return ChangeSet(change=Change(), result=Tagged(id=image.id, names=image.names, changed=False))


def _named(
    snapshot: Snapshot,
    image: Image,
    names: tuple[str, ...],
    history: tuple[str, ...],
    edits: tuple[ImageEdit, ...],
    moved: tuple[Moved, ...],
    read: Read,
) -> ChangeSet[Tagged]:
    if image.read_only:
        if image.id in snapshot.half_made:
            raise StoreBusy(f"image {image.id[:12]} is being copied by another tool; try again", id=image.id)
        # Another image of the writable store may have one of the names meanwhile: it keeps that.
        names = tuple(name for name in names if (bearer(snapshot, name) is None or name in _stolen(moved)))
        change = Change(edits=edits, added=(_copy(image, naming_members(names, history), read),))
    else:
        edit = ImageEdit(image=image.id, members=naming_members(names, history))
        change = Change(edits=(*edits, edit))
    return ChangeSet(change=change, result=Tagged(id=image.id, names=names, changed=True, moved_from=moved))


def _stolen(moved: Iterable[Moved]) -> frozenset[str]:
    return frozenset(move.name for move in moved)


def _copy(image: Image, naming: Mapping[str, Any], read: Read) -> NewImage:
    """The record of an additional store as one of the writable store; its layers stay where they are."""
    record = image.record
    members = {
        "id": record.id,
        "digest": record.digest,
        "names": naming["names"],
        "names-history": naming["names-history"],
        "layer": record.layer,
        "metadata": record.metadata,
        "created": record.created,
        "flags": record.flags,
    }
    items = tuple(Item(key=key, data=read(image, key)) for key in record.big_data_names or ())
    return NewImage(members={name: value for name, value in members.items() if value is not None}, items=items)
