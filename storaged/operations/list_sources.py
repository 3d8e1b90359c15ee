"""Where the entries of a local manifest list can be read when it is pushed.

::

    instances.json    {"": "<id of the list>", "<digest>": "<transport>:<reference>", ...}
    artifacts.json    what the list itself holds; every key is a digest
      manifests         artifact: its manifest, as text
      files             artifact: paths it was made of, for people
      config, layers    artifact: digest of its configuration, digests of its layers
      detached, blobs   configuration or layer: path of the file, or its bytes in base64

podman writes ``{}`` into both for a new list, and its own id into the first from the first edit on. A record without
``instances.json`` is not a list for podman, and breaks its listings.

Source: container-libs ``libimage/manifests/manifests.go`` (artifactsDetails, LoadFromImage, Reference).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from msgspec import Struct, field, structs

from storaged.operations.list_forms import Members, members_of
from storaged.store.layout.decoding import bounded
from storaged.store.layout.edit import emit, encode
from storaged.store.layout.records import Digest, ImageID
from storaged.store.tables import StoreLocation

_OF_ARTIFACTS = ("manifests", "files", "config", "layers")
_OF_BLOBS = ("detached", "blobs")
_KNOWN = (*_OF_ARTIFACTS, *_OF_BLOBS)

_instances = bounded(msgspec.json.Decoder(dict[str, str] | None).decode)


class Artifact(Struct, frozen=True, kw_only=True):
    """What ``artifacts.json`` has about one artifact, by its two kinds of keys."""

    members: Members
    """From ``manifests``, ``files``, ``config`` and ``layers``: its own value."""
    blobs: Mapping[str, Members]
    """From ``detached`` and ``blobs``: the values of its configuration and layers, by their digests."""


class Artifacts(Struct, frozen=True, kw_only=True):
    """The six maps, and members that this module does not know."""

    maps: Mapping[str, Members] = field(default_factory=dict)
    others: Members = field(default_factory=dict)

    def get(self, digest: Digest) -> Artifact | None:
        """What is recorded about one artifact; None if the list itself does not hold it."""
        members = {name: self._map(name)[digest] for name in _OF_ARTIFACTS if digest in self._map(name)}
        if "manifests" not in members:
            return None
        wanted = _blobs_of(members)
        blobs = {name: {blob: value for blob, value in self._map(name).items() if blob in wanted} for name in _OF_BLOBS}
        return Artifact(members=members, blobs=blobs)

    def put(self, artifacts: Mapping[Digest, Artifact]) -> Artifacts:
        """With these artifacts, each replacing an existing one."""
        if not artifacts:
            return self
        maps = {name: dict(self._map(name)) for name in _KNOWN}
        for digest, artifact in artifacts.items():
            for name, value in artifact.members.items():
                maps[name][digest] = value
            for name, values in artifact.blobs.items():
                maps[name].update(values)
        return structs.replace(self, maps=_filled(maps))

    def without(self, digest: Digest) -> Artifacts:
        """Without an artifact, and without blobs that no other one names."""
        gone = self.get(digest)
        maps = {
            name: {key: value for key, value in self._map(name).items() if key != digest or name in _OF_BLOBS}
            for name in _KNOWN
        }
        if gone is not None:
            needed = {
                blob
                for other in maps["manifests"]
                for blob in _blobs_of({name: maps[name][other] for name in _OF_ARTIFACTS if other in maps[name]})
            }
            for name in _OF_BLOBS:
                for blob in gone.blobs[name].keys() - needed:
                    del maps[name][blob]
        return structs.replace(self, maps=_filled(maps))

    def made_of(self, path: str) -> Digest | None:
        """The artifact that was made of the file with this path."""
        for digest, files in self._map("files").items():
            if path in (msgspec.json.decode(files, type=list[str] | None) or ()):
                return Digest(digest)
        return None

    def _map(self, name: str) -> Members:
        return self.maps.get(name, {})


def parse_instances(data: bytes) -> dict[str, str]:
    """Raises: msgspec.DecodeError: the bytes are not a map of strings."""
    return _instances(data) or {}


def serialise_instances(instances: Mapping[str, str]) -> bytes:
    """The bytes of ``instances.json``, sorted as Go sorts the keys of a map."""
    return encode(dict(instances))


def parse_artifacts(data: bytes) -> Artifacts:
    """Raises: msgspec.DecodeError: the bytes are not an object, or one of the six members is not."""
    members = members_of(data)
    maps = {name: members_of(members.pop(name)) for name in _KNOWN if name in members}
    artifacts = Artifacts(maps=_filled(maps), others=members)
    for digest in artifacts.maps.get("manifests", {}):
        artifacts.get(Digest(digest))
    return artifacts


def serialise_artifacts(artifacts: Artifacts) -> bytes:
    """The bytes of ``artifacts.json``: without empty maps, keys sorted."""
    maps = {name: emit(dict(sorted(values.items()))) for name in _KNOWN if (values := artifacts.maps.get(name))}
    return emit({**maps, **artifacts.others})


def local_reference(location: StoreLocation, image: ImageID) -> str:
    """podman's reference to a local image: found by its id, whatever becomes of its names."""
    return f"containers-storage:[{location.driver}@{location.graphroot}+{location.runroot}]@{image}"


def _filled(maps: Mapping[str, Members]) -> dict[str, Members]:
    """Without empty maps, as they are written: equal contents are equal values."""
    return {name: values for name, values in maps.items() if values}


def _blobs_of(members: Members) -> set[str]:
    """Digests of the configuration and the layers that an artifact's members name."""
    config = msgspec.json.decode(members["config"], type=str | None) if "config" in members else None
    layers = msgspec.json.decode(members["layers"], type=list[str] | None) if "layers" in members else None
    return {*(layers or ()), *([config] if config else ())}
