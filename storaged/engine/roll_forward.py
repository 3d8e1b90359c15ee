"""Roll-forward of a change that broke off in the middle: it is finished at once, not by the next start.

::

    commit breaks off ─▶ keep writer lock and claims ─▶ recovery ─▶ read back ─┬▶ complete: its result
                                                                               └▶ incomplete: the disk's error,
                                                                                  which says what became of it

A complete removal was flushed before any file moved. If the last flush of any other change failed, nobody can tell
whether it survives a power loss: its error says so, even though all reads show it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio
import msgspec
from anyio.to_thread import run_sync

from storaged.engine.cache import Cache
from storaged.engine.disk_errors import store_error, told_left
from storaged.engine.transaction_attempt import Interrupted
from storaged.engine.views import View
from storaged.metrics import Metrics
from storaged.snapshot.model import Snapshot
from storaged.store.changes import Change, Item
from storaged.store.layout.records import ImageRecord, digest_of
from storaged.store.writing.recovery import Recovered
from storaged_client.contract.errors import StoragedError

_log = logging.getLogger(__name__)

Recover = Callable[[Callable[[], bool]], Recovered]
"""``Recovery.run``; its argument tells it to stop."""


class RollForward:
    """Finishes broken-off changes. Belongs to the event loop; the caller holds the writer lock and is not cancelled."""

    def __init__(
        self,
        cache: Cache,
        recover: Recover | None,
        metrics: Metrics,
        *,
        limiter: anyio.CapacityLimiter,
        ending: Callable[[], bool],
    ) -> None:
        self._cache = cache
        self._recover = recover
        self._metrics = metrics
        self._limiter = limiter
        self._ending = ending

    async def go_on(self, broken: Interrupted, patience: float) -> tuple[View, str | None]:
        """Finish a change; returns the view that shows all of it, and why files of it are left, if any are.

        ``patience`` (seconds) bounds reading it back.

        Raises:
            StoragedError: it is not made, or only in part (``partial``), or may be lost with the power.
        """
        self._metrics.add("changes.broken_off")
        left = await self._finish_files()
        view = await self._cache.read_back(patience)
        error = store_error(broken.cause)
        removal = bool(broken.change.removed or broken.change.layers or broken.change.containers)
        whole = view is not None and stands(broken.change, view.snapshot)
        if whole and view is not None and (removal or not broken.published):
            self._metrics.add("changes.mended")
            _log.warning("an interrupted change is now complete error=%s left=%d", error.message, len(left))
            return view, told_left(left)
        raise _told(error, whole=whole, known=view is not None, left=bool(left)) from broken.cause

    async def _finish_files(self) -> tuple[str, ...]:
        recover = self._recover
        if recover is None:
            return ("the next start of the daemon continues it",)
        try:
            return (await run_sync(lambda: recover(self._ending), limiter=self._limiter)).left
        except Exception as error:
            _log.exception("recovery of an interrupted change failed")
            return (store_error(error).message,)


def stands(change: Change, snapshot: Snapshot) -> bool:
    """Whether records are as the change meant them to be. Layers that are left do not matter: nothing uses them."""
    records = {image.record.id: image.record for image in snapshot.images if not image.store}
    return (
        not any(image in records for image in change.removed)
        and not any(container in snapshot.container_by_id for container in change.containers)
        and all(added.members["id"] in records for added in change.added)
        and all(
            (record := records.get(edit.image)) is not None
            and _says(record, dict(edit.members))
            and all(_has(record, item) for item in edit.items)
            for edit in change.edits
        )
    )


def _says(record: ImageRecord, members: dict[str, object]) -> bool:
    found = msgspec.to_builtins(record)
    wanted = msgspec.to_builtins(members)
    return all((found.get(name) or None) == (value or None) for name, value in wanted.items() if name in found)


def _has(record: ImageRecord, item: Item) -> bool:
    return (record.big_data_digests or {}).get(item.key) == digest_of(item.data)


def _told(error: StoragedError, *, whole: bool, known: bool, left: bool) -> StoragedError:
    if whole:
        what = "the change is made, but a power loss may undo it"
    elif not known:
        what = "the change may be made in part, and the store cannot be read now: check before you try again"
    elif left:
        what = "the change is made in part, and the next start of the daemon continues it"
    else:
        what = "the change was not made as requested: check before you try again"
    return type(error)(f"{error.message}; {what}", error.data, partial=whole or left or not known)
