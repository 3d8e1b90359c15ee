"""Encoded JSON of one snapshot: the rows of listings, each encoded once, and whole answers (``kept``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

import msgspec
from attrs import evolve

from storaged.engine.image_texts import ImageTexts
from storaged.engine.response_cache import ResponseCache
from storaged.operations.image_list import summary
from storaged.snapshot.model import Image, Snapshot

_encoder = msgspec.json.Encoder()
_ALL_NAMES: Final[Mapping[int, tuple[str, ...]]] = MappingProxyType({})


class RowCache:
    """Encoded ``ImageSummary`` objects of one snapshot. Filled on demand by the event loop alone."""

    def __init__(self, snapshot: Snapshot, texts: ImageTexts | None = None) -> None:
        self._snapshot = snapshot
        self._rows: dict[int, bytes] = {}
        self.kept = ResponseCache()
        """Whole answers of any method."""
        self.texts = texts or ImageTexts()
        """Encoded forms of single images; they outlive the snapshot."""

    def parts(
        self, images: Iterable[Image], fields: Sequence[str] | None, names: Mapping[int, tuple[str, ...]] = _ALL_NAMES
    ) -> list[bytes]:
        """A JSON array of the images' rows, with all members or only ``fields``, in pieces to be joined.

        ``names``: images that are listed with only some of their names, by ``id()``; their rows are not kept.
        Pieces, so that a caller that joins some of them copies them once.
        """
        pieces = [b"["]
        rows = self._rows
        for image in images:
            # Identity, not the id: two records of one store may have the same id.
            key = id(image)
            if fields is not None or key in names:
                pieces.append(self._partial(image, fields, names.get(key)))
                continue
            row = rows.get(key)
            if row is None:
                row = rows[key] = b"," + _encoder.encode(summary(self._snapshot, image))
            pieces.append(row)
        if len(pieces) > 1:
            pieces[1] = pieces[1][1:]
        pieces.append(b"]")
        return pieces

    def _partial(self, image: Image, fields: Sequence[str] | None, names: tuple[str, ...] | None) -> bytes:
        row = summary(self._snapshot, image)
        if names is not None:
            row = evolve(row, names=names)
        return b"," + _encoder.encode(row if fields is None else {name: getattr(row, name) for name in fields})
