"""The room kept for removals on a full disk."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.writing.reserve import INODES, MARGIN, Reserve
from tests.support.disk import Disk, hexes


class Small(Files):
    """A file system with this many bytes and inodes left; neither truncating nor unlinking gives any back."""

    def __init__(self, *, room: int, inodes: int = 1000) -> None:
        self.room = room
        self.inodes = inodes

    def allocate(self, fd: int, offset: int, length: int) -> None:
        if length > self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.room -= length
        super().allocate(fd, offset, length)

    def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        if flags & os.O_CREAT and not os.path.exists(path):
            if not self.inodes:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
            self.inodes -= 1
        return super().open(path, flags, mode, dir_fd=dir_fd)


class Unable(Files):
    """A file system without fallocate(2), that writes at most 4 KiB at once."""

    def allocate(self, fd: int, offset: int, length: int) -> None:
        raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        return super().pwrite(fd, data[:4096], offset)


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    disk = Disk(tmp_path)
    disk.locks()
    disk.write("images", [{"id": hexes(number)} for number in range(1000)])
    return disk


def blocks(disk: Disk) -> Path:
    return Path(paths.own_dir(disk.location.graphroot), "reserve")


def inodes(disk: Disk) -> list[str]:
    return sorted(os.listdir(blocks(disk).with_name("reserve.d")))


def taken(disk: Disk) -> int:
    """Bytes of blocks that the reserve really has."""
    return blocks(disk).stat().st_blocks * 512


def test_reserve_has_blocks_for_twice_the_json_and_a_mebibyte_and_sixty_four_inodes(disk: Disk) -> None:
    table = os.path.getsize(disk.path("images"))
    assert Reserve(disk.location).build()
    assert taken(disk) >= 2 * table + MARGIN
    assert blocks(disk).stat().st_size == 2 * table + MARGIN
    assert len(inodes(disk)) == INODES == 64


def test_reserve_grows_with_the_tables_and_shrinks_when_it_is_far_too_large(disk: Disk) -> None:
    reserve = Reserve(disk.location)
    reserve.build()
    disk.write("images", [{"id": hexes(number)} for number in range(40_000)])
    assert reserve.build()
    assert taken(disk) >= reserve.wanted() > 6 * MARGIN
    disk.write("images", [])
    assert reserve.build()
    assert blocks(disk).stat().st_size == reserve.wanted() < 2 * MARGIN


def test_reserve_without_its_blocks_is_taken_anew(disk: Disk) -> None:
    reserve = Reserve(disk.location)
    reserve.build()
    size = blocks(disk).stat().st_size
    with blocks(disk).open("r+b") as file:
        file.truncate(0)
        file.truncate(size)
    assert taken(disk) == 0
    assert reserve.build()
    assert taken(disk) >= size


def test_standing_reserve_costs_a_look_and_no_write(disk: Disk) -> None:
    Reserve(disk.location).build()
    before = blocks(disk).stat()

    assert Reserve(disk.location, files=Small(room=0, inodes=0)).build()
    after = blocks(disk).stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_room_is_free_inside_the_block_and_taken_again_after_it(disk: Disk) -> None:
    reserve = Reserve(disk.location)
    reserve.build()
    with reserve.released():
        assert taken(disk) == 0
        assert inodes(disk) == []
    assert taken(disk) >= reserve.wanted()
    assert len(inodes(disk)) == INODES


def test_room_is_taken_again_after_a_failure_too(disk: Disk) -> None:
    reserve = Reserve(disk.location)
    reserve.build()

    def fail() -> None:
        with reserve.released():
            raise RuntimeError("the removal failed")

    with pytest.raises(RuntimeError):
        fail()
    assert taken(disk) >= reserve.wanted()


def test_nothing_is_taken_while_another_removal_needs_the_room(disk: Disk) -> None:
    reserve = Reserve(disk.location)
    reserve.build()
    with reserve.released():
        with reserve.released():
            assert not reserve.build()
        assert taken(disk) == 0
    assert taken(disk) >= reserve.wanted()


def test_nearly_full_disk_gives_what_it_has_and_the_rest_later(disk: Disk) -> None:
    files = Small(room=MARGIN)
    reserve = Reserve(disk.location, files=files)
    assert not reserve.build()
    assert 0 < taken(disk) <= MARGIN
    files.room = 64 * MARGIN
    assert reserve.build()
    assert taken(disk) >= reserve.wanted()


def test_disk_without_inodes_gives_what_it_has(disk: Disk) -> None:
    files = Small(room=64 * MARGIN, inodes=10)
    reserve = Reserve(disk.location, files=files)
    assert not reserve.build()
    assert len(inodes(disk)) == 10
    files.inodes = 100
    assert reserve.build()


def test_file_system_without_allocation_gets_bytes_that_do_not_compress(disk: Disk) -> None:
    reserve = Reserve(disk.location, files=Unable())
    assert reserve.build()
    data = blocks(disk).read_bytes()
    assert len(data) == reserve.wanted()
    assert len({data[at : at + 4096] for at in range(0, len(data), 4096)}) == -(-len(data) // 4096)


def test_what_stands_in_the_way_never_fails_the_removal(disk: Disk, caplog: pytest.LogCaptureFixture) -> None:
    Path(paths.own_dir(disk.location.graphroot)).mkdir()
    blocks(disk).mkdir()
    reserve = Reserve(disk.location)
    assert not reserve.build()
    with reserve.released():
        pass
    assert "reserve" in caplog.text


def test_link_in_the_place_of_the_reserve_is_not_followed(disk: Disk, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"kept")
    Path(paths.own_dir(disk.location.graphroot)).mkdir()
    blocks(disk).symlink_to(victim)
    reserve = Reserve(disk.location)
    assert not reserve.build()
    with reserve.released():
        assert victim.read_bytes() == b"kept"
