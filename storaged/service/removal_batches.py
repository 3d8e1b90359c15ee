"""A removal carried out in batches, and its report.

::

    wanted ─▶ batch ─ commit ─▶ report ─▶ what is left ─▶ batch …
                 │
                 ├ an image is in use or leased: try each half, until that image is alone: it is ``failed``
                 ├ a list differs from what was read: read everything again, once, and decide again
                 └ the store cannot be written: all that is left is ``failed``; the call fails if nothing was done

Every batch is decided on the state that it changes. After the first commit nothing cancels the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Sequence
from typing import Generic, Protocol, TypeVar

from storaged.engine.transactions import Outcome
from storaged.operations.removals import MOST_MOVES, Batch, Refusal, Removal, removed
from storaged.service.context import Call
from storaged.service.encoding import error_object
from storaged.snapshot.model import Snapshot
from storaged.store.changes import ChangeSet
from storaged.store.layout.records import ImageID
from storaged_client.contract import types as t
from storaged_client.contract.errors import ImageDamaged, ImageInUse, Leased, StoragedError

Item = TypeVar("Item")

_OF_ONE_IMAGE = (ImageInUse, Leased)
"""Errors that concern one image only."""


class RemovalKind(Protocol[Item]):
    """What is to be removed: images by name, or what a prune lets go."""

    def decide(
        self, snapshot: Snapshot, items: Sequence[Item] | None, gone: Collection[ImageID], most: int | None
    ) -> ChangeSet[Batch[Item]]:
        """Decide one batch of these items (None: everything requested), of at most so many moves.

        The images in ``gone`` were removed by earlier batches.
        """
        ...

    def refusal(self, item: Item, error: StoragedError) -> Refusal:
        """The entry in the report for an item that failed."""
        ...

    def narrower(self, item: Item) -> Item | None:
        """What to try instead of an item that fails on its own, if anything."""
        ...


async def carry_out(call: Call, kind: RemovalKind[Item], first: Sequence[Item] | None) -> Outcome[t.PruneReport]:
    """Carry out the whole removal, of the items in ``first`` or of everything requested.

    Raises:
        StoragedError: nothing at all was done.
    """
    report: Report[Item] = Report()
    waiting: deque[Sequence[Item] | None] = deque([first])
    view = call.view
    distrusted = False
    while waiting:
        attempt = _Attempt(kind, waiting.popleft(), report.gone)
        try:
            outcome = await call.change(attempt)
        except StoragedError as error:
            if isinstance(error, ImageDamaged) and not distrusted and await _read_anew(call):
                distrusted = True
                waiting.appendleft(attempt.items)
                continue
            done = attempt.last
            if done is not None and done.items and isinstance(error, _OF_ONE_IMAGE):
                report.consider(done)
                waiting.extendleft(reversed([*_apart(done, error, report, kind), *_some(done.rest)]))
                continue
            if not report.did_something:
                raise
            left = [attempt.items or (), *(items or () for items in waiting)]
            report.refuse(kind.refusal(item, error) for items in left for item in items)
            break
        report.add(outcome.result)
        report.leave(outcome.unfinished)
        view = outcome.view
        waiting.extendleft(_some(outcome.result.rest))
    return Outcome(result=await call.in_thread(report.made), view=view)


class _Attempt(Generic[Item]):
    """The decision of one batch; ``last`` is its latest result."""

    def __init__(self, kind: RemovalKind[Item], items: Sequence[Item] | None, gone: Collection[ImageID]) -> None:
        self._kind = kind
        self._gone = gone
        self.items = items
        self.last: Batch[Item] | None = None

    def __call__(self, snapshot: Snapshot) -> ChangeSet[Batch[Item]]:
        planned = self._kind.decide(snapshot, self.items, self._gone, MOST_MOVES)
        self.last = planned.result
        return planned


class Report(Generic[Item]):
    """Collects the results of the batches."""

    def __init__(self) -> None:
        self.gone: dict[ImageID, None] = {}
        self._removals: list[Removal] = []
        self._untagged: list[t.Untagged] = []
        self._refused: list[Refusal] = []
        self._kept: dict[str, t.Kept] = {}
        self._changed: dict[str, t.Kept] = {}
        self._unfinished: dict[str, None] = {}

    @property
    def did_something(self) -> bool:
        return bool(self._removals or self._untagged)

    def add(self, done: Batch[Item]) -> None:
        """Add a batch that was carried out, or that a dry run decided on."""
        self._removals += done.removals
        self.gone.update((removal.image.id, None) for removal in done.removals)
        self._untagged += done.untagged
        self._refused += done.refused
        self._kept.update((kept.id, kept) for kept in done.kept)
        self._changed.update((kept.id, kept) for kept in done.changed)

    def consider(self, done: Batch[Item]) -> None:
        """Add a batch that was decided on but not carried out: what it keeps stays in any case.

        What changed since an earlier decision is reported now; the batches that replace it do not decide on it.
        """
        self._kept.update((kept.id, kept) for kept in done.kept)
        self._changed.update((kept.id, kept) for kept in done.changed)

    def refuse(self, refused: Iterable[Refusal]) -> None:
        """Add what could not be done."""
        self._refused += refused

    def leave(self, unfinished: str | None) -> None:
        """Note why files of a batch are still on the disk, if any are."""
        if unfinished is not None:
            self._unfinished[unfinished] = None

    def made(self) -> t.PruneReport:
        """The report. What was removed, failed or changed is not listed as kept, too."""
        told = set(self.gone)
        told.update(refusal.id for refusal in self._refused if refusal.id is not None)
        elsewhere = told | self._changed.keys()
        sizes = [removal.freed.size for removal in self._removals]
        return t.PruneReport(
            removed=tuple(map(removed, self._removals)),
            untagged=tuple(self._untagged),
            kept=tuple(kept for kept in self._kept.values() if kept.id not in elsewhere),
            failed=tuple(map(_failed, self._refused)),
            freed=None if None in sizes else sum(size for size in sizes if size is not None),
            changed=tuple(kept for kept in self._changed.values() if kept.id not in told),
            unfinished="; ".join(self._unfinished) or None,
        )


def _apart(
    done: Batch[Item], error: StoragedError, report: Report[Item], kind: RemovalKind[Item]
) -> list[Sequence[Item]]:
    """What to try instead of a batch that one image stops; a single item without alternative is refused."""
    if len(done.items) > 1:
        middle = len(done.items) // 2
        return [done.items[:middle], done.items[middle:]]
    less = kind.narrower(done.items[0]) if len(done.removals) > 1 else None
    if less is not None:
        return [[less]]
    report.refuse([kind.refusal(done.items[0], error)])
    return []


async def _read_anew(call: Call) -> bool:
    """Read every content again: only so does a list with an unchanged record turn out to be unreadable evidence."""
    try:
        await call.engine.cache.refresh(call.common.timeout)
    except StoragedError:
        return False
    return True


def _some(items: Sequence[Item]) -> list[Sequence[Item]]:
    return [items] if items else []


def _failed(refusal: Refusal) -> t.Failed:
    return t.Failed(id=refusal.id, name=refusal.name, error=error_object(refusal.error))
