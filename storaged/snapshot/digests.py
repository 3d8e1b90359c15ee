"""The digests of an image, and the lists that name a digest.

As upstream, this is one level deep: every digest that a local list names directly, whether or not that
list has a name, and in any store. A list that is named by a list protects that list, but not what
that names in turn. (libimage ``layer_tree.go:newLayerTreeFromData``.)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from attrs import evolve, frozen

from storaged.store.layout.contents import ImageContent, ManifestFacts
from storaged.store.layout.records import Digest, ImageID, ImageRecord
from storaged.store.tables import ImageRow, RecordFlaw


@frozen(kw_only=True)
class Membership:
    """``referenced``: digest to lists in store order. ``last_lists``: see ``Snapshot.last_lists``."""

    referenced: Mapping[Digest, tuple[ImageID, ...]]
    last_lists: Mapping[ImageID, ManifestFacts]

    def lists_of(self, digests: Iterable[Digest]) -> tuple[ImageID, ...]:
        """The lists that name any of the digests, each once."""
        return tuple(dict.fromkeys(name for digest in digests for name in self.referenced.get(digest, ())))


def image_digests(record: ImageRecord) -> tuple[Digest, ...]:
    """All digests by which an image is found: the record's, then those of big data whose key starts with ``manifest``.

    Source: containers/storage ``images.go:recomputeDigests``, ``bigDataNameIsManifest``.
    """
    found: dict[Digest, None] = {}
    if record.digest:
        found[record.digest] = None
    recorded = record.big_data_digests or {}
    for key in (*(record.big_data_names or ()), *sorted(recorded)):
        digest = recorded.get(key) if key.startswith("manifest") else None
        if digest:
            found[digest] = None
    return tuple(found)


def shown_digest(record: ImageRecord, content: ImageContent) -> Digest | None:
    """The record's digest; for a list, that of its current bytes, since upstream never updates the record's."""
    if content.manifest is not None and content.manifest.is_list:
        current = (record.big_data_digests or {}).get("manifest")
        if current:
            return current
    return record.digest or None


def membership(
    rows: Sequence[ImageRow],
    contents: Sequence[ImageContent],
    flaws: Iterable[RecordFlaw],
    previous: Mapping[ImageID, ManifestFacts],
) -> Membership:
    """Build the digest set.

    A list that can no longer be read still protects what it named when it could be read; it is forgotten when its
    record is gone, or turns out to be something else.
    """
    referenced: dict[Digest, dict[ImageID, None]] = {}
    last: dict[ImageID, ManifestFacts] = {}

    def protect(image: ImageID, facts: ManifestFacts) -> None:
        known = last.get(image)
        last[image] = facts if known is None else _joined(known, facts)
        for instance in facts.instances:
            referenced.setdefault(instance.digest, {})[image] = None

    for row, content in zip(rows, contents, strict=True):
        image = row.record.id
        if content.manifest is not None and content.manifest.is_list:
            protect(image, content.manifest)
        if image in previous and _manifest_is_in_doubt(content):
            protect(image, previous[image])
    undecodable = [flaw for flaw in flaws if flaw.evidence]
    present = {row.record.id for row in rows}
    named = {ImageID(flaw.id) for flaw in undecodable if flaw.id is not None}
    unnamed = any(flaw.id is None for flaw in undecodable)
    for image, facts in previous.items():
        if image in named or (unnamed and image not in present):
            protect(image, facts)
    return Membership(
        referenced={digest: tuple(lists) for digest, lists in referenced.items()},
        last_lists=last,
    )


def _manifest_is_in_doubt(content: ImageContent) -> bool:
    """Whether the bytes are not those of the record. A layer or a configuration does not decide it: a list may have
    both, when podman makes it from an image."""
    return content.unreadable_evidence or any(damage.name.startswith("manifest_") for damage in content.damage)


def _joined(one: ManifestFacts, other: ManifestFacts) -> ManifestFacts:
    """Two records with one id may be different lists, one of them in a read-only store: both protect."""
    known = {instance.digest for instance in one.instances}
    more = tuple(instance for instance in other.instances if instance.digest not in known)
    return evolve(one, instances=one.instances + more) if more else one
