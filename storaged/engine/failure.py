"""Why the store could not be read."""

from __future__ import annotations

from msgspec import Struct

from storaged.store.stamp import Stamp
from storaged_client.contract.errors import StoreBusy, StoreCorrupt


class Failure(Struct, frozen=True, kw_only=True):
    """Why the last load, the one of this ``number``, could not read the store."""

    number: int
    stamp: Stamp
    when: float
    cause: StoreCorrupt | StoreBusy
    """``StoreBusy``: means were lacking, or the disk failed, which says nothing about the store."""

    @property
    def may_pass(self) -> bool:
        """Whether the same files may be readable a moment later."""
        return isinstance(self.cause, StoreBusy)

    def error(self) -> StoreCorrupt | StoreBusy:
        """A new one for each to raise: one instance would gather the tracebacks of all of them."""
        return type(self.cause)(self.cause.message, self.cause.data)
