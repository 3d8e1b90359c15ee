"""The contents of image records, each read and parsed once, whatever the number of reloads.

A record whose bytes did not change keeps its content without a look; one that changed only in its names
keeps it because size, digest and keys of its big data are the same. Contents found damaged are judged
anew when the file they were judged by is another one, and as long as the damage is not certain::

    no descriptor, no memory ........ the load fails and is tried again, for as long as that lasts
    the disk failed ................. the same, three loads; then it is damage, and is looked at with every load
    damage, seen for the first time . is looked at again in the same load, once no writer was seen
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from storaged.store.files import DISK_FAILED
from storaged.store.layout.contents import ContentDamage, ImageContent
from storaged.store.layout.records import ImageID, ImageRecord
from storaged.store.tables import ImageRow


class ContentSource(Protocol):
    """Where contents come from: ``storaged.store.content.ContentReader``."""

    def read(self, row: ImageRow, *, disk_failed: bool = False) -> ImageContent:
        """Read, check and parse the big data of one record. Blocking.

        Raises:
            OSError: means are lacking, or, without ``disk_failed``, the disk failed.
        """
        ...

    def repaired(self, damage: ContentDamage) -> bool:
        """Whether the file is another one than when it was judged. One ``stat``, cheap enough for a loop."""
        ...

    def blob(self, record: ImageRecord, store: int, key: str, limit: int) -> bytes:
        """The bytes of one item of big data. Blocking.

        Raises:
            DataUnknown, TooLarge, ImageDamaged, StoreBusy: as named.
        """
        ...


def _same_data(row: ImageRow, other: ImageRow) -> bool:
    """Whether the contents of two records are one: all is the same but names, history and times."""
    one, two = row.record, other.record
    return (
        row.store == other.store
        and one.id == two.id
        and (one.layer is None) is (two.layer is None)
        and one.big_data_names == two.big_data_names
        and (one.big_data_sizes or {}) == (two.big_data_sizes or {})
        and (one.big_data_digests or {}) == (two.big_data_digests or {})
    )


_DISK_FAILURES = 3
"""Loads that a failing disk ends before its failures are damage of single images."""


class Contents:
    """The contents of the current generation. Used by one thread at a time: the loader's."""

    def __init__(self, source: ContentSource) -> None:
        self._source = source
        self._failures = 0
        self._rows: Sequence[ImageRow] = ()
        self._contents: Sequence[ImageContent] = ()
        self._damaged: tuple[ContentDamage, ...] = ()

    @property
    def damaged(self) -> tuple[ContentDamage, ...]:
        """Every damage of the generation last committed. Safe to read from any thread."""
        return self._damaged

    def repaired(self) -> bool:
        """Whether the file of any known damage is another one now: time to reload."""
        return any(self._source.repaired(damage) for damage in self._damaged)

    @property
    def unsettled(self) -> bool:
        """Whether another look may find another damage, or none, though no file has changed."""
        return any(not damage.proven for damage in self._damaged)

    def collect(
        self, rows: Sequence[ImageRow], *, afresh: bool, cancelled: Callable[[], bool]
    ) -> tuple[tuple[ImageContent, ...], tuple[int, ...]]:
        """The content of each row, in order, and which of them have damage that no second look has confirmed.

        ``afresh`` reads every content again: bytes may have changed in place beneath an unchanged record.
        Nothing is kept of it until ``commit``: a round that was lost to a writer leaves no trace.

        Raises:
            OSError: something could not be read, which is no damage: the daemon lacks means, or the disk failed.
        """
        known = {damage for damage in self._damaged if not damage.seen_once}
        # Made for the time of the look: kept, it would be hundreds of kilobytes, and a tag makes it anew anyway.
        by_id: dict[tuple[int, ImageID], list[tuple[ImageRow, ImageContent]]] = {}
        for row, content in zip(self._rows, self._contents, strict=True):
            by_id.setdefault((row.store, row.record.id), []).append((row, content))
        contents: list[ImageContent] = []
        surprises: list[int] = []
        for index, row in enumerate(rows):
            kept = _known(row, by_id.get((row.store, row.record.id), ()))
            if (
                kept is None
                or afresh
                or not kept.settled
                or any(self._source.repaired(damage) for damage in kept.damage)
            ):
                content = self._read(row, kept)
                if any(damage not in known for damage in content.damage):
                    surprises.append(index)
                # The kept value where nothing changed: generations are compared by identity.
                kept = kept if kept == content else content
            contents.append(kept)
            if cancelled():
                break
        self._failures = 0
        return tuple(contents), tuple(surprises)

    def confirm(
        self, rows: Sequence[ImageRow], contents: tuple[ImageContent, ...], surprises: Sequence[int]
    ) -> tuple[ImageContent, ...] | None:
        """The contents with the damage of these confirmed by a second look; None where one looks otherwise now.

        Raises:
            OSError: as ``collect``.
        """
        confirmed = list(contents)
        for index in surprises:
            if self._read(rows[index], contents[index]) != contents[index]:
                return None
            confirmed[index] = contents[index].confirmed()
        return tuple(confirmed)

    def _read(self, row: ImageRow, kept: ImageContent | None) -> ImageContent:
        failed_before = kept is not None and any(damage.withheld for damage in kept.damage)
        try:
            return self._source.read(row, disk_failed=failed_before or self._failures >= _DISK_FAILURES)
        except OSError as error:
            self._failures += error.errno in DISK_FAILED
            raise

    def commit(self, rows: Sequence[ImageRow], contents: Sequence[ImageContent]) -> None:
        """Keep what ``collect`` found, and only that: what no record names any more is forgotten."""
        self._rows, self._contents = rows, contents
        self._damaged = tuple(damage for content in contents for damage in content.damage)


def _known(row: ImageRow, records: Sequence[tuple[ImageRow, ImageContent]]) -> ImageContent | None:
    """The content of the same record, or of one of the same data; the last of several, as for every look-up by id."""
    for other, content in reversed(records):
        if other is row or other.raw == row.raw:
            return content
    return next((content for other, content in reversed(records) if _same_data(row, other)), None)
