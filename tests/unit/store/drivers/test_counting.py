"""Counting a folder: every file once, nothing outside it, and no descriptor left."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from storaged.store.drivers.counting import Missing, Steps, Uncountable, count
from storaged.store.files import Files
from tests.support.files import Call, FaultyFiles


def total(steps: Steps) -> int:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return int(done.value)


def counted(folder: Path, lower: Path | None = None, files: Files | None = None) -> int:
    before = len(os.listdir("/proc/self/fd"))
    try:
        return total(count(files or Files(), str(folder), str(lower) if lower is not None else None))
    finally:
        assert len(os.listdir("/proc/self/fd")) == before


def filled(folder: Path) -> Path:
    """2000 + 700 + 3 bytes: a file with two names, one in a folder, a link; and an empty folder."""
    (folder / "dir").mkdir(parents=True)
    (folder / "new").write_bytes(b"n" * 2000)
    (folder / "dir" / "x").write_bytes(b"1" * 700)
    (folder / "hard").hardlink_to(folder / "new")
    (folder / "soft").symlink_to("new")
    (folder / "empty").mkdir()
    return folder


def test_files_count_once_links_their_text_and_folders_nothing(tmp_path: Path) -> None:
    assert counted(filled(tmp_path / "f")) == 2703


def test_nothing_behind_a_link_is_counted(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "big").write_bytes(b"x" * 5000)
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "link").symlink_to(tmp_path / "elsewhere")
    assert counted(tmp_path / "f") == len(str(tmp_path / "elsewhere"))


def test_a_folder_that_is_a_link_itself_is_not_entered(tmp_path: Path) -> None:
    filled(tmp_path / "f")
    (tmp_path / "link").symlink_to("f")
    with pytest.raises(Uncountable):
        counted(tmp_path / "link")


def test_what_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(Missing):
        counted(tmp_path / "nothing")


def test_folders_may_be_nested_deeper_than_a_path_is_long(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    fd = os.open(tmp_path / "deep", os.O_RDONLY)
    for _ in range(500):
        os.mkdir("d" * 10, dir_fd=fd)
        below = os.open("d" * 10, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
        with open(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=fd), "wb") as file:
            file.write(b"12")
    os.close(fd)
    assert counted(tmp_path / "deep") == 1000
    subprocess.run(["rm", "-rf", str(tmp_path / "deep")], check=True)


def test_many_files_are_counted_in_many_steps(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / str(number)).write_bytes(b"x")
    steps = count(Files(), str(tmp_path))
    assert len(list(steps)) >= 4
    assert counted(tmp_path) == 1000


def test_a_count_that_is_given_up_leaves_no_descriptor(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        filled(tmp_path / "f" / name)
    shutil.copytree(tmp_path / "f" / "a", tmp_path / "lower" / "a")
    for steps_done in range(9):
        before = len(os.listdir("/proc/self/fd"))
        steps = count(Files(), str(tmp_path / "f"), str(tmp_path / "lower"))
        for _ in range(steps_done):
            next(steps, None)
        steps.close()
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_folder_that_must_not_be_read_is_named(tmp_path: Path) -> None:
    filled(tmp_path / "f")
    files = FaultyFiles("open", path="dir", error=errno.EACCES)
    with pytest.raises(Uncountable, match="dir: Permission denied"):
        counted(tmp_path / "f", files=files)


def test_a_folder_that_vanishes_counts_nothing(tmp_path: Path) -> None:
    filled(tmp_path / "f")
    assert counted(tmp_path / "f", files=FaultyFiles("open", path="dir", error=errno.ENOENT)) == 2003


def test_a_folder_that_is_moved_away_while_it_is_counted_leads_nowhere_else(tmp_path: Path) -> None:
    filled(tmp_path / "f")
    (tmp_path / "other").mkdir()

    def move(_: Call, fd: int) -> int:
        (tmp_path / "f" / "dir").rename(tmp_path / "other" / "dir")
        return fd

    files = FaultyFiles("open", path="dir", after=move)
    with pytest.raises(Uncountable, match="moved"):
        counted(tmp_path / "f", files=files)


# ---------------------------------------------------------------- beside a lower folder


def copied(tmp_path: Path) -> tuple[Path, Path]:
    lower = filled(tmp_path / "lower")
    shutil.copytree(lower, tmp_path / "upper", symlinks=True)
    link = os.lstat(lower / "soft")
    os.utime(tmp_path / "upper" / "soft", ns=(link.st_mtime_ns, link.st_mtime_ns), follow_symlinks=False)
    return tmp_path / "upper", lower


def test_what_the_lower_folder_has_the_same_is_not_counted(tmp_path: Path) -> None:
    upper, lower = copied(tmp_path)
    assert counted(upper, lower) == 0


def test_what_is_new_or_otherwise_is_counted(tmp_path: Path) -> None:
    upper, lower = copied(tmp_path)
    (upper / "dir" / "more").write_bytes(b"m" * 10)
    (upper / "dir" / "x").chmod(0o700)
    os.utime(upper / "new", (5, 5))
    (upper / "made").mkdir()
    (upper / "made" / "y").write_bytes(b"y" * 100_000)
    assert counted(upper, lower) == 10 + 700 + 2000 + 100_000


def test_a_folder_where_the_lower_one_has_a_file_is_all_new(tmp_path: Path) -> None:
    upper, lower = copied(tmp_path)
    (upper / "new").unlink()
    (upper / "new").mkdir()
    (upper / "new" / "a").mkdir()
    (upper / "new" / "a" / "z").write_bytes(b"z" * 40)
    (upper / "dir" / "last").write_bytes(b"l" * 3)
    assert counted(upper, lower) == 43


@pytest.mark.parametrize(
    ("one", "other", "same"), [(5_000_000_000, 5_000_000_123, True), (5_000_000_001, 5_000_000_123, False)]
)
def test_a_time_without_a_fraction_is_the_same_within_its_second(
    tmp_path: Path, one: int, other: int, same: bool
) -> None:
    for name, moment in (("upper", one), ("lower", other)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_bytes(b"12345")
        os.utime(tmp_path / name / "f", ns=(moment, moment))
    assert counted(tmp_path / "upper", tmp_path / "lower") == (0 if same else 5)
