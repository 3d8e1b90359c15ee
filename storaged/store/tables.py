"""One state of the store's tables, as the reader passes it to the snapshot. Values only.

``stores[0]`` is the writable store (graphroot); the others are the additional read-only stores in the order of
storage.conf. A record belongs to the store it was read from.
"""

from __future__ import annotations

from attrs import frozen
from msgspec import Struct

from storaged.store.layout.records import ContainerRecord, ImageRecord, LayerRecord


@frozen(kw_only=True)
class StoreLocation:
    """The location of a store. Paths are absolute; ``driver`` names the ``<driver>-images`` folder."""

    graphroot: str
    runroot: str
    driver: str
    additional: tuple[str, ...] = ()
    """Graphroots of additional image stores, in order."""
    image_store: str | None = None
    """Graphroot of the images of a split store, else None."""
    transient: bool = False
    config_file: str | None = None
    fingerprint: str = ""
    """Changes when the configuration that selected this location changes."""
    alternatives: tuple[tuple[str, str], ...] = ()
    """The graphroot by the rules of each release of containers/storage, if they differ."""
    chosen_by: str = ""
    """Why this one of the alternatives was chosen."""


class RecordFlaw(Struct, frozen=True, kw_only=True):
    """A record that could not be decoded: where it is and what is wrong.

    ``id`` is its id if that could be read. ``evidence`` is true if the record may be a manifest list, so that nothing
    may count as dangling because of it.
    """

    file: str
    index: int
    detail: str
    id: str | None = None
    store: int = 0
    table: str = "images"
    evidence: bool = False


class ImageRow(Struct, frozen=True, kw_only=True):
    record: ImageRecord
    store: int
    raw: bytes


class LayerRow(Struct, frozen=True, gc=False, kw_only=True):
    record: LayerRecord
    store: int
    volatile: bool = False


class ContainerRow(Struct, frozen=True, kw_only=True):
    record: ContainerRecord
    store: int
    volatile: bool = False


class StoreTables(Struct, frozen=True, kw_only=True):
    """Every row of every table, in the order of the store.

    ``proven`` says that this is one complete state: no writer was at work while it was read.
    """

    images: tuple[ImageRow, ...] = ()
    layers: tuple[LayerRow, ...] = ()
    containers: tuple[ContainerRow, ...] = ()
    flaws: tuple[RecordFlaw, ...] = ()
    proven: bool = True
