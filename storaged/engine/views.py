"""What one request is answered from."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from storaged.engine.query_context import VersionedContext
from storaged.engine.row_cache import RowCache
from storaged.snapshot.model import Snapshot
from storaged.store.locks.probe import LockHolder


class Staleness(Struct, frozen=True, kw_only=True):
    """Why the snapshot served is not that of the files, and for how many milliseconds that may be so."""

    age_ms: int
    reason: Literal["locked", "unreadable", "incomplete"]
    holder: LockHolder | None = None
    file: str | None = None


class View(Struct, frozen=True, kw_only=True):
    """One snapshot, and the circumstances at the moment it was taken."""

    snapshot: Snapshot
    rows: RowCache
    context: VersionedContext
    stale: Staleness | None = None

    @property
    def generation(self) -> str:
        """Names all that the answer depends on (see ``circumstances``)."""
        return generation_of(self.snapshot.generation, self.context)


def generation_of(snapshot: str, context: VersionedContext) -> str:
    """The generation of a snapshot, by its own, in these circumstances."""
    return f"{snapshot}.{context.number}" if context.number else snapshot
