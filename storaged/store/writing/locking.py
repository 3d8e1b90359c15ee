"""Chooses and holds the locks of a change for its commit.

::

    names, records without layers        images W
    items of a manifest list             digest lock of the list W, images W
    records that refer to layers         layers R, images W
    removals                             layers W, images W, containers W

In the order of ``locks/order.py``. Locks of additional stores are not taken: the stamp proves their records.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from storaged.metrics import Metrics
from storaged.store.changes import Change
from storaged.store.files import Files, opened
from storaged.store.inventory import writable_lock_files
from storaged.store.layout.paths import containers_lock, digest_lock, images_lock, layers_lock
from storaged.store.layout.records import ImageID
from storaged.store.locks.order import OUTERMOST, hold, holder_of, rank
from storaged.store.locks.probe import LockHolder, busy
from storaged.store.locks.record_lock import RecordLock, Timeout
from storaged.store.tables import StoreLocation
from storaged.store.writing.prepared import ListLocked, PlanOutdated
from storaged.store.writing.temporary import give_away, make_folder, told

_AT_ONCE = 0.005
"""Seconds: a lock that takes longer was held by another process."""

_AFTER_ANOTHER = 0.1
"""Seconds of grace for the previous holder of a list's lock. A podman from before August 2025 writes the list once
more, from memory, a few milliseconds after it released the lock (libimage ``AnnotateInstance``, called by ``manifest
add``): entries added in between would be lost."""


def locks_of(location: StoreLocation, change: Change) -> tuple[str, ...]:
    """The locks of a change, in the order of acquisition."""
    graphroot, driver = location.graphroot, location.driver
    layers, images = layers_lock(graphroot, driver), images_lock(graphroot, driver)
    digests = digest_locks(location, change.editing)
    if change.removed or change.layers or change.containers:
        return (*digests, layers, images, containers_lock(graphroot, driver))
    return (*digests, layers, images) if change.needs_layers else (*digests, images)


def shared_of(location: StoreLocation, change: Change) -> tuple[str, ...]:
    """Those of :func:`locks_of` that are held in shared mode, against writers only."""
    lock = layers_lock(location.graphroot, location.driver)
    going = change.removed or change.layers or change.containers
    return (lock,) if change.needs_layers and not going else ()


def digest_locks(location: StoreLocation, editing: Sequence[ImageID]) -> tuple[str, ...]:
    return tuple([digest_lock(location.runroot, location.driver, image) for image in sorted(set(editing))])


class WriterLocks:
    """Holds the locks of one change after the other. One thread at a time."""

    def __init__(self, location: StoreLocation, files: Files, metrics: Metrics) -> None:
        self._location = location
        self._files = files
        self._metrics = metrics
        self._held: tuple[RecordLock, ...] | None = None
        self._lists: tuple[RecordLock, ...] = ()

    @contextmanager
    def hold(
        self, paths: Sequence[str], shared: Sequence[str], deadline: float, cancelled: Callable[[], bool]
    ) -> Iterator[tuple[RecordLock, ...]]:
        """Hold these locks until the block ends; within :meth:`exclusively` there is no further wait.

        Raises:
            StoreBusy: not available before ``deadline``, or ``cancelled`` returned true.
            PlanOutdated: a lock file is gone.
            ListLocked: within :meth:`exclusively`: the digest lock of a list not passed to :meth:`editing` is held.
        """
        if self._held is None:
            lists = [path for path in paths if rank(path) == OUTERMOST]
            rest = [path for path in paths if path not in lists]
            with ExitStack() as stack:
                first = stack.enter_context(self._take_lists(lists, deadline, cancelled)) if lists else ()
                yield (*first, *stack.enter_context(self._take(rest, shared, deadline, cancelled)))
            return
        held = {lock.lock_file for lock in (*self._lists, *self._held)}
        with ExitStack() as stack:
            more: list[RecordLock] = []
            for path in paths:
                if path not in held:
                    # The digest lock of an unexpected list, out of its order: podman waits for images.lock while it
                    # holds one, so this must not wait.
                    more.append(RecordLock(path, mode_held="exclusive", files=self._files))
                    try:
                        more[-1].acquire(blocking=False)
                    except Timeout:
                        found = busy(holder_of(path, self._files) or LockHolder(lock=path))
                        raise ListLocked(found.message, file=path) from None
                    stack.callback(more[-1].release)
            yield (*more, *self._lists, *self._held)

    @contextmanager
    def editing(self, lists: Sequence[ImageID], deadline: float, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Hold the digest locks of these lists, outside :meth:`exclusively`, until the block ends.

        Raises:
            StoreBusy, PlanOutdated: as :meth:`hold`.
        """
        if not (paths := digest_locks(self._location, lists)):
            yield
            return
        make_missing(self._files, paths)
        with self._take_lists(paths, deadline, cancelled) as locks:
            self._lists = locks
            try:
                yield
            finally:
                self._lists = ()

    @contextmanager
    def exclusively(self, deadline: float, cancelled: Callable[[], bool]) -> Iterator[None]:
        """Hold every lock of the writable store until the block ends.

        Raises:
            StoreBusy, PlanOutdated: as :meth:`hold`.
        """
        paths = writable_lock_files(self._location)
        make_missing(self._files, paths)
        with self._take(paths, (), deadline, cancelled) as locks:
            self._held = locks
            try:
                yield
            finally:
                self._held = None

    @contextmanager
    def _take_lists(
        self, paths: Sequence[str], deadline: float, cancelled: Callable[[], bool]
    ) -> Iterator[tuple[RecordLock, ...]]:
        """Take only digest locks: the grace for their previous holder must not block the store for others."""
        began = time.monotonic()
        with self._take(paths, (), deadline, cancelled) as locks:
            if time.monotonic() - began > _AT_ONCE:
                time.sleep(_AFTER_ANOTHER)
            yield locks

    @contextmanager
    def _take(
        self, paths: Sequence[str], shared: Sequence[str], deadline: float, cancelled: Callable[[], bool]
    ) -> Iterator[tuple[RecordLock, ...]]:
        with ExitStack() as stack:
            try:
                locks = stack.enter_context(
                    hold(
                        paths,
                        "exclusive",
                        shared=shared,
                        deadline=deadline,
                        files=self._files,
                        metrics=self._metrics,
                        cancelled=cancelled,
                    )
                )
            except FileNotFoundError as error:
                raise PlanOutdated(f"{error.filename} is gone", file=error.filename) from None
            yield locks


def make_missing(files: Files, locks: Sequence[str]) -> None:
    """Create missing lock files like every other tool: 0644, empty. Never replaces one.

    Raises:
        NoSpace, StoreReadOnly, OSError: one cannot be created.
    """
    for path in locks:
        with told(path):
            try:
                files.stat(path)
            except FileNotFoundError:
                folder = os.path.dirname(path)
                if folder.endswith("-locks"):
                    _make_folders(files, folder)
                with opened(files, path, os.O_RDWR | os.O_CREAT, 0o644) as fd:
                    files.fchmod(fd, 0o644)  # whatever our umask: others read the locks of an additional store
                    give_away(files, fd, path)


def _make_folders(files: Files, folder: str) -> None:
    """Create the folder of the digest locks, which comes with the first of them, and the runroot after a reboot."""
    try:
        make_folder(files, folder)
    except FileNotFoundError:
        _make_folders(files, os.path.dirname(folder))
        make_folder(files, folder)
