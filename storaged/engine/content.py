"""The contents of image records, each read and parsed once, whatever the number of reloads.

A record whose bytes did not change keeps its content unread; one with only other names keeps it because size,
digest and keys of its big data are the same. Damaged contents are read again if their file was replaced, and as long
as the damage is not confirmed::

    out of descriptors or memory .... the load fails and is repeated as long as that lasts
    the disk failed ................. the same for three loads; then it is damage, and every load reads it again
    damage seen for the first time .. the same load reads it again, after making sure that no writer is at work
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
            OSError: resources are lacking or, without ``disk_failed``, the disk failed.
        """
        ...

    def repaired(self, damage: ContentDamage) -> bool:
        """Whether the file was replaced since it was read. One ``stat``, cheap enough for the event loop."""
        ...

    def blob(self, record: ImageRecord, store: int, key: str, limit: int) -> bytes:
        """The bytes of one item of big data. Blocking.

        Raises:
            DataUnknown, TooLarge, ImageDamaged, StoreBusy: as named.
        """
        ...


def _same_data(row: ImageRow, other: ImageRow) -> bool:
    """Whether two records have the same content: only names, history and times differ."""
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
"""Loads that fail because of the disk before its failures count as damage of single images."""


class Contents:
    """The contents of the current generation. Used by one thread at a time, that of the loader."""

    def __init__(self, source: ContentSource) -> None:
        self._source = source
        self._failures = 0
        self._rows: Sequence[ImageRow] = ()
        self._contents: Sequence[ImageContent] = ()
        self._damaged: tuple[ContentDamage, ...] = ()

    @property
    def damaged(self) -> tuple[ContentDamage, ...]:
        """Every damage of the last committed generation. Any thread may read it."""
        return self._damaged

    def repaired(self) -> bool:
        """Whether the file of any known damage was replaced: time to reload."""
        return any(self._source.repaired(damage) for damage in self._damaged)

    @property
    def unsettled(self) -> bool:
        """Whether reading again may find other damage, or none, although no file has changed."""
        return any(not damage.proven for damage in self._damaged)

    def collect(
        self, rows: Sequence[ImageRow], *, afresh: bool, cancelled: Callable[[], bool]
    ) -> tuple[tuple[ImageContent, ...], tuple[int, ...]]:
        """The content of each row, and the indexes of those with damage that no second read has confirmed.

        ``afresh``: read every content again; bytes may have changed in place under an unchanged record.
        Nothing is kept until ``commit``, so an attempt that was lost to a writer leaves no trace.

        Raises:
            OSError: something could not be read, but not because of damage: resources are lacking, or the disk failed.
        """
        known = {damage for damage in self._damaged if not damage.seen_once}
        # Made for this call only: it takes hundreds of kilobytes, and every tag would make it anew anyway.
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
                # Keep the old value if nothing changed: generations are compared by identity.
                kept = kept if kept == content else content
            contents.append(kept)
            if cancelled():
                break
        self._failures = 0
        return tuple(contents), tuple(surprises)

    def confirm(
        self, rows: Sequence[ImageRow], contents: tuple[ImageContent, ...], surprises: Sequence[int]
    ) -> tuple[ImageContent, ...] | None:
        """The contents with the damage at these indexes confirmed by a second read; None if one has changed.

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
        """Keep what ``collect`` found, and forget everything else."""
        self._rows, self._contents = rows, contents
        self._damaged = tuple(damage for content in contents for damage in content.damage)


def _known(row: ImageRow, records: Sequence[tuple[ImageRow, ImageContent]]) -> ImageContent | None:
    """The content of the same record, or of one with the same data; the last one wins, as in every look-up by id."""
    for other, content in reversed(records):
        if other is row or other.raw == row.raw:
            return content
    return next((content for other, content in reversed(records) if _same_data(row, other)), None)
