"""Results of ``containers.*`` and ``store.*``."""

from __future__ import annotations

from typing import ClassVar, Literal

from attrs import frozen

from ..value import Timestamp, Value
from .base import Listing, Result


@frozen(kw_only=True, eq=False, repr=False)
class ContainerSummary(Value):
    id: str
    names: tuple[str, ...]
    image: str | None
    layer: str | None
    created: Timestamp
    owner: Literal["podman", "buildah", "cri-o", "unknown"]
    volatile: bool


@frozen(kw_only=True, eq=False, repr=False)
class ContainerList(Result, Listing[ContainerSummary]):
    """``containers.list``: storage containers of all tools."""

    rows_of: ClassVar = "containers"

    containers: tuple[ContainerSummary, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class ImageUsage(Value):
    """The disk usage of one image, in bytes; ``None`` while unknown.

    ``shared`` and ``unique`` divide ``size`` by whether another image has the layer, too. ``freed`` is what removing
    this image frees.
    """

    id: str
    names: tuple[str, ...]
    created: Timestamp
    read_only: bool
    size: int | None
    shared: int | None
    unique: int | None
    freed: int | None
    containers: int


@frozen(kw_only=True, eq=False, repr=False)
class ContainerUsage(Value):
    """The disk usage of a container: its own layer, its data and the files that tools keep for it, measured
    recently."""

    id: str
    names: tuple[str, ...]
    image: str | None
    created: Timestamp
    owner: Literal["podman", "buildah", "cri-o", "unknown"]
    size: int | None
    size_pending: bool
    size_reason: str | None


@frozen(kw_only=True, eq=False, repr=False)
class VolumeUsage(Value):
    name: str
    size: int | None


@frozen(kw_only=True, eq=False, repr=False)
class StoreUsage(Result):
    """``store.usage``. A sum is ``None`` while one of its parts is unknown; ``sizes_pending`` counts the layers still
    to be measured."""

    images_size: int | None
    """Every layer of the store once, and all big data."""
    images_reclaimable: int | None
    """All of that except what only images with containers need."""
    images: tuple[ImageUsage, ...]
    containers_size: int | None
    containers: tuple[ContainerUsage, ...]
    volumes_size: int | None
    volumes: tuple[VolumeUsage, ...] | None
    """Local volumes below the graphroot; ``None`` if their folder does not exist or may not be read."""
    sizes_pending: int


@frozen(kw_only=True, eq=False, repr=False)
class Flaw(Value):
    """A problem in the store: where it is and how to repair it."""

    name: str
    detail: str
    image: str | None = None
    file: str | None = None
    command: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Finding(Value):
    """One finding of ``store.check``. ``id`` is a record's id, or a path for tables and files."""

    name: str
    severity: Literal["fatal", "damage", "warning", "debris"]
    kind: Literal["store", "table", "image", "layer", "container", "file"]
    id: str
    store: int
    """0 is the writable store, others count the additional ones."""
    file: str | None
    detail: str
    endangers: str
    images: tuple[str, ...]
    """Images that need the subject, at most 32."""
    mend: str | None
    """How to repair it without losing data."""


@frozen(kw_only=True, eq=False, repr=False)
class CheckReport(Result, Listing[Finding]):
    """``store.check``: a slice of it if ``resume`` is not ``None``. ``done`` and ``total`` count units."""

    rows_of: ClassVar = "findings"

    findings: tuple[Finding, ...] = ()
    done: int
    total: int
    resume: str | None = None
    unsettled: tuple[str, ...] = ()
    """What could not be judged: a writer disturbed every look, or it may not be read."""
    notes: tuple[str, ...] = ()
    """What is not wrong, but matters before another tool repairs the store."""
    age: float = 0.0
    """Seconds since the end of the check that gave this result: a client that may only read gets a finished one. 0: the
    check is running, or ended with this answer."""
    begun: float = 0.0
    """Seconds since that check began: a request during a check joins it."""
