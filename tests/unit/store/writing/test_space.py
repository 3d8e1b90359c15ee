"""A full disk: names are refused, removals are not."""

import errno
import os
from pathlib import Path

import pytest

from storaged.store.changes import Change, ImageEdit
from storaged.store.files import Files
from storaged.store.layout.records import ImageID
from storaged.store.writing.reserve import Reserve
from storaged_client.contract.errors import NoSpace

from .workshop import Workshop, opened


class _Full(Files):
    """A file system where nothing can be written until blocks are freed; ``backups`` alone is one for the copies."""

    def __init__(self) -> None:
        self.full = False
        self.backups = False
        self.paths: dict[int, str] = {}

    def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        fd = super().open(path, flags, mode, dir_fd=dir_fd)
        self.paths[fd] = path
        return fd

    def write(self, fd: int, data: bytes) -> int:
        if self.full or (self.backups and ".before" in self.paths[fd]):
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(fd, data)

    def truncate(self, fd: int, length: int) -> None:
        super().truncate(fd, length)
        self.full = False


def name(shop: Workshop) -> Change:
    image = ImageID(next(iter(shop.images())))
    return Change(edits=(ImageEdit(image=image, members={"names": ["localhost/new:1"]}),))


def removal(shop: Workshop) -> Change:
    return Change(removed=(next(row.record.id for row in shop.load().tables.images if not row.record.layer),))


def test_a_name_on_a_full_disk_is_refused_and_nothing_changes(tmp_path) -> None:
    files = _Full()
    with opened(tmp_path, files=files) as shop:
        before = shop.everything()
        files.full = True
        with pytest.raises(NoSpace, match="no space left") as refused:
            shop.apply(name(shop))
        assert refused.value.data["file"].startswith(shop.location.graphroot)
        assert shop.everything() == before
        assert shop.leftovers() == []


def test_a_removal_on_a_full_disk_is_given_the_reserve_and_the_reserve_comes_back(tmp_path) -> None:
    files = _Full()
    with opened(tmp_path, files=files) as shop:
        reserve = Reserve(shop.location, files=files)
        assert reserve.build()
        change = removal(shop)
        files.full = True
        shop.apply(change)
        assert change.removed[0] not in shop.images()
        own = Path(shop.location.graphroot) / "storaged"
        assert os.stat(own / "reserve").st_size == reserve.wanted()
        assert not (own / "images.json.before").exists()
        assert shop.leftovers() == []


def test_a_removal_without_a_copy_of_the_table_goes_on_and_says_so(tmp_path, caplog) -> None:
    files = _Full()
    with opened(tmp_path, files=files) as shop:
        files.backups = True
        with pytest.raises(NoSpace):
            shop.apply(name(shop))
        change = removal(shop)
        shop.apply(change)
        assert change.removed[0] not in shop.images()
        assert "table not copied before its change" in caplog.text
        before = shop.images_json.read_bytes()
        files.backups = False
        shop.apply(name(shop))
        assert (Path(shop.location.graphroot) / "storaged" / "images.json.before").read_bytes() == before
