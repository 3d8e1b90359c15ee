"""The child in the user namespace: does as it is told, and what it cannot do is an error here."""

from __future__ import annotations

import errno
import os
import pwd
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from storaged.store.drivers import userns
from storaged.store.drivers.removal import Leftover, RemovalCancelled
from storaged.store.drivers.userns import ChildDied, UserNamespace
from storaged.store.files import Files
from storaged_client.contract.errors import StoreUnsupported
from tests.support.files import FaultyFiles


def never() -> bool:
    return False


@pytest.fixture
def child(tmp_path: Path) -> Iterator[UserNamespace]:
    """A child that maps our own ids alone."""
    nobody = str(tmp_path / "no ranges")
    before = len(os.listdir("/proc/self/fd"))
    try:
        started = UserNamespace.start(FaultyFiles("rename", error=errno.EPERM), subuid=nobody, subgid=nobody)
    except StoreUnsupported as error:
        pytest.skip(str(error))
    yield started
    started.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_the_child_moves_and_removes_whatever_the_names_are(child: UserNamespace, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"not \xff utf-8\n")
    (folder / "dir" / "closed").mkdir(parents=True)
    (folder / "dir" / "closed" / "file").write_bytes(b"")
    (folder / "dir" / "closed").chmod(0o500)
    child.rename(str(folder), str(tmp_path / "moved"))
    assert (tmp_path / "moved" / "dir").exists()
    assert child.remove(str(tmp_path / "moved"), never) is None
    assert list(tmp_path.iterdir()) == []


def test_what_the_child_cannot_move_is_the_same_error_here(child: UserNamespace, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        child.rename(str(tmp_path / "missing"), str(tmp_path / "target"))
    assert child.remove(str(tmp_path / "missing"), never) is None


def test_what_the_child_cannot_remove_is_named(child: UserNamespace) -> None:
    left = child.remove("/proc/version", never)
    assert isinstance(left, Leftover)
    assert left.path == "/proc/version"


def test_a_rename_that_this_process_may_do_needs_no_child(tmp_path: Path) -> None:
    nobody = str(tmp_path / "no ranges")
    try:
        child = UserNamespace.start(Files(), subuid=nobody, subgid=nobody)
    except StoreUnsupported as error:
        pytest.skip(str(error))
    child.close()
    (tmp_path / "a").write_bytes(b"")
    child.rename(str(tmp_path / "a"), str(tmp_path / "b"))
    assert (tmp_path / "b").exists()


def test_a_cancelled_removal_ends_the_child_and_says_so(child: UserNamespace, tmp_path: Path) -> None:
    child._child.send_signal(signal.SIGSTOP)
    with pytest.raises(RemovalCancelled):
        child.remove(str(tmp_path / "x"), lambda: True)
    assert child._child.wait(10) == -signal.SIGKILL


def test_a_child_that_died_is_an_error_of_the_system(child: UserNamespace, tmp_path: Path) -> None:
    child._child.kill()
    child._child.wait()
    with pytest.raises(ChildDied):
        child.rename(str(tmp_path / "a"), str(tmp_path / "b"))
    child.close()
    with pytest.raises(ChildDied):
        child.remove(str(tmp_path / "a"), never)


def test_ranges_of_other_users_and_broken_lines_are_passed_over(tmp_path: Path) -> None:
    uid = os.getuid()
    name = pwd.getpwuid(uid).pw_name
    file = tmp_path / "subuid"
    file.write_text(f"# comment\n{name}:100000:65536\nother:1:2\n{uid}:300000:10\n{name}:x:5\n{name}:7:0\n{name}:9\n\n")
    assert userns._ranges(Files(), str(file), uid) == ((100000, 65536), (300000, 10))
    assert userns._ranges(Files(), str(tmp_path / "missing"), uid) == ()


def test_without_newuidmap_a_user_with_ranges_is_told_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "subuid"
    file.write_text(f"{os.getuid()}:100000:65536\n")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(StoreUnsupported, match="newuidmap"):
        UserNamespace.start(Files(), subuid=str(file), subgid=str(file))


@pytest.mark.skipif(shutil.which("newuidmap") is None, reason="needs newuidmap")
def test_ranges_that_newuidmap_refuses_are_told_in_its_words(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root is refused nothing")
    file = tmp_path / "subuid"
    file.write_text(f"{os.getuid()}:1:65536\n")
    with pytest.raises(StoreUnsupported, match="newuidmap"):
        UserNamespace.start(Files(), subuid=str(file), subgid=str(file))
