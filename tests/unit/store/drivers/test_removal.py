"""Removing a tree: all of it, nothing outside it, and no descriptor left."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from storaged.store.drivers.mount_points import below, mount_points
from storaged.store.drivers.removal import Leftover, RemovalCancelled, remove_tree
from storaged.store.files import Files
from tests.support.files import Call, FaultyFiles

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and attributes need root")


def set_immutable(path: Path, immutable: bool) -> None:
    """As ``chattr +i`` and ``-i``, which is not on every machine (ioctl_iflags(2)).

    Raises:
        OSError: the file system has no attributes, or lets nobody set them.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        flags = array("i", [0])
        fcntl.ioctl(fd, 0x80086601, flags)  # FS_IOC_GETFLAGS
        flags[0] = flags[0] | 0x10 if immutable else flags[0] & ~0x10  # FS_IMMUTABLE_FL
        fcntl.ioctl(fd, 0x40086602, flags)  # FS_IOC_SETFLAGS
    finally:
        os.close(fd)


def removed(path: Path, cancelled: Callable[[], bool] = lambda: False, files: Files | None = None) -> Leftover | None:
    before = len(os.listdir("/proc/self/fd"))
    try:
        return remove_tree(files or Files(), str(path), cancelled)
    finally:
        assert len(os.listdir("/proc/self/fd")) == before


def filled(folder: Path) -> Path:
    (folder / "dir" / "deeper" / "empty").mkdir(parents=True)
    (folder / "dir" / "deeper" / "x").write_bytes(b"1")
    (folder / "dir" / "y").write_bytes(b"2")
    (folder / "hard").hardlink_to(folder / "dir" / "y")
    (folder / "dead link").symlink_to("nowhere")
    os.mkfifo(folder / "fifo")
    (folder / "dir" / "closed").mkdir(mode=0o500)
    (folder / os.fsdecode(b"not \xff utf-8")).write_bytes(b"")
    return folder


def test_everything_below_and_the_folder_itself_are_removed(tmp_path: Path) -> None:
    filled(tmp_path / "f")
    assert removed(tmp_path / "f") is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_is_removed_already(tmp_path: Path) -> None:
    assert removed(tmp_path / "f") is None
    assert removed(tmp_path / "above" / "f") is None


@pytest.mark.parametrize("kind", ["file", "link", "fifo"])
def test_what_is_no_folder_is_removed_by_its_name(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x"
    target = tmp_path / "kept"
    target.write_bytes(b"")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        path.symlink_to(target)
    else:
        path.write_bytes(b"")
    assert removed(path) is None
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_nothing_behind_a_link_is_removed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_bytes(b"")
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "link").symlink_to(tmp_path / "elsewhere")
    assert removed(tmp_path / "f") is None
    assert (tmp_path / "elsewhere" / "kept").exists()


def test_a_folder_that_becomes_a_link_while_it_is_removed_is_not_followed(tmp_path: Path) -> None:
    def swap(_: Call) -> None:
        """Whoever can write there puts a link in the place of a folder, between the look and the way in."""
        folder = tmp_path / "f" / "dir"
        if folder.is_dir() and not folder.is_symlink():
            shutil.rmtree(folder)
            folder.symlink_to(tmp_path / "elsewhere")

    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").write_bytes(b"")
    filled(tmp_path / "f")
    left = removed(tmp_path / "f", files=FaultyFiles("enter", path="dir", before=swap))
    assert left is not None
    assert left.path == str(tmp_path / "f" / "dir")
    assert (tmp_path / "elsewhere" / "kept").exists()


def test_a_folder_that_is_moved_away_while_it_is_removed_ends_the_removal(tmp_path: Path) -> None:
    def move(_: Call) -> None:
        if (tmp_path / "f" / "dir").exists():
            (tmp_path / "f" / "dir").rename(tmp_path / "other")

    (tmp_path / "f" / "dir").mkdir(parents=True)
    (tmp_path / "f" / "dir" / "file").write_bytes(b"")
    (tmp_path / "kept").write_bytes(b"")
    left = removed(tmp_path / "f", files=FaultyFiles("enter", path="..", before=move))
    assert left is not None
    assert "moved" in left.detail
    assert (tmp_path / "kept").exists()


def test_a_tree_of_ten_thousand_levels_is_removed_with_one_folder_open(tmp_path: Path) -> None:
    (tmp_path / "f").mkdir()
    fd = os.open(tmp_path / "f", os.O_RDONLY)
    for _ in range(10_000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    assert removed(tmp_path / "f") is None
    assert not (tmp_path / "f").exists()


def test_a_cancelled_removal_stops_between_two_entries_and_can_be_done_again(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for number in range(100):
        (folder / str(number)).write_bytes(b"")
    with pytest.raises(RemovalCancelled):
        removed(folder, lambda: len(list(folder.iterdir())) <= 60)
    assert len(list(folder.iterdir())) == 60
    assert removed(folder) is None
    assert not folder.exists()


def test_what_cannot_be_removed_is_named_and_the_rest_goes(tmp_path: Path) -> None:
    left = removed(filled(tmp_path / "f"), files=FaultyFiles("unlink", path="y", error=errno.EIO))
    assert left == Leftover(path=str(tmp_path / "f" / "dir" / "y"), detail="Input/output error")
    assert sorted(str(each.relative_to(tmp_path)) for each in tmp_path.rglob("*")) == ["f", "f/dir", "f/dir/y"]


@as_root
def test_an_immutable_file_is_named_with_the_way_to_find_out(tmp_path: Path) -> None:
    file = filled(tmp_path / "f") / "dir" / "y"
    try:
        set_immutable(file, True)
    except OSError:
        pytest.skip("this file system has no attributes")
    try:
        left = removed(tmp_path / "f")
    finally:
        set_immutable(file, False)
    assert left is not None
    assert left.path in (str(file), str(tmp_path / "f" / "hard"))
    assert "lsattr" in left.detail


@as_root
def test_another_file_system_below_is_not_entered(tmp_path: Path) -> None:
    mounted = filled(tmp_path / "f") / "dir" / "deeper" / "empty"
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mounted], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        (mounted / "kept").write_bytes(b"")
        left = removed(tmp_path / "f")
        assert (mounted / "kept").exists()
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert left is not None
    assert left.path == str(mounted)
    assert "findmnt" in left.detail


@as_root
@pytest.mark.parametrize("way", ["openat2", "compared"])
@pytest.mark.parametrize("moment", ["before", "at the look", "within"])
def test_a_bind_mount_made_while_the_tree_is_removed_loses_nothing(tmp_path: Path, moment: str, way: str) -> None:
    """The removal runs in a mount namespace of its own, where somebody mounts at the worst moment."""
    precious = tmp_path / "precious"
    (precious / "deeper").mkdir(parents=True)
    for number in range(50):
        (precious / "deeper" / str(number)).write_bytes(b"1")
    tree = filled(tmp_path / "f")
    (tree / "dir" / "deeper" / "empty" / "file").write_bytes(b"")
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", _BESIDE_A_MOUNT, moment, way, tree, precious],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if "cannot mount" in done.stderr:
        pytest.skip("nothing can be mounted here")
    assert done.returncode == 0, done.stderr
    assert len(list((precious / "deeper").iterdir())) == 50
    left, detail = done.stdout.splitlines()
    assert left == str(tree / "dir" / "deeper")
    assert "findmnt" in detail


_BESIDE_A_MOUNT = r"""
import os, subprocess, sys
from storaged.store import files as seam, same_mount
from storaged.store.drivers.removal import remove_tree

moment, way, tree, precious = sys.argv[1:]
if way == "compared":
    seam.open_same_mount = same_mount.open_comparing
point = os.path.join(tree, "dir", "deeper")

def mount():
    if not os.path.ismount(point) and subprocess.run(["mount", "--bind", precious, point]).returncode:
        sys.exit("cannot mount")

class Beside(seam.Files):
    def enter(self, name, dir_fd):
        if moment == "at the look" and name == "deeper":
            mount()  # the mounts were looked at long before
        fd = super().enter(name, dir_fd)
        if moment == "within" and name == "deeper":
            mount()  # over the folder that is open
        return fd

subprocess.run(["mount", "--make-rprivate", "/"], check=True)
if moment == "before":
    mount()
left = remove_tree(Beside(), tree)
print(left.path, left.detail, sep="\n")
"""


@as_root
def test_a_mount_point_is_found_below_the_entry_it_belongs_to(tmp_path: Path) -> None:
    mounted = tmp_path / "with space" / "merged"
    mounted.mkdir(parents=True)
    (tmp_path / "with space2").mkdir()
    if subprocess.run(["mount", "--bind", tmp_path, mounted], capture_output=True, check=False).returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        found = list(below(mount_points(Files()), str(tmp_path)))
    finally:
        subprocess.run(["umount", mounted], check=True)
    assert found == [("with space", str(mounted))]


def test_each_failing_call_leaves_no_descriptor_and_names_what_stays(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    for number in range(1, 200):
        filled(folder)
        files = FaultyFiles("open enter stat fstat unlink rmdir", error=errno.EIO, at=number, times=1)
        left = removed(folder, files=files)
        if not files.failed:
            assert left is None
            assert number > 10
            return
        assert left is not None, number
        assert left.path.startswith(str(folder)) or left.path == str(tmp_path)
        assert removed(folder) is None
        assert not folder.exists()
    pytest.fail("the removal never came to an end of its calls")


def test_the_filled_folder_has_every_kind_of_entry(tmp_path: Path) -> None:
    kinds = {stat.S_IFMT(each.lstat().st_mode) for each in filled(tmp_path / "f").rglob("*")}
    assert kinds == {stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK, stat.S_IFIFO}


def test_an_empty_folder_is_removed_without_being_opened(tmp_path: Path) -> None:
    (tmp_path / "f" / "work").mkdir(parents=True)
    files = FaultyFiles("enter")
    assert removed(tmp_path / "f", files=files) is None
    entered = {call.path for call in files.calls}
    assert "f" in entered
    assert "work" not in entered
