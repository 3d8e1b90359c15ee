"""The tables at one moment, and the test whether a look at the files was undisturbed.

A finding is only valid for the moment in which it was made. Writers change files and tables while they hold the lock of
their kind (layers, images, containers), and then write its token. So a look counts only between two moments::

    the tables were read as one state, and nobody held the kind's locks for writing
    … the files are examined, without any lock …
    nobody holds the kind's locks for writing, and the stamp is the same

The probe detects a writer that is still at work, the stamp one that finished meanwhile. Each kind is judged by its own
locks: a pull that holds layers.lock for minutes does not hinder the check of images.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import evolve, field, frozen

from storaged.metrics import Metrics
from storaged.store.checking.loss import LEAST_FOLDERS, unnamed
from storaged.store.files import EXHAUSTED, Files
from storaged.store.inventory import TableFile, TableKind, table_files, writable_image_roots
from storaged.store.layout.records import ImageID, LayerID
from storaged.store.stamp import Stamp, StampWatch
from storaged.store.table_reader import TableContent, TableReader
from storaged.store.tables import ContainerRow, ImageRow, LayerRow, RecordFlaw, StoreLocation
from storaged_client.contract.errors import StoreCorrupt

KINDS: Final[tuple[TableKind, ...]] = ("layers", "images", "containers")
_MOST_IMAGES: Final = 32


@frozen(kw_only=True, eq=False)
class State:
    """The rows of every table that could be read. ``broken`` lists the others."""

    contents: tuple[tuple[TableFile, TableContent], ...]
    broken: tuple[tuple[TableFile, str], ...]
    stamps: dict[TableKind, Stamp]
    proven: frozenset[TableKind]
    """The kinds whose tables were read as one state."""
    hollow: frozenset[tuple[TableKind, int]] = frozenset()
    """(kind, store) of tables that list nothing although several intact folders exist: they were lost."""
    _whole: dict[tuple[TableKind, int | None], bool] = field(factory=dict, init=False)
    _known: dict[tuple[TableKind, int | None], frozenset[str]] = field(factory=dict, init=False)

    @functools.cached_property
    def images(self) -> tuple[ImageRow, ...]:
        return tuple(row for _, content in self.contents for row in content.of(ImageRow))

    @functools.cached_property
    def layers(self) -> tuple[LayerRow, ...]:
        return tuple(row for _, content in self.contents for row in content.of(LayerRow))

    @functools.cached_property
    def containers(self) -> tuple[ContainerRow, ...]:
        return tuple(row for _, content in self.contents for row in content.of(ContainerRow))

    @functools.cached_property
    def layer(self) -> dict[LayerID, LayerRow]:
        """Layers by id. The writable store comes first and the first record counts, as upstream."""
        return {row.record.id: row for row in reversed(self.layers)}

    @functools.cached_property
    def records_of(self) -> dict[str, list[ImageRow]]:
        """The records of each image id: an additional store may have the same image."""
        found: dict[str, list[ImageRow]] = {}
        for row in self.images:
            found.setdefault(row.record.id, []).append(row)
        return found

    @functools.cached_property
    def used_images(self) -> frozenset[str]:
        """Ids of images that containers use."""
        return frozenset(row.record.image for row in self.containers if row.record.image is not None)

    def whole(self, kind: TableKind, store: int | None = None) -> bool:
        """Whether the id of every record in these tables is known, so that an id they lack is nowhere."""
        if (kind, store) not in self._whole:
            self._whole[kind, store] = self._is_whole(kind, store)
        return self._whole[kind, store]

    def _is_whole(self, kind: TableKind, store: int | None) -> bool:
        if any(table.kind == kind and store in (None, table.store) for table, _ in self.broken):
            return False
        stores = {table.store for table, _ in self.contents} if store is None else {store}
        if any(self.emptied(kind, each) for each in stores):
            return False
        return all(flaw.id is not None for flaw in self._flaws(kind, store))

    def emptied(self, kind: TableKind, store: int) -> bool:
        """Whether the table of a store is missing, has no bytes, or lists nothing beside intact folders: it was or may
        have been lost with everything it listed."""
        if (kind, store) in self.hollow:
            return True
        stable = [
            content
            for table, content in self.contents
            if (table.kind, table.store, table.volatile) == (kind, store, False)
        ]
        return bool(stable) and all(content.seen is None or content.seen[2] == 0 for content in stable)

    def known(self, kind: TableKind, store: int | None = None) -> frozenset[str]:
        """The ids in these tables, including those of undecodable records."""
        if (kind, store) not in self._known:
            tables = [
                content for table, content in self.contents if table.kind == kind and store in (None, table.store)
            ]
            flawed = (flaw.id for flaw in self._flaws(kind, store) if flaw.id is not None)
            self._known[kind, store] = frozenset((*(row.record.id for each in tables for row in each.rows), *flawed))
        return self._known[kind, store]

    def chain(self, layer: LayerID) -> tuple[tuple[LayerRow, ...], bool]:
        """The layer and what is below it, nearest first, and whether the chain ends at a base layer."""
        rows: list[LayerRow] = []
        seen: set[LayerID] = set()
        wanted: LayerID | None = layer
        while wanted is not None:
            row = self.layer.get(wanted)
            if row is None or wanted in seen:
                return tuple(rows), False
            seen.add(wanted)
            rows.append(row)
            wanted = row.record.parent
        return tuple(rows), True

    def images_on(self, layer: LayerID) -> tuple[str, ...]:
        """Ids of images on a layer, at most 32 of them."""
        found: dict[str, None] = {}
        seen, waiting = {layer}, [layer]
        while waiting and len(found) < _MOST_IMAGES:
            above = waiting.pop()
            found.update(dict.fromkeys(self._tops.get(above, ())))
            fresh = [child for child in self._children.get(above, ()) if child not in seen]
            seen.update(fresh)
            waiting += fresh
        return tuple(found)[:_MOST_IMAGES]

    @functools.cached_property
    def _children(self) -> dict[LayerID, list[LayerID]]:
        children: dict[LayerID, list[LayerID]] = {}
        for row in self.layers:
            if row.record.parent is not None:
                children.setdefault(row.record.parent, []).append(row.record.id)
        return children

    @functools.cached_property
    def _tops(self) -> dict[LayerID, list[ImageID]]:
        tops: dict[LayerID, list[ImageID]] = {}
        for row in self.images:
            for top in dict.fromkeys((row.record.layer, *(row.record.mapped_layers or ()))):
                if top is not None:
                    tops.setdefault(top, []).append(row.record.id)
        return tops

    def _flaws(self, kind: TableKind, store: int | None) -> Iterator[RecordFlaw]:
        for table, content in self.contents:
            if table.kind == kind and store in (None, table.store):
                yield from content.flaws


class Watcher:
    """Reads the tables of one store again and again, each independently of the others. Takes no lock."""

    def __init__(self, location: StoreLocation, files: Files, metrics: Metrics) -> None:
        self._location = location
        self._files = files
        self._tables = table_files(location)
        self._sources = [TableReader(table, files, metrics) for table in self._tables]
        self._known: list[TableContent | None] = [None] * len(self._tables)
        self._of_kind = {kind: [i for i, table in enumerate(self._tables) if table.kind == kind] for kind in KINDS}
        self._locks = {
            kind: tuple(dict.fromkeys(self._tables[i].lock for i in indexes)) for kind, indexes in self._of_kind.items()
        }
        self._watches = {
            kind: StampWatch(self._locks[kind], [self._tables[i].path for i in indexes], files, metrics)
            for kind, indexes in self._of_kind.items()
        }

    def look(self) -> State:
        """Read the tables. An unreadable one is ``broken`` and does not affect the others.

        Raises:
            OSError: the daemon lacks descriptors or memory.
        """
        contents: dict[int, TableContent] = {}
        broken: dict[int, str] = {}
        stamps: dict[TableKind, Stamp] = {}
        proven: set[TableKind] = set()
        for kind in KINDS:
            stamp = stamps[kind] = self._watches[kind].take()
            as_stamped = True
            for index, seen in zip(self._of_kind[kind], stamp.tables, strict=True):
                lock = stamp.locks[self._locks[kind].index(self._tables[index].lock)]
                known = self._known[index]
                if known is None or not known.is_still(seen, lock):
                    try:
                        known = self._known[index] = self._sources[index].read(known, seen, lock)
                    except StoreCorrupt as error:
                        broken[index] = str(error.data.get("detail", error.message))
                        continue
                contents[index] = known
                as_stamped = as_stamped and known.seen == seen
            if as_stamped and self._undisturbed(kind, stamp):
                proven.add(kind)
        state = State(
            contents=tuple((self._tables[i], contents[i]) for i in sorted(contents)),
            broken=tuple((self._tables[i], broken[i]) for i in sorted(broken)),
            stamps=stamps,
            proven=frozenset(proven),
        )
        return evolve(state, hollow=self._hollow(state))

    def _hollow(self, state: State) -> frozenset[tuple[TableKind, int]]:
        named = {
            (table.kind, table.store)
            for table, content in state.contents
            if not table.volatile and (content.rows or content.flaws)
        }
        named |= {(table.kind, table.store) for table, _ in state.broken}
        hollow = {
            (table.kind, table.store)
            for table in self._tables
            if (table.kind, table.store) not in named
            and not state.emptied(table.kind, table.store)
            and self._has_folders(table.kind, table.store, state.known(table.kind, table.store))
        }
        lost = {store for kind, store in hollow if kind == "images"}
        # If no image is left, folders of layers are remains of interrupted removals.
        return frozenset(
            (kind, store)
            for kind, store in hollow
            if kind != "layers" or store in lost or ("images", store) in named or state.emptied("images", store)
        )

    def _has_folders(self, kind: TableKind, store: int, known: frozenset[str]) -> bool:
        try:
            return len(unnamed(self._location, self._files, kind, store, known)) >= LEAST_FOLDERS
        except OSError as error:
            if error.errno in EXHAUSTED:
                raise
            return False

    def settled(self, state: State, kinds: Iterable[TableKind]) -> bool:
        """Whether nothing of these kinds was changed, or is being changed, since ``state`` was read."""
        return all(kind in state.proven and self._undisturbed(kind, state.stamps[kind]) for kind in kinds)

    def close(self) -> None:
        for watch in self._watches.values():
            watch.close()

    def _undisturbed(self, kind: TableKind, stamp: Stamp) -> bool:
        watch = self._watches[kind]
        # Ask for the holder first: a holder that releases the lock between the two questions has changed the stamp by
        # then.
        return watch.writer() is None and watch.take() == stamp and watch.fault() is None


def layer_roots(location: StoreLocation, store: int) -> tuple[str, ...]:
    """The roots that may contain the layers of a store."""
    return writable_image_roots(location) if store == 0 else (location.additional[store - 1],)
