"""Detects lost tables and folders from the listings of a few folders: cheap enough for every ``server.info``.

::

    the table names ...        its folders ...
    nothing; does not exist    one intact folder ........... the table was lost
    nothing; "[]"              two intact folders .......... the same: an interrupted removal leaves one; for layers
                                                             only if there are images, or those were lost, too
    records                    of a record is missing ...... its contents were lost

A folder is intact if it holds what tools write last: an image's ``manifest``, an overlay layer's ``diff``. The contents
of intact folders are not checked here.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import Final

from msgspec import Struct

from storaged.store.files import Files, Identity, identity
from storaged.store.inventory import TableKind, writable_image_roots
from storaged.store.layout import paths
from storaged.store.layout.records import LayerID
from storaged.store.table_reader import RACY_NS
from storaged.store.tables import StoreLocation

_HEX: Final = frozenset("0123456789abcdef")
_DRIVERS: Final = frozenset({"overlay", "vfs"})
LEAST_FOLDERS: Final = 2
"""The number of intact folders beside ``[]`` that prove a loss: an interrupted removal leaves one."""

_NOUN: Final[dict[TableKind, str]] = {"images": "image", "layers": "layer", "containers": "container"}
_INSIDE: Final[dict[TableKind, str]] = {"images": "manifest", "layers": "diff", "containers": ""}


class Recorded(Struct, frozen=True, kw_only=True):
    """The ids in the tables of each store, by (kind, store), without those that a reboot removes."""

    ids: Mapping[tuple[TableKind, int], AbstractSet[str]]
    unfinished: frozenset[str] = frozenset()
    """Ids of records that need not have a folder yet, or no longer."""
    volatile: frozenset[str] = frozenset()
    """Ids in the tables of volatile records."""
    unread: frozenset[str] = frozenset()
    """Paths of tables with undecodable records: they may contain ids that no other table has."""


class Loss(Struct, frozen=True, kw_only=True):
    """One loss. ``name`` is that of the check's finding."""

    name: str
    detail: str
    file: str


def folders(location: StoreLocation, kind: TableKind, store: int) -> tuple[str, ...]:
    """The folders that hold one folder for each record; a split store has two."""
    if kind == "containers":
        return () if store or location.transient else (paths.containers_dir(location.graphroot, location.driver),)
    roots = writable_image_roots(location) if store == 0 else (location.additional[store - 1],)
    if kind == "images":
        return tuple(paths.images_dir(root, location.driver) for root in roots)
    if location.driver not in _DRIVERS:
        return ()
    return tuple(os.path.dirname(paths.layer_contents(root, location.driver, LayerID("x"))) for root in roots)


def unnamed(location: StoreLocation, files: Files, kind: TableKind, store: int, known: frozenset[str]) -> list[str]:
    """Paths of the intact folders that are not in ``known``.

    Raises:
        OSError: a folder cannot be listed.
    """
    inside = _INSIDE[kind] if (kind, location.driver) != ("layers", "vfs") else ""
    found = []
    for folder in folders(location, kind, store):
        for name in _names(files, folder):
            path = os.path.join(folder, name)
            if len(name) == 64 and _HEX.issuperset(name) and name not in known and _is_there(files, path, inside):
                found.append(path)
    return found


class LossWatch:
    """Checks the folders of one store, again only after a folder or the tables changed. Safe from any thread."""

    def __init__(self, location: StoreLocation, files: Files | None = None) -> None:
        self._location = location
        self._files = files or Files()
        self._paths = [
            path
            for store in range(len(location.additional) + 1)
            for kind in _NOUN
            for path in folders(location, kind, store)
        ]
        self._seen: tuple[str, tuple[Identity | None, ...]] | None = None
        self._found: tuple[Loss, ...] = ()
        self._mutex = threading.Lock()

    def look(self, generation: str, recorded: Callable[[], Recorded]) -> tuple[Loss, ...]:
        """Return the losses. Blocking: a few system calls if nothing has changed, else a listing of each folder.

        ``generation`` identifies the result of ``recorded``. A folder that cannot be listed proves nothing. A result
        may come from a race with a writer: the caller must verify that no table has changed since.
        """
        with self._mutex:
            began = time.time_ns()
            places = [self._identity(path) for path in self._paths]
            seen = (generation, tuple(places))
            if seen == self._seen:
                return self._found
            made = recorded()
            found = self._all(made)
            if found:
                # Report only what a second look confirms.
                again = self._all(made)
                found = tuple(loss for loss in found if loss in again)
            # A folder that changed a moment ago may change again within the same clock tick.
            racy = any(place is not None and max(place[3:]) + RACY_NS > began for place in places)
            self._found, self._seen = found, None if racy else seen
            return found

    def _all(self, recorded: Recorded) -> tuple[Loss, ...]:
        losses: list[Loss] = []
        for kind, store in recorded.ids:
            losses += self._of(recorded, kind, store)
        return tuple(losses)

    def _of(self, recorded: Recorded, kind: TableKind, store: int) -> list[Loss]:
        ids = recorded.ids[kind, store]
        places = folders(self._location, kind, store)
        if not places:
            return []
        try:
            return self._missing(recorded, kind, ids, places) if ids else self._unnamed(recorded, kind, store)
        except OSError:
            return []

    def _missing(
        self, recorded: Recorded, kind: TableKind, ids: AbstractSet[str], places: tuple[str, ...]
    ) -> list[Loss]:
        present = {name for place in places for name in _names(self._files, place)}
        # No difference of sets and no sorting: for 43,000 layers, either holds the interpreter lock for milliseconds.
        lost = [id for id in ids if id not in present and id not in recorded.unfinished]
        if not lost or kind == "containers":
            return []
        noun = _NOUN[kind]
        first = min(lost)
        detail = f"{len(lost)} of {len(ids)} {kind} have no folder, the first is {noun} {first[:12]}"
        return [Loss(name=f"{noun}_directory_missing", detail=detail, file=os.path.join(places[0], first))]

    def _unnamed(self, recorded: Recorded, kind: TableKind, store: int) -> list[Loss]:
        table = table_of(self._location, kind, store)
        if table in recorded.unread:
            return []
        empty = is_empty(self._files, table)
        found = unnamed(self._location, self._files, kind, store, recorded.volatile)
        if len(found) < (1 if empty else LEAST_FOLDERS):
            return []
        if kind == "layers" and not empty and not recorded.ids["images", store]:
            lost = self._unnamed(recorded, "images", store)
            if not lost:
                return []
        detail = (
            f"it lists nothing, but {len(found)} intact folders of {kind} exist; restore it from a backup, and do not "
            "prune before: that would remove what it listed"
        )
        return [Loss(name="table_lost", detail=detail, file=table)]

    def _identity(self, path: str) -> Identity | None:
        try:
            return identity(self._files.stat(path))
        except OSError:
            return None


def table_of(location: StoreLocation, kind: TableKind, store: int) -> str:
    """The table of a store's records that survives a reboot."""
    root = location.graphroot if store == 0 else location.additional[store - 1]
    make = {"images": paths.images_json, "layers": paths.layers_json, "containers": paths.containers_json}[kind]
    return make(root, location.driver)


def is_empty(files: Files, path: str) -> bool:
    """Whether the file is missing or has no bytes."""
    try:
        return files.stat(path).st_size == 0
    except OSError:
        return True


def _is_there(files: Files, folder: str, inside: str) -> bool:
    try:
        files.stat(os.path.join(folder, inside) if inside else folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _names(files: Files, folder: str) -> list[str]:
    try:
        return files.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
