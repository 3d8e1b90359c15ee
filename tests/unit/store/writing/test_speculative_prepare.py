"""What is written before the locks are taken is used where the tables stayed as they were, and never left behind."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import Any

from storaged.store.changes import Change
from storaged.store.files import Files
from storaged.store.layout import paths

from .test_removal import free, table
from .workshop import Workshop, opened


class _Watched(Files):
    """Counts the tables of layers that are written; may fail to flush them."""

    written = 0
    full = False

    def open(self, path: str, flags: int, mode: int = 0o777, **more: Any) -> int:
        if "-layers/.tmp-layers.json" in path and flags & os.O_CREAT:
            self.written += 1
            if self.full:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return super().open(path, flags, mode, **more)


def within(shop: Workshop, change: Change, expected: Change, files: _Watched, rival: Any = lambda: None) -> int:
    """Make the change with all locks held; the tables of layers that were written under them."""
    with shop.writer.exclusively(time.monotonic() + 5, expected=expected):
        before = files.written
        rival()
        prepared = shop.writer.prepare(change, shop.reader.load_locked().stamp)
        committed = shop.writer.commit(prepared, deadline=time.monotonic() + 5)
    shop.writer.finish(committed)
    return files.written - before


def removed(shop: Workshop, change: Change) -> bool:
    layers = b"".join(table(shop, "layers"))
    return not any(layer.encode() in layers for layer in change.layers)


def test_tables_that_stayed_as_they_were_are_not_written_again_under_the_locks(tmp_path: Path) -> None:
    files = _Watched()
    with opened(tmp_path, contents="files", files=files) as shop:
        change = free(shop)
        assert within(shop, change, change, files) == 0
        assert files.written == 2
        assert removed(shop, change)
        assert shop.leftovers() == []


def test_a_table_that_somebody_else_wrote_meanwhile_is_drafted_on_what_he_wrote(tmp_path: Path) -> None:
    files = _Watched()
    with opened(tmp_path, contents="files", files=files) as shop:
        change = free(shop)
        path = Path(paths.layers_json(shop.location.graphroot, shop.location.driver))

        def rival(letter: bytes = b"f") -> None:
            path.write_bytes(path.read_bytes()[:-1] + b',{"id":"' + letter * 64 + b'"}]')

        with shop.writer.exclusively(time.monotonic() + 5, expected=change):
            rival(b"e")
            prepared = shop.writer.prepare(change, shop.reader.load_locked().stamp)
            tables = [name for name in shop.leftovers() if "layers.json" in name]
            assert len(tables) == 2, "what is of no use any more takes no room beside what is written now"
            shop.writer.discard(prepared)
        assert within(shop, change, change, files, rival) == 2
        assert removed(shop, change)
        assert b"f" * 64 in table(shop, "layers")[-1]
        assert shop.leftovers() == []


def test_other_layers_than_expected_go(tmp_path: Path) -> None:
    files = _Watched()
    with opened(tmp_path, contents="files", files=files) as shop:
        change = free(shop)
        another = next(row.record.id for row in shop.load().tables.layers if row.record.id not in change.layers)
        expected = Change(layers=(*change.layers, another))
        assert within(shop, change, expected, files) == 2
        assert another.encode() in b"".join(table(shop, "layers"))
        assert removed(shop, change)
        assert shop.leftovers() == []


def test_nothing_is_left_of_what_was_not_used(tmp_path: Path) -> None:
    files = _Watched()
    with opened(tmp_path, contents="files", files=files) as shop:
        change = free(shop)
        with shop.writer.exclusively(time.monotonic() + 5, expected=change):
            assert files.written == 2
        with shop.writer.exclusively(time.monotonic() + 5, expected=change):
            shop.writer.discard(shop.writer.prepare(change, shop.reader.load_locked().stamp))
        assert not removed(shop, change)
        assert shop.leftovers() == []


def test_a_disk_too_full_to_write_ahead_leaves_the_change_to_the_locks(tmp_path: Path) -> None:
    files = _Watched()
    with opened(tmp_path, contents="files", files=files) as shop:
        change = free(shop)
        files.full = True

        def rival() -> None:
            files.full = False

        assert within(shop, change, change, files, rival) == 2
        assert removed(shop, change)
        assert shop.leftovers() == []
