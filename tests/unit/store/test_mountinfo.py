from __future__ import annotations

import os
from pathlib import Path

import pytest

from storaged.metrics import Metrics
from storaged.store.files import Files
from storaged.store.mountinfo import is_remote
from storaged.store.reader import StoreReader
from tests.support.disk import Disk


class Mounted(Files):
    """The file system of one folder is said to be of this type."""

    def __init__(self, folder: Path, kind: str) -> None:
        self._folder = folder
        self._kind = kind

    def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        if path != "/proc/self/mountinfo":
            return super().open(path, flags, mode, dir_fd=dir_fd)
        device = os.stat(self._folder).st_dev
        number = f"{os.major(device)}:{os.minor(device)}"
        read, write = os.pipe()
        with open(write, "w") as table:
            table.write("22 1 0:999999 / / rw shared:1 - ext4 /dev/root rw\n")
            table.write(f"36 22 {number} / /mnt rw,noatime master:1 propagate_from:2 - {self._kind} server:/x rw\n")
        return read


@pytest.mark.parametrize(
    ("kind", "remote"), [("nfs4", True), ("fuse.sshfs", True), ("ceph", True), ("ext4", False), ("fuse.x", False)]
)
def test_the_type_of_the_mount_tells_a_network_file_system(tmp_path: Path, kind: str, remote: bool) -> None:
    assert is_remote(str(tmp_path), Mounted(tmp_path, kind)) is remote


def test_of_a_missing_path_or_an_unlisted_device_it_cannot_be_told(tmp_path: Path) -> None:
    assert is_remote(str(tmp_path / "none"), Mounted(tmp_path, "nfs")) is None
    assert is_remote("/proc", Mounted(tmp_path, "nfs")) is None


def test_a_store_on_a_network_file_system_is_told_when_it_appears(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    os.rmdir(disk.location.graphroot)
    reader = StoreReader(disk.location, metrics=Metrics(), files=Mounted(tmp_path, "nfs4"))
    assert reader.freshness == "file system"
    disk.locks()
    assert reader.freshness == "file system"
    reader.close()
    local = StoreReader(disk.location, metrics=Metrics(), files=Mounted(tmp_path, "xfs"))
    assert local.freshness == "locks"
    local.close()
