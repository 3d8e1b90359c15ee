"""``manifests.create``, ``add``, ``annotate`` and ``remove_instance``: each is one change of one list.

podman makes several writes for one command: the empty list, each image, then the other options; if one fails, the
earlier ones remain. Here everything is decided first, and written at once or not at all.

The list's digest lock is held during the commit: podman holds it while it reads, changes and writes a list.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from msgspec import Struct, structs

from storaged.operations.change_target import certainly
from storaged.operations.list_adding import contribution, descriptor, named
from storaged.operations.list_artifacts import Layer, make_artifact
from storaged.operations.list_forms import Entry, overridden
from storaged.operations.list_parts import MANIFEST, Added, ListParts, Means, load
from storaged.operations.name_lookup import shortened
from storaged.operations.resolving import find
from storaged.operations.tagging import bearer, new_reference
from storaged.snapshot.model import Image, Snapshot
from storaged.store.changes import Change, ChangeSet, ImageEdit, NewImage
from storaged.store.layout.records import Digest, ImageID, digest_of
from storaged_client.contract import params as p
from storaged_client.contract.errors import (
    ImageUnknown,
    InstanceUnknown,
    InvalidName,
    InvalidParams,
    ManifestListUnknown,
    NameInUse,
    ReadOnlyImage,
)
from storaged_client.contract.types import ListEdited

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")
"""The forms that go-digest knows. Anything else with a colon, ``name:tag`` or ``containers-storage:ID``, is a name."""


class Birth(Struct, frozen=True, kw_only=True):
    """The parts of a new record that come from outside: a random id, and the time as RFC 3339."""

    id: ImageID
    created: str


def create(snapshot: Snapshot, params: p.ManifestsCreate, means: Means, birth: Birth) -> ChangeSet[ListEdited]:
    """Create a list with all its first entries. A name in use is never moved.

    Raises:
        NameInUse: an image has the name, or without ``amend`` a list has it.
        ImageUnknown, ImageDamaged, AmbiguousName, InvalidName: of one of the images, see ``list_adding``.
        InvalidName: the name of the list is invalid, or has a digest.
    """
    reference = new_reference(params.name)
    if reference.digest is not None:
        raise InvalidName(
            f"{shortened(params.name)}: a list cannot be named by a digest: its own changes", asked=params.name[:200]
        )
    record = bearer(snapshot, reference.text)
    if record is None:
        return _created(snapshot, reference.text, params, means, birth)
    holder = snapshot.by_name.get(reference.text)
    if not params.amend or holder is None or not (holder.is_list or holder.content.unreadable_evidence):
        raise NameInUse(
            f'image name "{reference.text}" is already associated with image "{record.id}": that name is already in '
            "use: give the list another name, or untag that image first",
            asked=params.name[:200],
            image=record.id,
        )
    before = _editable(holder, means)
    after, touched, evidence = _filled(snapshot, before, params, means)
    return _edited(holder, before, after, touched, evidence)


def add(
    snapshot: Snapshot, params: p.ManifestsAdd, means: Means, layers: Sequence[Layer] = ()
) -> ChangeSet[ListEdited]:
    """Add a local image, a list's entries, or an artifact, with the given description, in one write.

    The description applies to the first new entry, as in podman. ``layers`` are those of the artifact.

    Raises:
        InvalidParams: not exactly one of ``image`` and ``artifact``.
        ManifestListUnknown, NotAManifestList, ReadOnlyImage, ImageDamaged: of the list.
        ImageUnknown, ImageDamaged, AmbiguousName, InvalidName: of the image, see ``list_adding``.
    """
    if (params.image is None) == (params.artifact is None):
        raise InvalidParams("give one of image and artifact", path="$.image")
    target = find_list(snapshot, params.name, means)
    before = _editable(target, means)
    added: tuple[Added, ...]
    evidence: tuple[Image, ...] = ()
    if params.artifact is not None:
        subject = params.artifact.subject
        about = descriptor(named(snapshot, subject, means), means) if subject else None
        added = (make_artifact(params.artifact, layers, about),)
    else:
        assert params.image is not None
        brought = contribution(snapshot, params.image, params.all, means)
        added, evidence = brought.added, (brought.evidence,) if brought.evidence is not None else ()
    after = before.put(*added)
    touched = [new.entry.digest for new in added]
    if touched:
        entry = after.form.find(touched[0])
        assert entry is not None
        after = _with(after, overridden(entry, params.platform, params.annotations))
    return _edited(target, before, after, touched, evidence)


def annotate(snapshot: Snapshot, params: p.ManifestsAnnotate, means: Means) -> ChangeSet[ListEdited]:
    """Describe an entry or, with ``index``, the list itself.

    Raises:
        InvalidParams: both or neither of ``digest`` and ``index``, or something that only the other can have.
        ManifestListUnknown, NotAManifestList, ReadOnlyImage, ImageDamaged: of the list.
        InstanceUnknown: the list has no such entry.
        ImageUnknown, AmbiguousName, InvalidName: of the image given as ``digest``, or of ``subject``.
    """
    if params.index and params.digest is not None:
        raise InvalidParams("give either the digest of an entry or index", path="$.digest")
    if params.index and params.platform is not None:
        raise InvalidParams("a list itself has no platform: it needs the digest of an entry", path="$.platform")
    if not params.index and params.digest is None:
        raise InvalidParams("give the digest of an entry, or index for the list itself", path="$.digest")
    if params.subject is not None and not params.index:
        raise InvalidParams("only the list itself has a subject: give index", path="$.subject")
    target = find_list(snapshot, params.name, means)
    before = _editable(target, means)
    if params.digest is not None:
        entry = _member(snapshot, params.digest, before, target, means)
        after = _with(before, overridden(entry, params.platform, params.annotations))
        return _edited(target, before, after, [entry.digest])
    form = before.form.annotated(params.annotations) if params.annotations else before.form
    if params.subject is not None:
        about = descriptor(named(snapshot, params.subject, means), means) if params.subject else None
        form = form.about(about)
    return _edited(target, before, structs.replace(before, form=form), [])


def remove_instance(snapshot: Snapshot, params: p.ManifestsRemoveInstance, means: Means) -> ChangeSet[ListEdited]:
    """Remove an entry, with the data of an artifact that nothing else needs.

    Raises:
        ManifestListUnknown, NotAManifestList, ReadOnlyImage, ImageDamaged: of the list.
        InstanceUnknown: the list has no such entry.
        ImageUnknown, AmbiguousName, InvalidName: of the image given as ``digest``.
        InvalidName: the name of the list is not certain enough (``change_target``): it protects its entries.
    """
    target = find_list(snapshot, params.name, means)
    certainly(snapshot, params.name, means.view)
    before = _editable(target, means)
    try:
        entry = _member(snapshot, params.digest, before, target, means)
    except InstanceUnknown as error:
        text = f"removing from manifest list {shortened(params.name)}: {error.message}: file does not exist"
        raise InstanceUnknown(text, error.data) from None
    return _edited(target, before, before.without(entry.digest), [entry.digest])


def find_list(snapshot: Snapshot, name: str, means: Means) -> Image:
    """The list that a name refers to.

    Raises:
        ManifestListUnknown, NotAManifestList, ImageDamaged, AmbiguousName, InvalidName: see ``resolving.find``.
    """
    try:
        return find(snapshot, name, manifest=True, or_list=True, view=means.view).image
    except ImageUnknown as error:
        raise ManifestListUnknown(error.message, error.data) from None


def _created(
    snapshot: Snapshot, name: str, params: p.ManifestsCreate, means: Means, birth: Birth
) -> ChangeSet[ListEdited]:
    parts, touched, evidence = _filled(snapshot, ListParts(), params, means)
    items = (parts.owned_by(birth.id) if touched else parts).items()
    new = NewImage(members={"id": birth.id, "names": [name], "created": birth.created}, items=items)
    return ChangeSet(
        change=Change(added=(new,), evidence=tuple((image.record, image.store) for image in evidence)),
        result=ListEdited(id=birth.id, names=(name,), digest=digest_of(items[0].data), instances=tuple(touched)),
    )


def _filled(
    snapshot: Snapshot, parts: ListParts, params: p.ManifestsCreate, means: Means
) -> tuple[ListParts, list[Digest], tuple[Image, ...]]:
    """The list with all images and annotations; the new digests; the lists that contain the entries."""
    added: list[Added] = []
    evidence: list[Image] = []
    for name in dict.fromkeys(params.images):
        brought = contribution(snapshot, name, params.all, means)
        added += brought.added
        if brought.evidence is not None:
            evidence.append(brought.evidence)
    parts = parts.put(*added)
    if params.annotations:
        parts = structs.replace(parts, form=parts.form.annotated(params.annotations))
    return parts, list(dict.fromkeys(new.entry.digest for new in added)), tuple(evidence)


def _editable(target: Image, means: Means) -> ListParts:
    if target.read_only:
        raise ReadOnlyImage(
            f"manifest list {target.id[:12]} is in a read-only store: make a new list with its entries (create, all)",
            id=target.id,
        )
    return load(target, means).owned_by(target.id)


def _edited(
    target: Image, before: ListParts, after: ListParts, touched: Iterable[Digest], evidence: Iterable[Image] = ()
) -> ChangeSet[ListEdited]:
    digest = (target.record.big_data_digests or {}).get(MANIFEST)
    result = ListEdited(
        id=target.id, names=target.names, digest=digest or "", instances=tuple(dict.fromkeys(touched)), changed=False
    )
    if after == before:
        return ChangeSet(change=Change(), result=result)
    items = after.items()
    seen = {image.id: image for image in (target, *evidence)}
    return ChangeSet(
        change=Change(
            edits=(ImageEdit(image=target.id, items=items),),
            editing=(target.id,),
            evidence=tuple((image.record, image.store) for image in seen.values()),
        ),
        result=ListEdited(
            id=target.id, names=target.names, digest=digest_of(items[0].data), instances=result.instances
        ),
    )


def _with(parts: ListParts, entry: Entry) -> ListParts:
    return structs.replace(parts, form=parts.form.put([entry]))


def _member(snapshot: Snapshot, asked: str, parts: ListParts, target: Image, means: Means) -> Entry:
    """The entry given by its digest, by a local image, or by a file an artifact was made of."""
    entry = parts.form.find(asked)
    if entry is None and not _DIGEST.fullmatch(asked):
        made = parts.artifacts.made_of(asked)
        digests = (made,) if made is not None else named(snapshot, asked, means).digests
        entry = next((found for digest in digests if (found := parts.form.find(digest)) is not None), None)
    if entry is None:
        raise InstanceUnknown(
            f'no instance matching digest "{shortened(asked)}" found in manifest list',
            asked=asked[:200],
            list=target.id,
        )
    return entry
