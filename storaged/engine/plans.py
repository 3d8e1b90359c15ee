"""Plans of dry runs, kept for their application: opaque strings, each known to its uid alone.

The last sixteen a uid, for an hour (interface §2). A plan can be applied more than once: it never lets go of anything
that it did not list, and what went already is not there any more.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from typing import Final, Generic, TypeVar

import anyio
from attrs import frozen

from storaged.errors import PlanStale

PER_UID: Final = 16
SECONDS: Final = 3600.0

T = TypeVar("T")


@frozen(kw_only=True)
class _Kept(Generic[T]):
    uid: int
    plan: T
    made: float


class Plans(Generic[T]):
    """Belongs to the event loop."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Kept[T]] = OrderedDict()

    def __len__(self) -> int:
        self._sweep()
        return len(self._kept)

    def keep(self, uid: int, plan: T) -> str:
        """Keep a plan; returns the string that names it."""
        self._sweep()
        mine = [text for text, kept in self._kept.items() if kept.uid == uid]
        for text in mine[: max(0, len(mine) - PER_UID + 1)]:
            del self._kept[text]
        text = secrets.token_urlsafe(18)
        self._kept[text] = _Kept(uid=uid, plan=plan, made=anyio.current_time())
        return text

    def take(self, uid: int, text: str) -> T:
        """The plan of this name. It stays kept.

        Raises:
            PlanStale: there is none for this uid.
        """
        self._sweep()
        kept = self._kept.get(text)
        if kept is None or kept.uid != uid:
            raise PlanStale(
                f"this plan is not kept: the last {PER_UID} of a user are, for an hour and until the daemon ends; "
                "make a new one with dry_run",
                plan=text[:100],
            )
        return kept.plan

    def _sweep(self) -> None:
        oldest = anyio.current_time() - SECONDS
        for text in [text for text, kept in self._kept.items() if kept.made < oldest]:
            del self._kept[text]
