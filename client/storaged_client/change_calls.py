"""Every method that changes the store, or keeps others from it, as a function of its parameters.

As in ``calls``: positional order is that of ``contract.params``, and a value that is the default is not sent. A change
is made on the present state whatever its ``consistency`` says; ``timeout`` bounds the wait for its turn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypedDict

from .calls import Call, Consistency, Filters, Texts, request, texts, wire_filters

if TYPE_CHECKING:
    from .contract import types as t

_TTL = 600.0


class PlatformMembers(TypedDict, total=False):
    """What the platform of an entry becomes; a member that is not there is left as it is."""

    architecture: str
    os: str
    variant: str
    os_version: str
    os_features: Sequence[str]
    features: Sequence[str]


class HasFileno(Protocol):
    """An open file."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...


class LayerMembers(TypedDict, total=False):
    """A layer of an artifact: one of ``data`` (as text: base64) and ``file``. A ``media_type`` that is not there is
    guessed as podman guesses it."""

    data: bytes | str
    file: int | HasFileno
    media_type: str
    title: str


class ArtifactMembers(TypedDict, total=False):
    """An artifact to be made; members that are not there are podman's defaults."""

    type: str
    config: str
    config_type: str
    layers: list[LayerMembers] | tuple[LayerMembers, ...]
    subject: str
    annotations: dict[str, str]


# ---------------------------------------------------------------- images


def images_tag(
    name: str, tags: Texts, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.Tagged]:
    """Give names to an image or list; a name that another bears is taken from it, and ``moved_from`` says from which.

    Raises: ImageUnknown, AmbiguousName, InvalidName, ReadOnlyImage.
    """
    return request("images.tag", consistency, timeout, {"name": name, "tags": texts("tags", tags)})


def images_untag(
    name: str, tags: Texts = (), *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.Tagged]:
    """Take names from an image or list; all of them without ``tags``. The image stays.

    Raises: TagUnknown, ImageUnknown, AmbiguousName, InvalidName, ReadOnlyImage.
    """
    return request("images.untag", consistency, timeout, {"name": name}, tags=texts("tags", tags) or None)


def images_create(
    config: Mapping[str, Any],
    names: Texts = (),
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.Created]:
    """Make an image of an OCI configuration alone, without layers, as ``FROM scratch`` does.

    Raises: InvalidParams, InvalidName.
    """
    return request("images.create", consistency, timeout, {"config": config}, names=texts("names", names) or None)


def images_remove(
    names: Texts = (),
    force: bool = False,
    ignore: bool = False,
    no_prune: bool = False,
    all: bool = False,
    dry_run: bool = False,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.PruneReport]:
    """Remove names, and images with their last one. What cannot be removed is in ``failed`` and hinders no other."""
    return request(
        "images.remove",
        consistency,
        timeout,
        names=texts("names", names) or None,
        force=force,
        ignore=ignore,
        no_prune=no_prune,
        all=all,
        dry_run=dry_run,
    )


def images_prune(
    filters: Filters = (),
    all: bool = False,
    external: bool = False,
    dry_run: bool = False,
    plan: str | None = None,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.PruneReport]:
    """Remove dangling images, or with ``all`` every image without containers; ``dry_run`` only tells what and why.

    ``plan`` is that of a dry run's report: it removes nothing that the report did not list; with ``dry_run`` it is only
    looked at.

    Raises: PlanStale.
    """
    return request(
        "images.prune",
        consistency,
        timeout,
        filters=wire_filters(filters),
        all=all,
        external=external,
        dry_run=dry_run,
        plan=plan,
    )


# ---------------------------------------------------------------- manifest lists


def manifests_create(
    name: str,
    images: Texts = (),
    all: bool = False,
    amend: bool = False,
    annotations: Mapping[str, str] | None = None,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.ListEdited]:
    """Make a manifest list of local images; with ``amend`` go on with the list that has the name already.

    Raises: NameInUse, ImageUnknown, AmbiguousName, InvalidName, ImageDamaged.
    """
    return request(
        "manifests.create",
        consistency,
        timeout,
        {"name": name},
        images=texts("images", images) or None,
        all=all,
        amend=amend,
        annotations=annotations,
    )


def manifests_add(
    name: str,
    image: str | None = None,
    all: bool = False,
    platform: PlatformMembers | None = None,
    annotations: Mapping[str, str] | None = None,
    artifact: ArtifactMembers | None = None,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.ListEdited]:
    """Add a local image, or an artifact made of data and files given here.

    A file is open for reading, and stays open and where it stands; the list keeps its path for podman's pushes.

    Raises: ManifestListUnknown, NotAManifestList, ImageUnknown, AmbiguousName, InvalidName, ImageDamaged.
    """
    descriptors: list[int] = []
    call: Call[t.ListEdited] = request(
        "manifests.add",
        consistency,
        timeout,
        {"name": name},
        image=image,
        all=all,
        platform=platform,
        annotations=annotations,
        artifact=_wire_artifact(artifact, descriptors) if artifact is not None else None,
    )
    call.descriptors = descriptors
    return call


def _wire_artifact(artifact: ArtifactMembers, descriptors: list[int]) -> dict[str, Any]:
    """As the protocol has it. ``descriptors`` gets those of its files."""
    wire: dict[str, Any] = {**artifact}
    if "layers" in artifact:
        wire["layers"] = [_wire_layer(layer, descriptors) for layer in artifact["layers"]]
    return wire


def _wire_layer(layer: LayerMembers, descriptors: list[int]) -> dict[str, Any]:
    wire: dict[str, Any] = {**layer}
    data = layer.get("data")
    if isinstance(data, bytes):
        import base64

        wire["data"] = base64.b64encode(data).decode()
    if "file" in layer:
        file = wire.pop("file")
        wire["fd"] = len(descriptors)
        descriptors.append(file if isinstance(file, int) else file.fileno())
    return wire


def manifests_annotate(
    name: str,
    digest: str | None = None,
    platform: PlatformMembers | None = None,
    annotations: Mapping[str, str] | None = None,
    index: bool = False,
    subject: str | None = None,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.ListEdited]:
    """Change platform and annotations of one entry, or with ``index`` those of the list itself.

    Raises: InstanceUnknown, ManifestListUnknown, NotAManifestList, AmbiguousName, InvalidName, ImageDamaged.
    """
    return request(
        "manifests.annotate",
        consistency,
        timeout,
        {"name": name},
        digest=digest,
        platform=platform,
        annotations=annotations,
        index=index,
        subject=subject,
    )


def manifests_remove_instance(
    name: str, digest: str, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.ListEdited]:
    """Take one entry out of a list. The image it names stays.

    Raises: InstanceUnknown, ManifestListUnknown, NotAManifestList, AmbiguousName, InvalidName, ImageDamaged.
    """
    return request("manifests.remove_instance", consistency, timeout, {"name": name, "digest": digest})


def manifests_remove(
    names: Texts,
    ignore: bool = False,
    *,
    consistency: Consistency = "fresh",
    timeout: float | None = None,
) -> Call[t.PruneReport]:
    """Remove lists, never their instances. What cannot be removed is in ``failed`` and hinders no other."""
    return request("manifests.remove", consistency, timeout, {"names": texts("names", names)}, ignore=ignore)


# ---------------------------------------------------------------- leases


def store_lease(
    images: Texts, ttl: float = _TTL, *, consistency: Consistency = "fresh", timeout: float | None = None
) -> Call[t.Lease]:
    """Keep images from every prune and removal of this daemon, for ``ttl`` seconds and while the connection lasts.

    Raises: ImageUnknown, AmbiguousName, InvalidName.
    """
    return request(
        "store.lease", consistency, timeout, {"images": texts("images", images)}, ttl=None if ttl == _TTL else ttl
    )


def store_release(lease: str, *, consistency: Consistency = "fresh", timeout: float | None = None) -> Call[t.Empty]:
    """End a lease of this connection.

    Raises: LeaseUnknown.
    """
    return request("store.release", consistency, timeout, {"lease": lease})
