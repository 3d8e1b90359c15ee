"""``images.why``: every reason that keeps an image, and how to remove each reason.

``prunable``: the default prune would remove it now: dangling, in the writable store, without container and lease.
``removable``: a removal by id without force is not refused: no container, no lease, not read-only. Names, children and
lists do not prevent a removal, they only keep the image from being pruned.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

from storaged.operations.container_list import removal_command
from storaged.operations.query_context import QueryContext
from storaged.snapshot.evidence import record_removal
from storaged.snapshot.model import Image, Snapshot
from storaged.store.layout.records import Digest, ImageID
from storaged_client.contract.types import Reason, Why


def why(snapshot: Snapshot, image: Image, view: QueryContext) -> Why:
    """Explain one image. A dangling image in use also has reasons: they prevent its removal."""
    held = bool(image.containers or view.leases.get(image.id))
    return Why(
        id=image.id,
        dangling=image.dangling,
        intermediate=image.intermediate,
        prunable=image.dangling and not held and not image.read_only,
        removable=not held and not image.read_only,
        reasons=reasons(snapshot, image, view),
    )


def reasons(
    snapshot: Snapshot,
    image: Image,
    view: QueryContext,
    *,
    is_left: Callable[[ImageID], bool] = lambda _: True,
    most: int | None = None,
) -> tuple[Reason, ...]:
    """Every reason that keeps an image, in the order of the codes; empty if nothing does.

    Children and lists that are gone are not reasons. ``most`` limits the reasons of one code.
    """
    decided = bool(image.names) or any(map(is_left, chain(image.children, image.in_lists)))
    found = (
        _names(image, view),
        _children(snapshot, filter(is_left, image.children)),
        _lists(snapshot, image, filter(is_left, image.in_lists)),
        _containers(snapshot, image),
        _leases(image, view),
        _read_only(image),
        # Only if it decides: nothing else keeps the image from being dangling.
        () if decided else evidence_reasons(snapshot, image),
    )
    return tuple(reason for some in found for reason in islice(some, most))


def _names(image: Image, view: QueryContext) -> Iterator[Reason]:
    for name in image.names:
        command = f"storagectl untag {image.id[:12]} {shlex.quote(name)}"
        if image.is_list and view.podman_lists:
            # untag would act on the list's instance.
            command = f"storagectl manifest rm {shlex.quote(name)}"
        yield Reason(
            code="named",
            detail=f"it is named {name}; `{command}` removes that name",
            name=name,
            command=command,
        )


def _children(snapshot: Snapshot, children: Iterable[ImageID]) -> Iterator[Reason]:
    for child in children:
        called = _called(snapshot, child)
        yield Reason(
            code="child",
            detail=f"image {called} was built on it, and keeps it until that image is removed",
            image=child,
            name=called if called != child[:12] else None,
        )


def _lists(snapshot: Snapshot, image: Image, lists: Iterable[ImageID]) -> Iterator[Reason]:
    named_by: dict[ImageID, Digest] = {}
    for digest in image.digests:
        for list_id in snapshot.referenced.get(digest, ()):
            named_by.setdefault(list_id, digest)
    for list_id in lists:
        digest = named_by[list_id]
        listing = snapshot.by_id.get(list_id)
        names = listing.names if listing is not None else ()
        command, said = _list_command(snapshot, listing, list_id, digest)
        yield Reason(
            code="manifest_list",
            detail=f"manifest list {_called(snapshot, list_id)} {said}",
            list=list_id,
            list_names=names,
            digest=digest,
            command=command or None,
        )


def _list_command(snapshot: Snapshot, listing: Image | None, list_id: ImageID, digest: Digest) -> tuple[str, str]:
    """The command that removes the image from a list, and a sentence about it; no command if none would work."""
    manifest = listing.content.manifest if listing is not None else None
    if listing is not None and manifest is not None and any(entry.digest == digest for entry in manifest.instances):
        address = shlex.quote(listing.names[0] if listing.names else list_id)
        command = f"storagectl manifest remove {address} {digest}"
        said = (
            f"names it by {digest}; `{command}` removes the entry, `storagectl manifest rm {address}` removes the list"
        )
        return command, said
    command = record_removal(snapshot.evidence, list_id)
    if manifest is not None and not command:
        return "", f"names it by {digest} in another record of the same id, which this one hides"
    if listing is not None and not command:
        command = f"storagectl rmi --force {shlex.quote(list_id)}"
    said = f"cannot be read any more; when it last could, it named it by {digest}"
    return command, f"{said}; `{command}` removes the list" if command else said


def _containers(snapshot: Snapshot, image: Image) -> Iterator[Reason]:
    for used_by in image.containers:
        container = snapshot.container_by_id[used_by]
        name = container.record.names[0] if container.record.names else None
        owner = container.owner if container.owner != "unknown" else "an unknown tool"
        command = removal_command(container)
        yield Reason(
            code="container",
            detail=f"container {name or used_by[:12]}, made by {owner}, uses it; `{command}` removes the container",
            container=used_by,
            name=name,
            owner=container.owner,
            command=command,
        )


def _leases(image: Image, view: QueryContext) -> Iterator[Reason]:
    for lease in view.leases.get(image.id, ()):
        yield Reason(
            code="lease",
            detail=f"lease {lease} holds it until it is released, it expires or its client disconnects",
            name=lease,
        )


def _read_only(image: Image) -> Iterator[Reason]:
    if image.read_only:
        yield Reason(
            code="read_only",
            detail="it is in an additional image store, which is read-only here; remove it on the store's own host",
        )


def evidence_reasons(snapshot: Snapshot, image: Image) -> Iterator[Reason]:
    """What is needed to call the image dangling but cannot be read."""
    for found in snapshot.evidence:
        if found.image is None:
            what = "a record may be a manifest list that names it, but"
        elif found.image == image.id:
            what = "it may be a manifest list itself, but"
        else:
            what = f"record {found.image[:12]} may be a manifest list that names it, but"
        mend = f"; `{found.command}` removes that record" if found.command else ""
        yield Reason(
            code="unreadable_evidence",
            detail=f"{what} cannot be read: {found.detail}{mend}",
            image=found.image,
            list_names=found.names,
            file=found.file or None,
            command=found.command or None,
        )
    if not snapshot.proven:
        yield Reason(
            code="unreadable_evidence",
            detail="the tables were read while another process was writing them; try again when it is done",
        )
    if image.content.kin_in_doubt and not image.content.unreadable_evidence:
        yield _doubt(image, "its own configuration cannot be trusted, so its children are unknown")
    for child in image.possible_children:
        doubtful = snapshot.by_id.get(child)
        if doubtful is not None and not doubtful.content.unreadable_evidence:
            called = _called(snapshot, child)
            yield _doubt(doubtful, f"image {called} may have been built on it, but its configuration cannot be trusted")


def _doubt(image: Image, what: str) -> Reason:
    """An image whose configuration is missing or wrong, and the command that removes it."""
    damage = next((found for found in image.content.damage if found.name.startswith("config_")), None)
    damage = damage or (image.content.damage[0] if image.content.damage else None)
    command = f"storagectl rmi --force {shlex.quote(image.id)}"
    return Reason(
        code="unreadable_evidence",
        detail=f"{what}{': ' + damage.detail if damage is not None else ''}; `{command}` removes that image",
        name=image.names[0] if image.names else None,
        image=image.id,
        file=damage.file if damage is not None else None,
        command=command,
    )


def _called(snapshot: Snapshot, image: ImageID) -> str:
    known = snapshot.by_id.get(image)
    return known.names[0] if known is not None and known.names else image[:12]
