"""Results of ``layers.*``."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ..value import Value
from .base import Damage, Result


@frozen(kw_only=True, eq=False, repr=False)
class LayerSummary(Value):
    """One layer. ``size`` is that of its uncompressed tar, or of its files where the record does not tell it.

    It is ``None`` while the files are measured; where they cannot be, ``size_reason`` tells why.
    """

    id: str
    parent: str | None
    names: tuple[str, ...]
    created: str
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
    """Layers below it; a base layer has 0."""
    read_only: bool
    damage: Damage | None
    size_reason: str | None = None


@frozen(kw_only=True, eq=False, repr=False)
class LayerList(Result):
    """``layers.list`` (store order) and ``layers.tree`` (parents before children)."""

    layers: tuple[LayerSummary, ...] = ()
    next_cursor: str | None = None

    def __iter__(self) -> Iterator[LayerSummary]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)


@frozen(kw_only=True, eq=False, repr=False)
class LayerDetails(Result):
    """``layers.get``."""

    layer: LayerSummary
    chain: tuple[str, ...]
    """Ids from this layer to its base."""
    child_layers: tuple[str, ...]
