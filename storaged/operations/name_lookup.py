"""Looks up names in podman's order (libimage ``runtime.go:LookupImage``); every step is an index look-up.

::

    1  64 hex, sha256:64 hex       an id, else (with the prefix) a manifest digest; nothing else is tried
    2  NAME                        qualified: itself; short: the configured repositories; docker.io's form last.
                                   With a digest the tag is ignored: the stored name, else any image with
                                   that digest and a name in that repository
    3  the literal text            an id, a stored name, the beginning of an id
    4  only short names            the first stored name whose repository ends in /NAME, with that tag

A read-only image is hidden by one with the same id in the writable store.

Different from podman: a bare manifest digest is found; an ambiguous prefix is reported with its candidates; a name like
``oci:x`` is a name and not a transport (only ``containers-storage:`` is removed).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct

from storaged.operations.query_context import QueryContext
from storaged.snapshot.lookup import split_name
from storaged.snapshot.model import Image, Snapshot
from storaged.store.layout import references
from storaged.store.layout.records import Digest, ImageID
from storaged.store.layout.references import Reference
from storaged_client.contract.errors import AmbiguousName, InvalidName

How = Literal["name", "digest", "id", "id_prefix", "short_name"]

_HEX = frozenset("0123456789abcdef")
_TRANSPORT = "containers-storage:"
_CANDIDATES = 20
"""The maximum number of ids that an ambiguous prefix lists; ``matches`` counts them all."""


class Found(Struct, frozen=True, kw_only=True):
    """``name`` is the stored or full name that matched; for ids, the given text."""

    image: Image
    name: str
    how: How


def hits(snapshot: Snapshot, text: str, view: QueryContext) -> Iterator[Found]:
    """Yield the matches of a name, in order; those after the first count only if lists are skipped.

    Raises:
        AmbiguousName, InvalidName: nothing was found before.
    """
    name = text.removeprefix(_TRANSPORT).removeprefix("@") if text.startswith(_TRANSPORT) else text
    bare = name.removeprefix("sha256:")
    if len(bare) == 64 and _HEX.issuperset(bare):
        yield from _by_full_id(snapshot, name, bare, view)
        return
    reference: Reference | None = None
    wrong: InvalidName | None = None
    try:
        reference = references.parse(name)
    except InvalidName as error:
        wrong = error
    # A repository may be called sha256: with a digest after it, the tag, and its colon, are ignored.
    if name.startswith("sha256:") and (reference is None or reference.digest is None):
        raise InvalidName(f"{shortened(name)}: invalid format: no 64-byte hexadecimal value", asked=name[:200])
    anything = False
    if reference is not None:
        for found in _by_candidates(snapshot, reference, view):
            anything = True
            yield found
    image = snapshot.by_id.get(ImageID(name))
    if image is not None:
        yield Found(image=image, name=name, how="id")
        return
    image = snapshot.by_name.get(name)
    if image is not None:
        anything = True
        yield Found(image=image, name=name, how="name")
    matching, count = _by_prefix(snapshot, name)
    if count == 1:
        yield Found(image=snapshot.by_id[matching[0]], name=name, how="id_prefix")
        return
    if reference is not None and not reference.qualified:
        for found in _by_suffix(snapshot, reference):
            anything = True
            yield found
    if count > 1 and not anything:
        raise AmbiguousName(
            f"{shortened(name)} is the beginning of {count} image ids; give more digits",
            candidates=list(matching),
            matches=count,
        )
    if wrong is not None and not anything:
        raise wrong


def _by_full_id(snapshot: Snapshot, name: str, bare: str, view: QueryContext) -> Iterator[Found]:
    image = snapshot.by_id.get(ImageID(bare))
    if image is not None:
        yield Found(image=image, name=name, how="id")
        return
    if name == bare:
        return
    images = list(visible(snapshot, snapshot.by_digest.get(Digest(name), ())))
    # All lists share the digest of the empty list they began as: the one that has it now comes first.
    current = [image for image in images if image.digest == name] or images
    if len(current) > 1:
        best = _best(current, view)
        if best is None:
            raise AmbiguousName(
                f"{len(current)} images have the manifest digest {name}",
                candidates=[image.id for image in current[:_CANDIDATES]],
                matches=len(current),
            )
        current = [best]
    for image in current:
        yield Found(image=image, name=name, how="digest")


def _best(images: Iterable[Image], view: QueryContext) -> Image | None:
    """The image that fits this platform best; None if several fit equally well."""
    ranked = [(rank, image) for image in images if (rank := view.platform.rank(image.content.config)) is not None]
    if not ranked:
        return None
    first = min(rank for rank, _ in ranked)
    best = [image for rank, image in ranked if rank == first]
    return best[0] if len(best) == 1 else None


def _by_candidates(snapshot: Snapshot, reference: Reference, view: QueryContext) -> Iterator[Found]:
    how: How = "name" if reference.qualified else "short_name"
    for repository in _repositories(reference, view):
        if reference.digest is None:
            text = f"{repository}:{reference.tag or 'latest'}"
            image = snapshot.by_name.get(text)
            if image is not None:
                yield Found(image=image, name=text, how=how)
            continue
        digest = Digest(reference.digest)
        text = f"{repository}@{digest}"
        image = snapshot.by_name.get(text)
        if image is None:
            same = [image for image in _with_digest(snapshot, digest) if _in_repository(image, repository)]
            image = (_best(same, view) or same[0]) if same else None
        if image is not None:
            yield Found(image=image, name=text, how="digest")


def _repositories(reference: Reference, view: QueryContext) -> tuple[str, ...]:
    """The repositories to search, in order, each once; docker.io's form of the name comes last for every name."""
    first = (reference.repository,) if reference.qualified else view.short_names(reference.repository)
    try:
        docker = references.parse_docker(reference.repository).repository
    except InvalidName:
        return first
    if reference.qualified and docker != reference.repository:
        # docker.io/x has no other full form than docker.io/library/x.
        return (docker,)
    return tuple(dict.fromkeys((*first, docker)))


def _by_prefix(snapshot: Snapshot, prefix: str) -> tuple[tuple[ImageID, ...], int]:
    """The one matching id of the first store with exactly one, else the first matching ids and their number.

    Each store is searched in turn, as upstream does: several matches in one do not hide the single match of the next.
    """
    several: tuple[tuple[ImageID, ...], int] = (), 0
    if not prefix:
        return several
    for ids in snapshot.sorted_ids:
        start = bisect_left(ids, prefix)
        end = bisect_left(ids, prefix + "\U0010ffff", start)
        if end - start == 1:
            return (ids[start],), 1
        if end - start > 1 and not several[1]:
            several = ids[start : min(end, start + _CANDIDATES)], end - start
    return several


def _by_suffix(snapshot: Snapshot, reference: Reference) -> Iterator[Found]:
    if reference.digest is None:
        hit = snapshot.by_suffix.get(f"{reference.repository}:{reference.tag or 'latest'}")
        if hit is not None:
            yield Found(image=hit[1], name=hit[0], how="short_name")
        return
    for image in _with_digest(snapshot, Digest(reference.digest)):
        for stored in image.names:
            repository, _, _ = split_name(stored)
            if repository == reference.repository or repository.endswith(f"/{reference.repository}"):
                yield Found(image=image, name=f"{repository}@{reference.digest}", how="digest")
                return


def _with_digest(snapshot: Snapshot, digest: Digest) -> Iterator[Image]:
    return visible(snapshot, snapshot.by_digest.get(digest, ()))


def visible(snapshot: Snapshot, images: Iterable[Image]) -> Iterator[Image]:
    """Skip images that another with the same id hides."""
    return (image for image in images if snapshot.by_id[image.id] is image)


def _in_repository(image: Image, repository: str) -> bool:
    return any(split_name(name)[0] == repository for name in image.names)


def shortened(name: str) -> str:
    """A name short enough for an error message: what a client sent may be long."""
    return name if len(name) <= 200 else name[:200] + "…"
