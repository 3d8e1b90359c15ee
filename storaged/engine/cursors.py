"""Listings under way: a cursor pins the snapshot and the selection it was made of.

At most four an account (a uid, with those that are subordinate to it) and 64 in all, sixty seconds unused; the oldest
goes first, before it those that were read to their end. A cursor is bound to its uid: another's is unknown, not
forbidden, so that its existence does not show.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

import anyio
from msgspec import Struct

from storaged.engine.eviction import crowded
from storaged.metrics import Metrics
from storaged_client.contract.errors import GenerationGone, InvalidParams

PER_UID = 4
TOTAL = 64
"""Of all together."""
UNUSED_SECONDS = 60

T = TypeVar("T")


class _Pinned(Struct, Generic[T], kw_only=True):
    uid: int
    account: int
    listing: T
    used: float
    finished: bool = False


class Cursors(Generic[T]):
    """Pinned listings of one method, by opaque token. Belongs to the event loop.

    ``limits.cursors``, ``limits.total_cursors`` and ``limits.cursor_seconds`` of the metrics count listings that were
    dropped half read.
    """

    def __init__(
        self,
        metrics: Metrics | None = None,
        *,
        per_uid: int = PER_UID,
        total: int = TOTAL,
        unused_seconds: float = UNUSED_SECONDS,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._per_uid = per_uid
        self._total = total
        self._unused_seconds = unused_seconds
        self._pinned: OrderedDict[str, _Pinned[T]] = OrderedDict()

    def revise(self, *, per_uid: int, total: int, unused_seconds: float) -> None:
        """Keep by these bounds from now on."""
        self._per_uid = per_uid
        self._total = total
        self._unused_seconds = unused_seconds

    def __len__(self) -> int:
        self.sweep()
        return len(self._pinned)

    def pin(self, uid: int, listing: T, account: int | None = None) -> str:
        """Keep a listing; returns its token. It counts as ``account``'s, and only ``uid`` may take it."""
        self.sweep()
        account = uid if account is None else account
        kept = [(token, pinned.account, pinned.finished) for token, pinned in self._pinned.items()]
        mine = sum(owner == account for _, owner, _ in kept)
        gone = crowded(kept, account, of_account=self._per_uid, total=self._total)
        self._drop(gone, "limits.cursors" if mine >= self._per_uid else "limits.total_cursors")
        token = secrets.token_urlsafe(12)
        self._pinned[token] = _Pinned(uid=uid, account=account, listing=listing, used=anyio.current_time())
        return token

    def take(self, uid: int, cursor: str) -> tuple[str, int, T]:
        """The token, offset and listing behind a cursor.

        Raises:
            InvalidParams: the text is no cursor.
            GenerationGone: it is not kept any more, or never was.
        """
        token, separator, offset = cursor.partition(".")
        if not separator or not offset.isascii() or not offset.isdigit() or len(offset) > 12:
            raise InvalidParams("this is no cursor of ours; use next_cursor as it was given", path="$.cursor")
        self.sweep()
        pinned = self._pinned.get(token)
        if pinned is None or pinned.uid != uid:
            raise GenerationGone("the listing this cursor belongs to is no longer kept; start it again", cursor=cursor)
        pinned.used = anyio.current_time()
        self._pinned.move_to_end(token)
        return token, int(offset), pinned.listing

    def finish(self, token: str) -> None:
        """The listing was read to its end. It stays until others need its place: an answer may have been lost."""
        pinned = self._pinned.get(token)
        if pinned is not None:
            pinned.finished = True

    def sweep(self) -> None:
        """Drop what was not used for a minute."""
        if not self._pinned:
            return
        limit = anyio.current_time() - self._unused_seconds
        old = [token for token, pinned in self._pinned.items() if pinned.used < limit]
        self._drop(old, "limits.cursor_seconds")

    def _drop(self, tokens: Iterable[str], counter: str) -> None:
        for token in tokens:
            if not self._pinned.pop(token).finished:
                self._metrics.add(counter)


def cursor_text(token: str, offset: int) -> str:
    """The opaque text of a place in a pinned listing."""
    return f"{token}.{offset}"
