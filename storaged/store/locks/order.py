"""The order of the store's locks, and the only function that holds several of them.

::

    digest lock (runroot/drv-locks/*)            outermost, edits of one manifest list
      storage.lock                               never together with any below
      layers.lock      [graphroot, image store]
        layers.lock of additional stores         in their order
          images.lock
            images.lock of additional stores     in their order
              containers.lock
                mountpoints.lock                 innermost

Source: containers/storage ``store.go`` (type store). Nothing waits for a lock while it holds another, except a digest
lock: all are tried, and if one is busy, the others are released and only that one is awaited. Even a shared lock of
ours stops every podman on the host from starting, so locks are held for milliseconds.
"""

from __future__ import annotations

import os.path
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager

from filelock import Timeout

from storaged.errors import LockOrderViolation
from storaged.metrics import Metrics
from storaged.store.files import Files
from storaged.store.locks.probe import LockHolder, Probe, busy, identify
from storaged.store.locks.record_lock import Mode, RecordLock

HIERARCHY: tuple[str, ...] = (
    "digest lock",
    "storage.lock",
    "layers.lock",
    "images.lock",
    "containers.lock",
    "mountpoints.lock",
)
"""Names of the lock files, outermost first. Those of several stores rank as one, in the stores' order."""

OUTERMOST = 0
"""The rank of digest locks."""
_STORAGE = HIERARCHY.index("storage.lock")


class _Held(threading.local):
    """The ranks that this thread holds, innermost last."""

    def __init__(self) -> None:
        self.ranks: list[int] = []


_held = _Held()


def rank(path: str) -> int:
    """The place of a lock file in the hierarchy.

    Raises:
        LockOrderViolation: it is not one of the store's locks.
    """
    folder, name = os.path.split(path)
    if folder.endswith("-locks"):
        return OUTERMOST
    if name not in HIERARCHY:
        raise LockOrderViolation(f"{path} has no place in the order of locks")
    return HIERARCHY.index(name)


def holding() -> bool:
    """Whether this thread holds any lock of a store: then it must not wait for anything."""
    return bool(_held.ranks)


@contextmanager
def hold(
    paths: Sequence[str],
    mode: Mode,
    *,
    deadline: float,
    files: Files,
    metrics: Metrics,
    cancelled: Callable[[], bool] = lambda: False,
    shared: Collection[str] = (),
) -> Iterator[tuple[RecordLock, ...]]:
    """Hold these locks, given in the documented order, until the block ends; those in ``shared`` are shared in any
    ``mode``.

    ``deadline`` is on the clock of ``time.monotonic``; it limits the wait, not the hold. Inside another hold only
    digest locks are awaited. Blocking: never on the event loop.

    Raises:
        StoreBusy: one was held by others until the deadline, or ``cancelled`` returned true; names lock and holder.
        LockOrderViolation: the order is wrong, here or together with what the thread already holds.
        OSError: a lock file is missing or cannot be opened.
    """
    ranks = [rank(path) for path in paths]
    _check_order(paths, ranks)
    patient = all(held == OUTERMOST for held in _held.ranks)
    wanted: dict[str, Mode] = {path: "shared" if path in shared else mode for path in paths}
    with ExitStack() as stack:
        locks = _take_all(wanted, deadline if patient else 0.0, files, metrics, cancelled)
        for lock in locks:
            stack.callback(lock.release)
        began = time.monotonic()
        _held.ranks.extend(ranks)
        stack.callback(_forget, len(ranks))
        try:
            yield tuple(locks)
        finally:
            for held in ranks:
                metrics.spend(f"locks.held.{HIERARCHY[held]}", time.monotonic() - began)


def _check_order(paths: Sequence[str], ranks: Sequence[int]) -> None:
    outer = _held.ranks
    for path, here, before in zip(paths, ranks, [max(outer, default=-1), *ranks], strict=False):
        if here < before:
            raise LockOrderViolation(f"{path} was requested after {HIERARCHY[before]}")
        if here in outer and here != OUTERMOST:
            raise LockOrderViolation(f"{path} was requested while a {HIERARCHY[here]} is held")
    if len(set(paths)) != len(paths):
        raise LockOrderViolation("a lock was requested twice")
    together = {*outer, *ranks} - {OUTERMOST}
    if _STORAGE in together and len(together) > 1:
        raise LockOrderViolation("storage.lock was requested together with other locks")


def _forget(count: int) -> None:
    del _held.ranks[-count or len(_held.ranks) :]


def _take_all(
    wanted: Mapping[str, Mode],
    deadline: float,
    files: Files,
    metrics: Metrics,
    cancelled: Callable[[], bool],
) -> list[RecordLock]:
    kept: dict[str, RecordLock] = {}
    try:
        while (contended := _try_rest(wanted, kept, files)) is not None:
            # A digest lock is kept, as podman keeps it while it waits for the others. If it were released, podman
            # processes would pass it to each other, and we would get one lock or the other but never both.
            for path in [path for path in kept if rank(path) != OUTERMOST]:
                kept.pop(path).release()
            kept[contended] = _wait_for(contended, wanted[contended], deadline, files, metrics, cancelled)
    except BaseException:
        _release(list(kept.values()))
        raise
    metrics.add("locks.acquired", len(kept))
    return [kept[path] for path in wanted]


def _try_rest(wanted: Mapping[str, Mode], kept: dict[str, RecordLock], files: Files) -> str | None:
    """Take the remaining locks without waiting; returns the first that is busy, or None if all are held."""
    for path, mode in wanted.items():
        if path not in kept:
            lock = RecordLock(path, mode_held=mode, files=files)
            try:
                lock.acquire(blocking=False)
            except Timeout:
                return path
            kept[path] = lock
    return None


def _wait_for(
    path: str,
    mode: Mode,
    deadline: float,
    files: Files,
    metrics: Metrics,
    cancelled: Callable[[], bool],
) -> RecordLock:
    began = time.monotonic()
    if began >= deadline:
        raise busy(holder_of(path, files) or LockHolder(lock=path))
    lock = RecordLock(path, mode_held=mode, files=files, in_turn=True)
    try:
        lock.acquire(timeout=deadline - began, cancel_check=cancelled)
    except Timeout:
        raise busy(holder_of(path, files) or LockHolder(lock=path)) from None
    finally:
        metrics.spend(f"locks.waited.{HIERARCHY[rank(path)]}", time.monotonic() - began)
    if cancelled() or time.monotonic() > deadline:
        lock.release()
        raise busy(holder_of(path, files) or LockHolder(lock=path))
    return lock


def _release(taken: list[RecordLock]) -> None:
    for lock in reversed(taken):
        lock.release()


def holder_of(path: str, files: Files) -> LockHolder | None:
    """A process that holds a lock file in any way, as far as the kernel shows. For reports only: searches /proc."""
    try:
        fd = files.open(path, os.O_RDONLY)
    except OSError:
        return None
    try:
        holder = Probe(files).holder(fd, path)
    finally:
        files.close(fd)
    return identify(holder, files) if holder is not None else None
