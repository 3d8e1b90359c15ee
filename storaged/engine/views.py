"""The view of the store that one request is answered from."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from storaged.engine.query_context import VersionedContext
from storaged.engine.row_cache import RowCache
from storaged.snapshot.model import Snapshot
from storaged.store.locks.probe import LockHolder


class Staleness(Struct, frozen=True, kw_only=True):
    """Why a snapshot may not match the files, and for how many milliseconds."""

    age_ms: int
    reason: Literal["locked", "unreadable", "incomplete"]
    holder: LockHolder | None = None
    file: str | None = None


class View(Struct, frozen=True, kw_only=True):
    """One snapshot, with the query context of the moment when the view was taken."""

    snapshot: Snapshot
    rows: RowCache
    context: VersionedContext
    stale: Staleness | None = None

    @property
    def generation(self) -> str:
        """Names everything that an answer depends on (see ``query_context``)."""
        return generation_of(self.snapshot.generation, self.context)


def generation_of(snapshot: str, context: VersionedContext) -> str:
    """The generation of a snapshot, given by its own generation, in this context."""
    return f"{snapshot}.{context.number}" if context.number else snapshot
