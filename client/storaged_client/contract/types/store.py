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
    """``containers.list``: storage containers of every tool."""

    rows_of: ClassVar = "containers"

    containers: tuple[ContainerSummary, ...] = ()


@frozen(kw_only=True, eq=False, repr=False)
class ImageUsage(Value):
    """The room one image takes, in bytes; ``None`` while unknown.

    ``shared`` and ``unique`` divide ``size`` by whether another image has the layer, too. ``freed`` is what removing
    this image gives back.
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
    """The room that a container takes: its own layer, its data and the files tools keep for it, measured lately."""

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
    """``store.usage``. A sum is ``None`` while one of its parts is unknown; ``sizes_pending`` counts the layers
    that are still to be measured."""

    images_size: int | None
    """Every layer of the store once, and all big data."""
    images_reclaimable: int | None
    """All of that but what only images with containers need."""
    images: tuple[ImageUsage, ...]
    containers_size: int | None
    containers: tuple[ContainerUsage, ...]
    volumes_size: int | None
    volumes: tuple[VolumeUsage, ...] | None
    """Local volumes below the graphroot; ``None`` where their folder is not there or must not be read."""
    sizes_pending: int


@frozen(kw_only=True, eq=False, repr=False)
class Flaw(Value):
    """Something wrong in the store, where it lies and what mends it."""

    name: str
    detail: str
    image: str | None = None
    file: str | None = None
    command: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class Finding(Value):
    """One thing that ``store.check`` found. ``id`` is a record's id, or a path for tables and files."""

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
    """What mends it without losing data."""


@frozen(kw_only=True, eq=False, repr=False)
class CheckReport(Result, Listing[Finding]):
    """``store.check``: a slice of it where ``resume`` is not ``None``. ``done`` and ``total`` count units."""

    rows_of: ClassVar = "findings"

    findings: tuple[Finding, ...] = ()
    done: int
    total: int
    resume: str | None = None
    unsettled: tuple[str, ...] = ()
    """What could not be judged: a writer was at work through every look, or it may not be read."""
    notes: tuple[str, ...] = ()
    """What is not wrong, and must be known before another tool mends the store."""
    age: float = 0.0
    """Seconds since the check ended whose result this is: who may only read is told a finished one. 0: it is under way,
    or ended with this answer."""
    begun: float = 0.0
    """Seconds since that check began: who asks while one is under way joins it."""
