"""Parses manifests, lists and configurations, as far as answers need them.

The kind of a manifest follows from its ``mediaType``; without one (OCI allows that), from its members, like
containers/image ``manifest.GuessMIMEType``::

    manifests                 list or index
    config, layers            image manifest
    schemaVersion 1, fsLayers Docker schema 1

Other bytes are not a manifest: for a record that may be a list they are unreadable evidence. Like Go, this treats
``null`` as "absent" everywhere.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from storaged.store.layout.contents import ConfigFacts, InstanceFacts, ManifestFacts, PlatformFacts
from storaged.store.layout.decoding import bounded
from storaged.store.layout.records import Digest
from storaged_client.times import instant

DOCKER_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
LISTS: Final = frozenset({DOCKER_LIST, OCI_INDEX})

_DIGEST: Final = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")
_objects = bounded(msgspec.json.Decoder(dict[str, Any]).decode)


class Undecodable(ValueError):
    """The bytes are not a manifest or configuration; the text says what is wrong."""


def parse_manifest(data: bytes) -> ManifestFacts:
    """Parse a manifest, list or index.

    Raises:
        Undecodable: it is none of these, or a relevant member has the wrong type.
    """
    members = _decode(data)
    media_type = _text(members, "mediaType") or None
    entries = members.get("manifests")
    is_list = media_type in LISTS or (media_type is None and entries is not None)
    known = (
        is_list
        or media_type is not None
        or any(members.get(name) is not None for name in ("config", "layers", "fsLayers"))
    )
    if not known:
        raise Undecodable("neither a media type nor the members of a manifest")
    config = _object(members, "config")
    return ManifestFacts(
        media_type=media_type,
        is_list=is_list,
        instances=tuple(_instances(_array(members, "manifests"))) if is_list else (),
        annotations=_strings(members, "annotations"),
        config_digest=(_text(config, "digest") or None) if not is_list else None,
        config_media_type=(_text(config, "mediaType") or None) if not is_list else None,
        raw=data if is_list else None,
    )


def is_signed_schema1(data: bytes) -> bool:
    """Whether these bytes are a signed Docker schema 1 manifest, whose digest is not that of its bytes."""
    try:
        members = _decode(data)
    except Undecodable:
        return False
    return members.get("schemaVersion") == 1 and isinstance(members.get("signatures"), list)


def parse_config(data: bytes) -> ConfigFacts:
    """Parse an image configuration, Docker's or OCI's.

    Raises:
        Undecodable: it is not one, or a relevant member has the wrong type.
    """
    members = _decode(data)
    settings = _object(members, "config")
    history = _array(members, "history")
    digest = hashlib.sha256()
    before_last: bytes | None = None
    for entry in history:
        before_last = digest.digest()
        digest.update(_history_entry(entry))
    diff_ids = _array(_object(members, "rootfs"), "diff_ids")
    return ConfigFacts(
        architecture=_text(members, "architecture") or None,
        os=_text(members, "os") or None,
        variant=_text(members, "variant") or None,
        labels=_strings(settings, "Labels") if settings.get("Labels") is not None else None,
        diff_ids=tuple(_each_text(diff_ids, "diff_ids")),
        history_key=digest.digest(),
        history_before_last=before_last,
    )


def _history_entry(entry: object) -> bytes:
    """The canonical form of a history entry: two are equal exactly if podman's comparison says so."""
    if entry is None:
        entry = {}
    if not isinstance(entry, dict):
        raise Undecodable("an entry of history is not an object")
    created = _text(entry, "created") if entry.get("created") is not None else None
    empty = entry.get("empty_layer")
    if empty is not None and not isinstance(empty, bool):
        raise Undecodable("empty_layer is not a boolean")
    try:
        moment = instant(created) if created is not None else None
    except ValueError as error:
        raise Undecodable(str(error)) from None
    form = (
        moment,
        *(_text(entry, name) for name in ("created_by", "author", "comment")),
        bool(empty),
    )
    return msgspec.json.encode(form) + b"\n"


def _instances(entries: Iterable[object]) -> Iterable[InstanceFacts]:
    for entry in entries:
        if not isinstance(entry, dict):
            raise Undecodable("an entry of manifests is not an object")
        digest = _text(entry, "digest")
        if not _DIGEST.fullmatch(digest):
            raise Undecodable(f"{digest[:80]!r} is not a digest of an instance")
        size = entry.get("size")
        if size is not None and (not isinstance(size, int) or isinstance(size, bool)):
            raise Undecodable("the size of an instance is not an integer")
        yield InstanceFacts(
            digest=Digest(digest),
            size=size,
            media_type=_text(entry, "mediaType") or None,
            artifact_type=_text(entry, "artifactType") or None,
            platform=_platform(_object(entry, "platform")) if entry.get("platform") is not None else None,
            annotations=_strings(entry, "annotations"),
        )


def _platform(members: Mapping[str, Any]) -> PlatformFacts:
    return PlatformFacts(
        architecture=_text(members, "architecture") or None,
        os=_text(members, "os") or None,
        variant=_text(members, "variant") or None,
        os_version=_text(members, "os.version") or None,
        os_features=tuple(_each_text(_array(members, "os.features"), "os.features")),
        features=tuple(_each_text(_array(members, "features"), "features")),
    )


def _decode(data: bytes) -> dict[str, Any]:
    try:
        return _objects(data)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Undecodable(f"no JSON object: {error}") from None


def _text(members: Mapping[str, Any], name: str) -> str:
    value = members.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise Undecodable(f"{name} is not a string")
    return value


def _object(members: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = members.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Undecodable(f"{name} is not an object")
    return value


def _array(members: Mapping[str, Any], name: str) -> list[Any]:
    value = members.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Undecodable(f"{name} is not an array")
    return value


def _strings(members: Mapping[str, Any], name: str) -> dict[str, str]:
    found = _object(members, name)
    return {key: _text(found, key) for key in found}


def _each_text(values: Iterable[object], name: str) -> Iterable[str]:
    for value in values:
        if not isinstance(value, str):
            raise Undecodable(f"an entry of {name} is not a string")
        yield value
