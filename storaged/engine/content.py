"""The contents of image records, each read and parsed once, whatever the number of reloads.

A record whose bytes did not change keeps its content without a look; one that changed only in its names
keeps it because size, digest and keys of its big data are the same. Contents found damaged are judged
anew when the file they were judged by is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from storaged.store.layout.contents import ContentDamage, ImageContent
from storaged.store.layout.records import ImageRecord
from storaged.store.tables import ImageRow


class ContentSource(Protocol):
    """Where contents come from: ``storaged.store.content.ContentReader``."""

    def read(self, row: ImageRow) -> ImageContent:
        """Read, check and parse the big data of one record. Blocking."""
        ...

    def repaired(self, damage: ContentDamage) -> bool:
        """Whether the file is another one than when it was judged. One ``stat``, cheap enough for a loop."""
        ...

    def blob(self, record: ImageRecord, store: int, key: str, limit: int) -> bytes:
        """The bytes of one item of big data. Blocking.

        Raises:
            DataUnknown, TooLarge, ImageDamaged: as named.
        """
        ...


_Key = tuple[object, ...]


def _key(row: ImageRow) -> _Key:
    """What a content depends on besides the bytes on disk: all but names, history and times."""
    record = row.record
    return (
        row.store,
        record.id,
        record.layer is None,
        record.big_data_names,
        tuple((record.big_data_sizes or {}).items()),
        tuple((record.big_data_digests or {}).items()),
    )


class Contents:
    """The contents of the current generation. Used by one thread at a time: the loader's."""

    def __init__(self, source: ContentSource) -> None:
        self._source = source
        self._by_raw: dict[tuple[int, bytes], ImageContent] = {}
        self._by_key: dict[_Key, ImageContent] = {}
        self._damaged: tuple[ContentDamage, ...] = ()

    @property
    def damaged(self) -> tuple[ContentDamage, ...]:
        """Every damage of the generation last committed. Safe to read from any thread."""
        return self._damaged

    def repaired(self) -> bool:
        """Whether the file of any known damage is another one now: time to reload."""
        return any(self._source.repaired(damage) for damage in self._damaged)

    def collect(
        self, rows: Sequence[ImageRow], *, afresh: bool, cancelled: Callable[[], bool]
    ) -> tuple[tuple[ImageContent, ...], bool]:
        """The content of each row, in order, and whether a damage was met that was not known before.

        ``afresh`` reads every content again: bytes may have changed in place beneath an unchanged record.
        Nothing is kept of it until ``commit``: a round that was lost to a writer leaves no trace.
        """
        known = set(self._damaged)
        contents: list[ImageContent] = []
        surprise = False
        for row in rows:
            kept = self._by_raw.get((row.store, row.raw)) or self._by_key.get(_key(row))
            if kept is None or afresh or any(self._source.repaired(damage) for damage in kept.damage):
                content = self._source.read(row)
                surprise = surprise or any(damage not in known for damage in content.damage)
                # The kept value where nothing changed: generations are compared by identity.
                kept = kept if kept == content else content
            contents.append(kept)
            if cancelled():
                break
        return tuple(contents), surprise

    def commit(self, rows: Sequence[ImageRow], contents: Sequence[ImageContent]) -> None:
        """Keep what ``collect`` found, and only that: what no record names any more is forgotten."""
        self._by_raw = {(row.store, row.raw): content for row, content in zip(rows, contents, strict=True)}
        self._by_key = {_key(row): content for row, content in zip(rows, contents, strict=True)}
        self._damaged = tuple(damage for content in contents for damage in content.damage)
