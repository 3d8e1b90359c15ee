"""The rows of a listing as JSON, each encoded once per generation, so that a reply is a join of bytes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from storaged.operations.listing import summary
from storaged.snapshot.model import Image, Snapshot

_encoder = msgspec.json.Encoder()


class Rows:
    """Encoded ``ImageSummary`` objects of one snapshot. Filled on demand by the event loop alone."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._rows: dict[int, bytes] = {}

    def encode(self, images: Iterable[Image], fields: Sequence[str] | None) -> bytes:
        """A JSON array of the images' rows, whole or with the members named only."""
        if fields is not None:
            return b"[" + b",".join(self._partial(image, fields) for image in images) + b"]"
        rows = self._rows
        parts: list[bytes] = []
        for image in images:
            # Identity, not the id: two records of one store may bear the same id.
            key = id(image)
            row = rows.get(key)
            if row is None:
                row = rows[key] = _encoder.encode(summary(self._snapshot, image))
            parts.append(row)
        return b"[" + b",".join(parts) + b"]"

    def _partial(self, image: Image, fields: Sequence[str]) -> bytes:
        whole = summary(self._snapshot, image)
        return _encoder.encode({name: getattr(whole, name) for name in fields})
