"""Table records before they are written, and their JSON as Go writes it: compact, empty members omitted.

Source of member names and order: containers/storage ``images.go``, ``layers.go``, ``containers.go``.
"""

from __future__ import annotations

from typing import Any

from attrs import field, frozen
from msgspec import json

from storaged_client.times import NANOSECONDS

from .content import (
    EMPTY_LIST,
    Instance,
    Layer,
    Recipe,
    digest_of,
    list_bytes,
    manifest_bytes,
)
from .moments import Moment


@frozen(kw_only=True)
class ImageDraft:
    """An image or a manifest list, with its big data in the order of first writing.

    ``digest`` is the record's own; ``recipe`` is None for lists, ``listed`` empty for all others.
    """

    id: str
    digest: str
    items: tuple[tuple[str, bytes], ...]
    created: str
    names: tuple[str, ...] = ()
    """Newest first."""
    former: tuple[str, ...] = ()
    """Former names, most recently dropped first."""
    recipe: Recipe | None = None
    listed: tuple[str, ...] = ()
    """The digests that a list names."""

    @property
    def is_list(self) -> bool:
        return self.recipe is None

    @property
    def digests(self) -> tuple[str, ...]:
        """The record's digest and that of every manifest item, each once."""
        found = {self.digest: None}
        found |= {digest_of(data): None for key, data in self.items if key.startswith("manifest")}
        return tuple(found)

    @property
    def manifest_digest(self) -> str:
        """The digest of ``manifest``, which a list records if it is given this image by name."""
        return digest_of(dict(self.items)["manifest"])

    def record(self) -> dict[str, Any]:
        """The object of images.json."""
        entry: dict[str, Any] = {"id": self.id, "digest": self.digest}
        if self.names:
            entry["names"] = list(self.names)
        history = dict.fromkeys((*reversed(self.names), *self.former))
        if history:
            entry["names-history"] = list(history)
        if self.recipe is not None and self.recipe.top is not None:
            entry["layer"] = self.recipe.top
        if self.recipe is not None:
            entry["metadata"] = "{}"
        entry["big-data-names"] = [key for key, _ in self.items]
        entry["big-data-sizes"] = {key: len(data) for key, data in sorted(self.items)}
        entry["big-data-digests"] = {key: digest_of(data) for key, data in sorted(self.items)}
        entry["created"] = self.created
        return entry


def image_draft(
    recipe: Recipe,
    *,
    names: tuple[str, ...] = (),
    former: tuple[str, ...] = (),
    second_manifest: bool = False,
    pulled_list: bytes | None = None,
) -> ImageDraft:
    """An image as containers/image stores it.

    ``second_manifest``: stored again later with other manifest bytes, so it has two digests: the record keeps the
    first, ``manifest`` holds the second. ``pulled_list``: the list it was pulled through, kept under the list's digest,
    which upstream makes the record's digest.
    """
    config = recipe.config_bytes()
    config_digest = digest_of(config)
    manifest = manifest_bytes(recipe, config)
    items = [(config_digest, config)]
    digest = digest_of(manifest)
    if pulled_list is not None:
        digest = digest_of(pulled_list)
        items.append((f"manifest-{digest}", pulled_list))
    items.append((f"manifest-{digest_of(manifest)}", manifest))
    if second_manifest:
        # An additional blank gives another digest with the same meaning, for Docker manifests, too.
        manifest = manifest.replace(b'"schemaVersion":2,', b'"schemaVersion":2, ', 1)
        items.append((f"manifest-{digest_of(manifest)}", manifest))
    items.append(("manifest", manifest))
    created = recipe.created.text() if recipe.created is not None else "2024-01-01T00:00:00Z"
    return ImageDraft(
        id=config_digest.removeprefix("sha256:"),
        digest=digest,
        items=tuple(items),
        created=created,
        names=names,
        former=former,
        recipe=recipe,
    )


def list_draft(
    list_id: str,
    instances: tuple[Instance, ...],
    sources: dict[str, str],
    *,
    created: Moment,
    names: tuple[str, ...] = (),
    oci: bool = True,
    media_type: bool = True,
    annotations: dict[str, str] | None = None,
) -> ImageDraft:
    """A manifest list as ``podman manifest create`` and ``add`` leave it.

    ``sources`` is the content of ``instances.json``: digest to the place where that manifest can be read.
    """
    manifest = list_bytes(instances, oci=oci, media_type=media_type, annotations=annotations)
    return ImageDraft(
        id=list_id,
        digest=digest_of(EMPTY_LIST),
        items=(
            ("manifest", manifest),
            ("instances.json", json.encode(sources)),
            ("artifacts.json", b"{}"),
        ),
        created=created.text(),
        names=names,
        listed=tuple(instance.digest for instance in instances),
    )


def layer_record(layer: Layer) -> dict[str, Any]:
    """The object of layers.json or volatile-layers.json."""
    entry: dict[str, Any] = {"id": layer.id}
    if layer.names:
        entry["names"] = list(layer.names)
    if layer.parent is not None:
        entry["parent"] = layer.parent
    entry["created"] = layer.created
    if not layer.container:
        entry["compressed-diff-digest"] = layer.blob_digest
        entry["compressed-size"] = layer.blob_size
        entry["diff-digest"] = layer.diff_id
        entry["diff-size"] = layer.size
        if layer.gzip:
            entry["compression"] = 2
        entry["uidset"] = [0]
        entry["gidset"] = [0]
    return entry


@frozen(kw_only=True)
class ContainerDraft:
    """A storage container: podman stores its name and image in ``metadata``, buildah does not."""

    id: str
    name: str
    image: str
    image_name: str
    layer: Layer
    created: Moment
    buildah: bool = False
    volatile: bool = False
    files: dict[str, bytes] = field(factory=dict)
    """The files in ``userdata/``."""

    def record(self) -> dict[str, Any]:
        """The object of containers.json or volatile-containers.json."""
        entry: dict[str, Any] = {
            "id": self.id,
            "names": [self.name],
            "image": self.image,
            "layer": self.layer.id,
        }
        if not self.buildah:
            facts = {
                "image-name": self.image_name,
                "image-id": self.image,
                "name": self.name,
                "created-at": self.created.ns // NANOSECONDS,
            }
            entry["metadata"] = json.encode(facts).decode()
        entry["created"] = self.created.text()
        flags: dict[str, Any] = {"MountLabel": "", "ProcessLabel": ""}
        if self.volatile:
            flags["Volatile"] = True
        entry["flags"] = flags
        return entry
