"""What clients come back for by an opaque token: listings under way (cursors) and plans of dry runs.

Tokens are bounded for each account (a uid, with those that are subordinate to it), in all, and in time; the oldest go
first. A token is bound to its uid: another's is unknown, not forbidden, so that its existence does not show.
"""

from __future__ import annotations

import secrets
from collections import Counter, OrderedDict
from collections.abc import Iterable
from typing import Generic, TypeVar

import anyio
from msgspec import Struct

from storaged.metrics import Metrics
from storaged_client.contract.errors import GenerationGone, InvalidParams, PlanStale

T = TypeVar("T")
Name = TypeVar("Name")


class Bounds(Struct, frozen=True, kw_only=True):
    """How many tokens an account may have, how many there may be in all, and for how many seconds."""

    per_uid: int
    total: int
    seconds: int


class _Entry(Struct, Generic[T], kw_only=True):
    uid: int
    account: int
    value: T
    since: float
    """When its time began."""
    served: bool = False
    """Whether it has served its purpose: to drop it takes nothing from anybody."""


class Tokens(Generic[T]):
    """Values by token. Belongs to the event loop.

    ``limits.KINDs``, ``limits.total_KINDs`` and ``limits.KIND_seconds`` of the metrics count values that were dropped
    before they had served.
    """

    kind: str
    usual: Bounds
    served_first = False
    """Whether values that have served go before older ones."""

    def __init__(self, metrics: Metrics | None = None, bounds: Bounds | None = None) -> None:
        self._metrics = metrics or Metrics()
        self._entries: OrderedDict[str, _Entry[T]] = OrderedDict()
        self.bounds = bounds or self.usual
        """May be replaced at any time."""

    def __len__(self) -> int:
        self.sweep()
        return len(self._entries)

    def keep(self, uid: int, value: T, account: int | None = None) -> str:
        """Keep a value; returns its token. It counts as ``account``'s, and only ``uid`` may take it."""
        self.sweep()
        account = uid if account is None else account
        kept = [(token, entry.account, entry.served and self.served_first) for token, entry in self._entries.items()]
        mine = sum(owner == account for _, owner, _ in kept)
        gone = crowded(kept, account, of_account=self.bounds.per_uid, total=self.bounds.total)
        self._drop(gone, f"limits.{self.kind}s" if mine >= self.bounds.per_uid else f"limits.total_{self.kind}s")
        token = secrets.token_urlsafe(18)
        self._entries[token] = _Entry(uid=uid, account=account, value=value, since=anyio.current_time())
        return token

    def sweep(self) -> None:
        """Drop what is past its time."""
        if not self._entries:
            return
        oldest = anyio.current_time() - self.bounds.seconds
        old = [token for token, entry in self._entries.items() if entry.since < oldest]
        self._drop(old, f"limits.{self.kind}_seconds")

    def _entry(self, uid: int, token: str) -> _Entry[T] | None:
        self.sweep()
        entry = self._entries.get(token)
        return entry if entry is not None and entry.uid == uid else None

    def _drop(self, tokens: Iterable[str], counter: str) -> None:
        for token in tokens:
            if not self._entries.pop(token).served:
                self._metrics.add(counter)


class Cursors(Tokens[T]):
    """Listings under way, each with the snapshot and the selection it was made of. Their time begins with each use."""

    kind = "cursor"
    usual = Bounds(per_uid=4, total=64, seconds=60)
    served_first = True

    def take(self, uid: int, cursor: str) -> tuple[str, int, T]:
        """The token, offset and listing behind a cursor.

        Raises:
            InvalidParams: the text is not a cursor.
            GenerationGone: it is not kept any more, or never was.
        """
        token, separator, offset = cursor.partition(".")
        if not separator or not offset.isascii() or not offset.isdigit() or len(offset) > 12:
            raise InvalidParams("this is not a valid cursor; use next_cursor unchanged", path="$.cursor")
        entry = self._entry(uid, token)
        if entry is None:
            raise GenerationGone("the listing this cursor belongs to is no longer kept; start it again", cursor=cursor)
        entry.since = anyio.current_time()
        self._entries.move_to_end(token)
        return token, int(offset), entry.value

    def finish(self, token: str) -> None:
        """The listing was read to its end. It stays until others need its place: an answer may have been lost."""
        if token in self._entries:
            self._entries[token].served = True


class Plans(Tokens[T]):
    """Plans of dry runs, for their application. Their time begins when they are made.

    A plan can be applied more than once: it never lets go of anything that it did not list, and what went already is
    not there any more. So an applied one goes no sooner than others.
    """

    kind = "plan"
    usual = Bounds(per_uid=16, total=256, seconds=3600)

    def take(self, uid: int, text: str, *, apply: bool = True) -> T:
        """The plan of this name. It stays kept; without ``apply`` it was only looked at.

        Raises:
            PlanStale: this uid has no such plan.
        """
        entry = self._entry(uid, text)
        if entry is None:
            bounds = self.bounds
            raise PlanStale(
                f"this plan is not kept: the last {bounds.per_uid} of a user are, for {bounds.seconds} seconds and "
                "until the daemon ends; make a new one with dry_run (storagectl image prune --dry-run)",
                plan=text[:100],
            )
        entry.served = entry.served or apply
        return entry.value


def cursor_text(token: str, offset: int) -> str:
    """The opaque text of a place in a pinned listing."""
    return f"{token}.{offset}"


def crowded(kept: Iterable[tuple[Name, int, bool]], account: int, *, of_account: int, total: int) -> list[Name]:
    """The names to be dropped before ``account`` gets one more; ``kept`` is oldest first: name, account, used up.

    First the account's own above ``of_account``. Then, while there are ``total``, those of the account that has most,
    so that an account with few keeps them, however many accounts there are. Used-up ones go first.
    """
    left = sorted(kept, key=lambda one: not one[2])
    counts = Counter(owner for _, owner, _ in left)
    counts[account] += 1
    gone: list[Name] = []
    while counts[account] > of_account or counts.total() > total:
        most = account if counts[account] > of_account else max(counts, key=lambda owner: counts[owner])
        at = next((at for at, (_, owner, _) in enumerate(left) if owner == most), None)
        if at is None:
            break  # nothing but the new one
        gone.append(left.pop(at)[0])
        counts[most] -= 1
    return gone
