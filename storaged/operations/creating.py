"""``images.create``: an image of a configuration alone, as a build ``FROM scratch`` that adds no file makes it.

::

    id              sha256 of the configuration's bytes
    manifest        OCI: the configuration, no layer
    record          no layer; big data in upstream's order: sha256:<id>, manifest-<digest>, manifest

An id that is there already is given the names, as upstream does. The configuration is read as strictly as Go reads
it: one that podman could not decode would stop its listings.

Source: image-spec ``specs-go/v1/config.go``, image ``storage_dest.go`` (Commit), containers/storage ``images.go``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from storaged.errors import ImageDamaged, InvalidParams, StoreBusy
from storaged.operations.planned import Planned
from storaged.operations.tagging import history_after, naming_members, new_name, taken_from_others
from storaged.snapshot.model import Image, Snapshot
from storaged.store.changes import Change, ImageEdit, Item, NewImage
from storaged.store.layout.edit import emit, encode
from storaged.store.layout.manifests import Undecodable, instant, parse_config
from storaged.store.layout.records import Digest, ImageID
from storaged_client.contract.params import ImagesCreate
from storaged_client.contract.types import Created

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PATH = re.compile(r" - at `\$(.*)`$")

_Object = dict[str, Any]


class _Settings(msgspec.Struct, rename="pascal"):
    user: str | None = None
    exposed_ports: dict[str, _Object | None] | None = None
    env: list[str | None] | None = None
    entrypoint: list[str | None] | None = None
    cmd: list[str | None] | None = None
    volumes: dict[str, _Object | None] | None = None
    working_dir: str | None = None
    labels: dict[str, str | None] | None = None
    stop_signal: str | None = None
    args_escaped: bool | None = None


class _RootFS(msgspec.Struct):
    type: str
    diff_ids: list[str] | None = None


class _History(msgspec.Struct):
    created: str | None = None
    created_by: str | None = None
    author: str | None = None
    comment: str | None = None
    empty_layer: bool | None = None


class _Config(msgspec.Struct):
    architecture: str
    os: str
    rootfs: _RootFS
    created: str | None = None
    author: str | None = None
    variant: str | None = None
    os_version: str | None = msgspec.field(default=None, name="os.version")
    os_features: list[str | None] | None = msgspec.field(default=None, name="os.features")
    config: _Settings | None = None
    history: list[_History | None] | None = None


_decoder = msgspec.json.Decoder(_Config)


def create(snapshot: Snapshot, params: ImagesCreate, now: str) -> Planned[Created]:
    """Make an image of a configuration, named as asked; the names are taken from whatever else bears them.

    ``now`` (RFC 3339) is when it was made, where the configuration does not say.

    Raises:
        InvalidParams: the configuration is none of an image without layers.
        InvalidName: a name is no reference, or has a digest.
        ImageDamaged: the image is there, and has a layer that its configuration does not have.
        StoreBusy: another tool is making the very image.
    """
    data = _bytes(params.config)
    config = _checked(data)
    given = [new_name(name) for name in params.names]
    own = ImageID(hashlib.sha256(data).hexdigest())
    known = snapshot.by_id.get(own)
    if known is not None and known.read_only:
        known = None
    if known is None and own in snapshot.half_made:
        raise StoreBusy(f"image {own[:12]} is being made by another tool; try again", id=own)
    moves, moved = taken_from_others(snapshot, given, own)
    if known is not None:
        change, names = _renamed(known, given, moves, data)
        return Planned(change=change, result=Created(ids=(own,), names=names, moved_from=moved))
    names = tuple(dict.fromkeys(reversed(given)))
    items, digest = _items(own, data)
    members = {
        "id": own,
        "digest": digest,
        **naming_members(names, history_after((), names)),
        "metadata": "{}",
        "created": _created(config) or now,
    }
    return Planned(
        change=Change(edits=moves, added=(NewImage(members=members, items=items),)),
        result=Created(ids=(own,), names=names, moved_from=moved),
    )


def _renamed(
    image: Image, given: Sequence[str], moves: tuple[ImageEdit, ...], data: bytes
) -> tuple[Change, tuple[str, ...]]:
    """The names for an image that is there; its own bytes where it has lost them."""
    if image.record.layer:
        raise ImageDamaged(
            f"image {image.id[:12]} is in the store with a layer that its configuration does not have: remove it first",
            id=image.id,
        )
    names = tuple(dict.fromkeys((*reversed(given), *image.names)))
    history = history_after(image.record.names_history or (), names)
    members = naming_members(names, history) if given else {}
    items = _items(image.id, data)[0] if image.content.damage else ()
    if not items and (not given or (names == image.names and history == (image.record.names_history or ()))):
        return Change(), image.names
    return Change(edits=(*moves, ImageEdit(image=image.id, members=members, items=items))), names


def _items(own: ImageID, data: bytes) -> tuple[tuple[Item, ...], Digest]:
    """The big data, and the digest of the manifest."""
    config = {"mediaType": encode(CONFIG_TYPE), "digest": encode(f"sha256:{own}"), "size": encode(len(data))}
    manifest = emit(
        {
            "schemaVersion": encode(2),
            "mediaType": encode(MANIFEST_TYPE),
            "config": emit(config),
            "layers": encode([]),
        }
    )
    digest = Digest(f"sha256:{hashlib.sha256(manifest).hexdigest()}")
    items = (
        Item(key=f"sha256:{own}", data=data),
        Item(key=f"manifest-{digest}", data=manifest),
        Item(key="manifest", data=manifest),
    )
    return items, digest


def _bytes(config: Any) -> bytes:
    """The configuration's bytes: those of the text given, or the object given, compact, in the order of its members.

    Raises:
        InvalidParams: it is neither.
    """
    if isinstance(config, str):
        return config.encode("utf-8", "surrogatepass")
    if isinstance(config, dict):
        return msgspec.json.encode(config)
    raise InvalidParams("a configuration is an object, or the text of one", path="config")


def _checked(data: bytes) -> _Config:
    """Raises: InvalidParams: it is no configuration of an image without layers; the path says where."""
    try:
        config = _decoder.decode(data)
        parse_config(data)
    except RecursionError:
        raise InvalidParams("the configuration is nested too deeply", path="config") from None
    except (msgspec.MsgspecError, UnicodeError, Undecodable) as error:
        found = _PATH.search(str(error))
        text = str(error)[: found.start()] if found is not None else str(error)
        raise InvalidParams(
            f"no image configuration: {text}", path="config" + (found[1] if found is not None else "")
        ) from None
    for name in ("architecture", "os"):
        if not getattr(config, name):
            raise InvalidParams(f"an image says its {name}", path=f"config.{name}")
    if config.rootfs.type != "layers":
        raise InvalidParams('the type of a root file system is "layers"', path="config.rootfs.type")
    if config.rootfs.diff_ids:
        raise InvalidParams(
            "an image made of its configuration alone has no layers: use images.import or a build for one with files",
            path="config.rootfs.diff_ids",
        )
    _check_time(config.created, "config.created")
    for at, entry in enumerate(config.history or ()):
        if entry is None or not entry.empty_layer:
            raise InvalidParams(
                "without layers every entry of the history has empty_layer", path=f"config.history[{at}].empty_layer"
            )
        _check_time(entry.created, f"config.history[{at}].created")
    return config


def _check_time(text: str | None, path: str) -> None:
    """As Go reads a time: RFC 3339 with a point before the fraction, of the years 1 to 9999."""
    if text is None:
        return
    try:
        seconds, _ = instant(text)
        _EPOCH + timedelta(seconds=seconds)
    except (Undecodable, OverflowError) as error:
        raise InvalidParams(f"{text[:64]!r} is no time: {error}", path=path) from None
    if "," in text:
        raise InvalidParams(f"{text[:64]!r} has a comma where RFC 3339 has a point", path=path)


def _created(config: _Config) -> str | None:
    """The time the configuration tells, in UTC, as Go writes it."""
    if config.created is None:
        return None
    seconds, nanoseconds = instant(config.created)
    fraction = f".{nanoseconds:09d}".rstrip("0").rstrip(".")
    moment = (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None)
    return f"{moment.isoformat(timespec='seconds')}{fraction}Z"
