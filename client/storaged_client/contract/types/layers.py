"""Results of ``layers.*``."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from ..value import Timestamp, Value
from .base import Damage, Listing, Result


@frozen(kw_only=True, eq=False, repr=False)
class LayerSummary(Value):
    """One layer. ``size`` is that of its uncompressed tar, or of its files if the record does not have it.

    It is ``None`` while the files are measured; if they cannot be, ``size_reason`` says why.
    """

    id: str
    parent: str | None
    names: tuple[str, ...]
    created: Timestamp
    diff_digest: str | None
    compressed_digest: str | None
    toc_digest: str | None
    size: int | None
    compressed_size: int | None
    images: tuple[str, ...]
    """Images whose top layer this is."""
    containers: tuple[str, ...]
    children: int
    depth: int
    """The number of layers below it; a base layer has 0."""
    read_only: bool
    damage: Damage | None
    size_reason: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class LayerList(Result, Listing[LayerSummary]):
    """``layers.list`` (store order) and ``layers.tree`` (parents before children)."""

    rows_of: ClassVar = "layers"

    layers: tuple[LayerSummary, ...] = ()
    next_cursor: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class LayerDetails(Result):
    """``layers.get``."""

    layer: LayerSummary
    chain: tuple[str, ...]
    """Ids from this layer to its base."""
    child_layers: tuple[str, ...]
