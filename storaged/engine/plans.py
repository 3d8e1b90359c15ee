"""Plans of dry runs, kept for their application: opaque strings, each known to its uid alone.

The last sixteen an account (a uid, with those that are subordinate to it) and 256 in all, for an hour. A plan can be
applied more than once: it never lets go of anything that it did not list, and what went already is not there any more.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Collection
from typing import Final, Generic, TypeVar

import anyio
from msgspec import Struct

from storaged.engine.eviction import crowded
from storaged.metrics import Metrics
from storaged_client.contract.errors import PlanStale

PER_UID: Final = 16
TOTAL: Final = 256
"""Of all together."""
SECONDS: Final = 3600

T = TypeVar("T")


class _Kept(Struct, Generic[T], kw_only=True):
    uid: int
    account: int
    plan: T
    made: float
    applied: bool = False


class Plans(Generic[T]):
    """Belongs to the event loop.

    ``limits.plans``, ``limits.total_plans`` and ``limits.plan_seconds`` of the metrics count what was dropped
    and never applied.
    """

    def __init__(
        self,
        metrics: Metrics | None = None,
        *,
        per_uid: int = PER_UID,
        total: int = TOTAL,
        seconds: float = SECONDS,
    ) -> None:
        self._metrics = metrics or Metrics()
        self._per_uid = per_uid
        self._total = total
        self._seconds = seconds
        self._kept: OrderedDict[str, _Kept[T]] = OrderedDict()

    def revise(self, *, per_uid: int, total: int, seconds: float) -> None:
        """Keep by these bounds from now on."""
        self._per_uid = per_uid
        self._total = total
        self._seconds = seconds

    def __len__(self) -> int:
        self._sweep()
        return len(self._kept)

    def keep(self, uid: int, plan: T, account: int | None = None) -> str:
        """Keep a plan; returns the string that names it. It counts as ``account``'s, and only ``uid`` may take it."""
        self._sweep()
        account = uid if account is None else account
        # An applied one may be applied again: it goes no sooner than others.
        entries = [(text, kept.account, False) for text, kept in self._kept.items()]
        mine = sum(owner == account for _, owner, _ in entries)
        gone = crowded(entries, account, of_account=self._per_uid, total=self._total)
        self._drop(gone, "limits.plans" if mine >= self._per_uid else "limits.total_plans")
        text = secrets.token_urlsafe(18)
        self._kept[text] = _Kept(uid=uid, account=account, plan=plan, made=anyio.current_time())
        return text

    def take(self, uid: int, text: str, *, apply: bool = True) -> T:
        """The plan of this name. It stays kept; without ``apply`` it was only looked at.

        Raises:
            PlanStale: there is none for this uid.
        """
        self._sweep()
        kept = self._kept.get(text)
        if kept is None or kept.uid != uid:
            raise PlanStale(
                f"this plan is not kept: the last {self._per_uid} of a user are, for {self._seconds:.0f} seconds and "
                "until the daemon ends; make a new one with dry_run (storagectl image prune --dry-run)",
                plan=text[:100],
            )
        kept.applied = kept.applied or apply
        return kept.plan

    def _sweep(self) -> None:
        oldest = anyio.current_time() - self._seconds
        self._drop([text for text, kept in self._kept.items() if kept.made < oldest], "limits.plan_seconds")

    def _drop(self, texts: Collection[str], counter: str) -> None:
        for text in texts:
            if not self._kept.pop(text).applied:
                self._metrics.add(counter)
