"""Indexes over images: ids, names, digests, id prefixes, short names.

Precedence is upstream's (containers/storage ``store.go:Image``): the writable store before the
read-only ones; within a store the last record of an id, and the last of a name; a read-only image is
hidden, with its names, if the writable store has a record of the same id.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from attrs import frozen

from storaged.snapshot.model import Image
from storaged.store.layout.records import Digest, ImageID


@frozen(kw_only=True)
class Indexes:
    """See the members with the same names in ``Snapshot``."""

    by_id: Mapping[ImageID, Image]
    by_name: Mapping[str, Image]
    by_digest: Mapping[Digest, tuple[Image, ...]]
    sorted_ids: tuple[tuple[ImageID, ...], ...]
    by_suffix: Mapping[str, tuple[str, Image]]


def split_name(name: str) -> tuple[str, str | None, str | None]:
    """Split a stored name into repository, tag and digest, without validating it."""
    rest, _, digest = name.partition("@")
    repository, colon, tag = rest.rpartition(":")
    if not colon or "/" in tag:
        return rest, None, digest or None
    return repository, tag, digest or None


def tails(repository: str) -> Iterator[str]:
    """Yield ``a/b/c``, ``b/c``, ``c``: the short names of a repository."""
    yield repository
    position = repository.find("/")
    while position >= 0:
        yield repository[position + 1 :]
        position = repository.find("/", position + 1)


def index(images: Sequence[Image]) -> Indexes:
    """Build the indexes; ``images`` in store order, the writable store first."""
    ids: dict[ImageID, Image] = {}
    digests: dict[Digest, list[Image]] = {}
    for image in images:
        known = ids.get(image.id)
        if known is None or known.store >= image.store:
            ids[image.id] = image
        for digest in image.digests:
            digests.setdefault(digest, []).append(image)
    names: dict[str, Image] = {}
    suffixes: dict[str, tuple[str, Image]] = {}
    stores: list[list[ImageID]] = []
    for image in images:
        if ids[image.id].store != image.store:
            continue
        for name in image.names:
            known = names.get(name)
            if known is None or known.store >= image.store:
                names[name] = image
            repository, tag, _ = split_name(name)
            if tag is not None:
                for tail in tails(repository):
                    suffixes.setdefault(f"{tail}:{tag}", (name, image))
    for key, image in ids.items():
        while len(stores) <= image.store:
            stores.append([])
        stores[image.store].append(key)
    return Indexes(
        by_id=ids,
        by_name=names,
        by_digest={digest: tuple(found) for digest, found in digests.items()},
        sorted_ids=tuple(tuple(sorted(store)) for store in stores),
        by_suffix=suffixes,
    )
