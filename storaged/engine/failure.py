"""Why the store could not be read."""

from __future__ import annotations

from msgspec import Struct

from storaged.errors import StoreCorrupt
from storaged.store.stamp import Stamp


class Failure(Struct, frozen=True, kw_only=True):
    """Why the last load, the one of this ``number``, could not read the store."""

    number: int
    stamp: Stamp
    when: float
    cause: StoreCorrupt

    def error(self) -> StoreCorrupt:
        """A new one for each to raise: one instance would gather the tracebacks of all of them."""
        return StoreCorrupt(self.cause.text, **self.cause.evidence)
