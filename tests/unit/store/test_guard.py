from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from storaged.errors import GuardTaken
from storaged.store.files import Files
from storaged.store.locks.instance import take_guard

FILES = Files()


def test_a_second_daemon_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    program = (
        "import sys; from storaged.store.locks.instance import take_guard; from storaged.store.files import Files\n"
        "guard = take_guard(sys.argv[1], sys.argv[2], files=Files()); print('held', flush=True); sys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "g"), str(tmp_path / "run")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(GuardTaken) as caught:
            take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)
        assert caught.value.evidence["pid"] == first.pid
        first.kill()
        first.wait(10)
        with take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
            pass


def test_the_guard_lies_in_a_private_folder_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    with take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES) as guard:
        assert guard.path == str(tmp_path / "g" / "storaged" / "daemon.lock")
        assert Path(guard.path).read_text() == f"{os.getpid()}\n"
        assert os.stat(tmp_path / "g" / "storaged").st_mode & 0o777 == 0o700
    assert not (tmp_path / "run").exists()


def test_a_missing_graphroot_is_guarded_elsewhere_and_not_made(tmp_path: Path) -> None:
    with take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
        assert not (tmp_path / "g").exists()
        with pytest.raises(GuardTaken):
            take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)


def test_a_guard_outside_the_store_leaves_no_file_behind(tmp_path: Path) -> None:
    with take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES) as guard:
        assert os.path.exists(guard.path)
        with pytest.raises(GuardTaken):
            take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)
        assert os.path.exists(guard.path)
    assert os.listdir(tmp_path / "run") == []


def test_a_guard_that_another_one_replaced_is_not_removed(tmp_path: Path) -> None:
    with take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES) as first:
        os.unlink(first.path)
        second = take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)
    with second, pytest.raises(GuardTaken):
        take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)


def test_of_many_that_take_and_leave_a_passing_guard_one_holds_it_at_a_time(tmp_path: Path) -> None:
    holders: list[int] = []
    most: list[int] = []

    def come_and_go(number: int) -> int:
        taken = 0
        for _ in range(60):
            with suppress(GuardTaken), take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
                taken += 1
                holders.append(number)
                most.append(len(holders))
                holders.remove(number)
        return taken

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(come_and_go, range(4))) > 0
    assert set(most) == {1}
    assert os.listdir(tmp_path / "run") == []


def test_a_guard_taken_before_the_graphroot_was_made_still_counts(tmp_path: Path) -> None:
    with take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
        (tmp_path / "g").mkdir()
        with pytest.raises(GuardTaken):
            take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)


def test_a_read_only_graphroot_is_guarded_in_the_runtime_folder(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()

    class ReadOnly(Files):
        def mkdir(self, path: str, mode: int = 0o700) -> None:
            if path.startswith(str(tmp_path / "g")):
                raise OSError(30, "Read-only file system", path)
            super().mkdir(path, mode)

    with take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=ReadOnly()) as guard:
        assert guard.path.startswith(str(tmp_path / "run"))
        with pytest.raises(GuardTaken):
            take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=ReadOnly())
    with take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES, writable=False) as guard:
        assert guard.path.startswith(str(tmp_path / "run"))


def test_two_graphroots_have_two_guards_and_one_by_two_paths_has_one(tmp_path: Path) -> None:
    for name in ("g", "h"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "g")
    run = str(tmp_path / "run")
    with (
        take_guard(str(tmp_path / "g"), run, files=FILES),
        take_guard(str(tmp_path / "h"), run, files=FILES),
        pytest.raises(GuardTaken),
    ):
        take_guard(str(tmp_path / "link"), run, files=FILES)


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "g" / "storaged").symlink_to(tmp_path / "elsewhere")
    with take_guard(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
        assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_daemon_that_only_reads_and_one_that_writes_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    graphroot, run = str(tmp_path / "g"), str(tmp_path / "run")
    with take_guard(graphroot, run, files=FILES), pytest.raises(GuardTaken) as caught:
        take_guard(graphroot, run, files=FILES, writable=False)
    assert caught.value.evidence["pid"] == os.getpid()
    with take_guard(graphroot, run, files=FILES, writable=False), pytest.raises(GuardTaken):
        take_guard(graphroot, run, files=FILES)
    with take_guard(graphroot, run, files=FILES):
        pass
