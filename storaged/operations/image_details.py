"""``images.get``: everything the store knows of one image.

The snapshot lacks only the configuration's own JSON: ``lacking`` names the items of big data to fetch, ``details``
takes them decoded. The form is podman's (libimage ``inspect.go``); wrong values in a hostile or damaged configuration
are omitted and never an error.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from posixpath import join
from typing import cast

from storaged.operations.image_list import summary
from storaged.snapshot.model import Image, Layer, Snapshot
from storaged.store.content import config_key
from storaged.store.layout.paths import layer_contents
from storaged.store.layout.records import LayerID
from storaged.store.tables import StoreLocation
from storaged_client.contract.types import JSON, BigData, HistoryEntry, ImageDetails, Timestamp

_OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_OCI_INDEX = "application/vnd.oci.image.index.v1+json"
_DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"


def lacking(image: Image) -> tuple[str, ...]:
    """Keys of the big data that ``details`` needs: the configuration's, or none."""
    if image.is_list:
        return ()
    key = config_key(image.record, image.content.manifest)
    return (key,) if key is not None else ()


def details(snapshot: Snapshot, image: Image, blobs: Mapping[str, JSON], location: StoreLocation) -> ImageDetails:
    """Combine what is known; ``blobs`` holds the decoded items that ``lacking`` named, None for a damaged one."""
    content = image.content
    found = next((blobs.get(key) for key in lacking(image)), None)
    blob = _object(found)
    known = isinstance(found, dict)
    config = blob.get("config")
    rootfs = _object(blob.get("rootfs"))
    history = tuple(history_entries(blob.get("history")))
    manifest_type = _manifest_type(image)
    docker = manifest_type == _DOCKER_MANIFEST
    return ImageDetails(
        summary=summary(snapshot, image),
        top_layer=image.record.layer or None,
        layers=image.layers,
        diff_ids=content.config.diff_ids if content.config is not None else (),
        created=cast("Timestamp | None", _text(blob.get("created")) if known else image.record.created),
        rootfs_type=(_text(rootfs.get("type")) or "") if known else None,
        absent=tuple(_absent(history=blob.get("history"), diff_ids=rootfs.get("diff_ids"))),
        config=config if isinstance(config, dict) else None,
        healthcheck=_object(config).get("Healthcheck") if docker else None,
        history=history,
        author=_text(blob.get("author")),
        comment=_text(blob.get("comment")) if docker else (history[0].comment if history else None),
        docker_version=_text(blob.get("docker_version")) if docker else None,
        config_media_type=content.manifest.config_media_type if content.manifest is not None else None,
        manifest_type=manifest_type,
        annotations=content.manifest.annotations if content.manifest is not None else {},
        big_data=tuple(_big_data(image)),
        driver=location.driver,
        driver_data=_driver_data(snapshot, image, location),
    )


def _manifest_type(image: Image) -> str | None:
    """The media type; if the bytes do not say it, what containers/image guesses from their form."""
    manifest = image.content.manifest
    if manifest is None:
        return None
    if manifest.media_type:
        return manifest.media_type
    if manifest.is_list:
        return _OCI_INDEX
    return _DOCKER_MANIFEST if manifest.config_media_type == _DOCKER_CONFIG else _OCI_MANIFEST


def history_entries(entries: JSON) -> Iterable[HistoryEntry]:
    """The entries of a configuration's history, in its order; an invalid entry becomes an empty one."""
    for entry in entries if isinstance(entries, list) else ():
        members = _object(entry)
        yield HistoryEntry(
            created=cast("Timestamp | None", _text(members.get("created"))),
            created_by=_text(members.get("created_by")),
            author=_text(members.get("author")),
            comment=_text(members.get("comment")),
            empty_layer=members.get("empty_layer") is True,
        )


def _absent(**members: JSON) -> Iterable[str]:
    """The names of the members that are not arrays."""
    return (name for name, value in members.items() if not isinstance(value, list))


def _big_data(image: Image) -> Iterable[BigData]:
    sizes = image.record.big_data_sizes or {}
    digests = image.record.big_data_digests or {}
    for key in image.record.big_data_names or ():
        yield BigData(key=key, size=sizes.get(key), digest=digests.get(key))


def _driver_data(snapshot: Snapshot, image: Image, location: StoreLocation) -> dict[str, str]:
    """The layer folders as the overlay driver reports them; other drivers report nothing.

    ``MergedDir`` is not included: podman shows it only for mounted images, and the snapshot does not know mounts. An
    image without layers has the folders of a layer without a name, one above all others. (containers/storage
    ``drivers/overlay/overlay.go:Metadata``.)
    """
    if location.driver != "overlay" or image.is_list:
        return {}
    if not image.record.layer:
        above = layer_contents(_root(None, location), location.driver, LayerID(""))
        return {"UpperDir": join(above, "diff"), "WorkDir": join(above, "work")}
    if not image.layers:
        return {}
    top, *lower = (_contents(snapshot, layer, location) for layer in reversed(image.layers))
    data = {"UpperDir": join(top, "diff"), "WorkDir": join(top, "work")}
    if lower:
        data["LowerDir"] = ":".join(join(folder, "diff") for folder in lower)
    return data


def _contents(snapshot: Snapshot, layer_id: LayerID, location: StoreLocation) -> str:
    layer = snapshot.layer_by_id.get(layer_id)
    return layer_contents(_root(layer, location), location.driver, layer_id)


def _root(layer: Layer | None, location: StoreLocation) -> str:
    """The layers of images are in the image store if there is one."""
    if layer is not None and layer.store > 0:
        return location.additional[layer.store - 1]
    return location.image_store or location.graphroot


def _object(value: JSON) -> dict[str, JSON]:
    return value if isinstance(value, dict) else {}


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) and value else None
