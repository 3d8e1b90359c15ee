"""Parses and serialises manifest lists for editing: their entries, and everything around them.

Two forms of the same thing; members are in the order in which Go writes them, unknown ones after the known::

    OCI index      schemaVersion mediaType artifactType manifests[] subject annotations
      entry        mediaType digest size urls annotations data platform artifactType
      platform     architecture os os.version os.features variant
    Docker list    schemaVersion mediaType manifests[]
      entry        mediaType size digest urls platform
      platform     architecture os os.version os.features variant features

Each write chooses the form again, as podman does (``preferOCI``): an index if there is anything that only an index can
express; else a Docker list if an entry has ``features``, or if there is no entry; else an index. podman loses what the
chosen form has no member for. Here nothing is lost: an index keeps ``platform.features``, and a member unknown to this
module keeps its bytes in either form.

Source: container-libs ``common/pkg/manifests/manifests.go`` (preferOCI, Serialize, FromBlob, AddInstance).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec
from msgspec import Struct, field, structs

from storaged.store.layout.decoding import bounded
from storaged.store.layout.edit import emit, encode
from storaged.store.layout.manifests import DOCKER_LIST, OCI_INDEX, Undecodable, parse_manifest
from storaged.store.layout.records import Digest
from storaged_client.contract.params import PlatformChoice

Members = Mapping[str, bytes]
"""A JSON object: each member's own bytes."""

_INDEX = ("schemaVersion", "mediaType", "artifactType", "manifests", "subject", "annotations")
_ENTRY = {
    OCI_INDEX: ("mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType"),
    DOCKER_LIST: ("mediaType", "size", "digest", "urls", "platform"),
}
_PLATFORM = ("architecture", "os", "os.version", "os.features", "variant", "features")
_CHOICES = {
    "os": "os",
    "os_version": "os.version",
    "features": "features",
    "os_features": "os.features",
    "architecture": "architecture",
    "variant": "variant",
}
_SILENT = frozenset((*_INDEX, *_ENTRY[OCI_INDEX], *_PLATFORM))
_NULL = b"null"

_object = bounded(msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode)
_array = msgspec.json.Decoder(list[msgspec.Raw] | None)


class Entry(Struct, frozen=True, kw_only=True):
    """One descriptor. ``members`` holds neither ``digest`` nor ``platform``; an empty platform is None."""

    digest: Digest
    members: Members
    platform: Members | None = None

    @property
    def annotations(self) -> dict[str, str]:
        return _strings(self.members.get("annotations"))


class ListForm(Struct, frozen=True, kw_only=True):
    """A manifest list. ``members`` holds all but ``schemaVersion``, ``mediaType`` and ``manifests``."""

    members: Members = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    null: bool = False
    """Whether an empty ``manifests`` is ``null``, as podman writes it until the first entry."""

    def find(self, digest: str) -> Entry | None:
        """The first entry with this digest."""
        return next((entry for entry in self.entries if entry.digest == digest), None)

    def put(self, entries: Iterable[Entry], settle: Callable[[Entry, Entry], Entry] = lambda _, new: new) -> ListForm:
        """With these entries at the end; an entry whose digest exists already is settled with the old one, in its
        place."""
        placed = list(self.entries)
        at: dict[Digest, int] = {}
        for number, entry in enumerate(placed):
            at.setdefault(entry.digest, number)
        for entry in entries:
            number = at.setdefault(entry.digest, len(placed))
            if number == len(placed):
                placed.append(entry)
            else:
                placed[number] = settle(placed[number], entry)
        return structs.replace(self, entries=tuple(placed), null=self.null and not placed)

    def without(self, digest: Digest) -> ListForm:
        """Without the entries with this digest."""
        others = tuple(entry for entry in self.entries if entry.digest != digest)
        return structs.replace(self, entries=others, null=False)

    def annotated(self, annotations: Mapping[str, str]) -> ListForm:
        """With these annotations of the list itself, merged into the existing ones."""
        return structs.replace(self, members=_merged(self.members, annotations))

    def about(self, subject: Members | None) -> ListForm:
        """With this descriptor as the subject of the index, or without one."""
        raw = emit(in_order(subject, _ENTRY[OCI_INDEX])) if subject is not None else None
        return structs.replace(self, members=with_member(self.members, "subject", raw))


NEW = ListForm(null=True)
"""The initial form of every list."""


def parse(data: bytes) -> ListForm:
    """Parse a manifest list or an index of either form.

    Raises:
        Undecodable: it is neither, or a relevant member has the wrong type.
    """
    parse_manifest(data)
    members = _plain(members_of(data), _INDEX)
    entries = _array.decode(members.pop("manifests", _NULL))
    for derived in ("schemaVersion", "mediaType"):
        members.pop(derived, None)
    return ListForm(
        members=_present(members),
        entries=tuple(_entry(members_of(bytes(entry))) for entry in entries or ()),
        null=entries is None,
    )


def serialise(form: ListForm) -> bytes:
    """The bytes of a list in the form that podman would choose."""
    media_type = OCI_INDEX if _prefers_oci(form) else DOCKER_LIST
    entries = b",".join([_written(entry, media_type) for entry in form.entries])
    whole = {
        **form.members,
        "schemaVersion": encode(2),
        "mediaType": encode(media_type),
        "manifests": _NULL if form.null and not entries else b"[" + entries + b"]",
    }
    return emit(in_order(whole, _INDEX))


def overridden(entry: Entry, platform: PlatformChoice | None, annotations: Mapping[str, str] | None) -> Entry:
    """An entry with the given members changed; others stay.

    An empty string or list removes a member. An architecture without a variant removes the variant, as in podman since
    5.0: a variant of another architecture is meaningless.
    """
    chosen = dict(entry.platform or {})
    if platform is not None:
        if platform.architecture is not None and platform.variant is None:
            chosen.pop("variant", None)
        for name, member in _CHOICES.items():
            value = getattr(platform, name)
            if value is not None:
                chosen = with_member(chosen, member, encode(value) if value else None)
    return structs.replace(
        entry,
        platform=_platform(chosen),
        members=_merged(entry.members, annotations) if annotations else entry.members,
    )


def members_of(value: bytes) -> dict[str, bytes]:
    """The members of an object, each with the exact bytes of its value; none for ``null``.

    Raises:
        msgspec.DecodeError: it is not an object.
    """
    return {name: bytes(found) for name, found in (_object(value) or {}).items()}


def in_order(members: Members, order: Iterable[str]) -> dict[str, bytes]:
    """The known members in their order, then the others as they are."""
    return {**{name: members[name] for name in order if name in members}, **members}


def with_member(members: Members, name: str, value: bytes | None) -> dict[str, bytes]:
    """With one member changed, or without it."""
    changed = dict(members)
    changed.pop(name, None)
    return changed if value is None else {**changed, name: value}


def _prefers_oci(form: ListForm) -> bool:
    if any(name in form.members for name in ("artifactType", "subject", "annotations")):
        return True
    if any(name in entry.members for entry in form.entries for name in ("artifactType", "annotations", "data")):
        return True
    if any("features" in (entry.platform or {}) for entry in form.entries):
        return False
    return bool(form.entries)


def _plain(members: dict[str, bytes], known: Iterable[str]) -> dict[str, bytes]:
    """Go matches members in any case: refuse what it would read twice."""
    meant = {name.casefold(): name for name in known}
    for name in members:
        other = meant.get(name.casefold(), name)
        if other != name:
            raise Undecodable(f"it has a member {name!r}, which other tools take for {other!r}")
    return members


def _entry(members: dict[str, bytes]) -> Entry:
    _plain(members, _ENTRY[OCI_INDEX])
    digest = msgspec.json.decode(members.pop("digest"), type=str)
    platform = members.pop("platform", None)
    return Entry(
        digest=Digest(digest),
        members=_present(members),
        platform=_platform(_plain(members_of(platform), _PLATFORM)) if platform is not None else None,
    )


def _written(entry: Entry, media_type: str) -> bytes:
    platform = entry.platform
    if media_type == DOCKER_LIST or platform is not None:
        # Go always writes these two in a platform.
        empty = encode("")
        platform = {"architecture": empty, "os": empty, **(platform or {})}
    members = {**entry.members, "digest": encode(entry.digest)}
    if platform is not None:
        members["platform"] = emit(in_order(platform, _PLATFORM))
    return emit(in_order(members, _ENTRY[media_type]))


def _platform(members: Members) -> Members | None:
    return _present(members) or None


def _present(members: Members) -> dict[str, bytes]:
    """Without the known members that are empty, which Go takes for absent."""
    return {
        name: value
        for name, value in members.items()
        if name not in _SILENT or msgspec.json.decode(value) not in (None, "", [], {})
    }


def _merged(members: Members, annotations: Mapping[str, str]) -> dict[str, bytes]:
    merged = {**_strings(members.get("annotations")), **annotations}
    return with_member(members, "annotations", encode(merged) if merged else None)


def _strings(value: bytes | None) -> dict[str, str]:
    found = msgspec.json.decode(value, type=dict[str, str | None]) if value is not None else {}
    return {key: text or "" for key, text in found.items()}
