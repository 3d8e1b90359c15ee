from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path

import pytest

from storaged.errors import GuardTaken
from storaged.server.systemd import Notifier
from storaged.single_instance import StoreGuard, watch
from storaged.store.files import Files
from storaged.store.locks.instance import take_instance_lock
from tests.support.files import FaultyFiles

FILES = Files()


def test_a_second_daemon_is_told_the_pid_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    program = (
        "import sys; from storaged.store.files import Files\n"
        "from storaged.store.locks.instance import take_instance_lock\n"
        "lock = take_instance_lock(sys.argv[1], sys.argv[2], files=Files())\n"
        "print('held', flush=True); sys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", program, str(tmp_path / "g"), str(tmp_path / "run")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "held\n"
        with pytest.raises(GuardTaken) as caught:
            take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)
        assert caught.value.data["pid"] == first.pid
        first.kill()
        first.wait(10)
        with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
            pass


def test_the_guard_lies_in_a_private_folder_of_the_store(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES) as guard:
        assert guard.path == str(tmp_path / "g" / "storaged" / "daemon.lock")
        assert Path(guard.path).read_text() == f"{os.getpid()}\n"
        assert os.stat(tmp_path / "g" / "storaged").st_mode & 0o777 == 0o700
    assert not (tmp_path / "run").exists()


def test_a_missing_graphroot_is_guarded_elsewhere_and_not_made(tmp_path: Path) -> None:
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
        assert not (tmp_path / "g").exists()
        with pytest.raises(GuardTaken):
            take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)


def test_a_guard_outside_the_store_leaves_no_file_behind(tmp_path: Path) -> None:
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES) as guard:
        assert os.path.exists(guard.path)
        with pytest.raises(GuardTaken):
            take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)
        assert os.path.exists(guard.path)
    assert os.listdir(tmp_path / "run") == []


def test_a_guard_that_another_one_replaced_is_not_removed(tmp_path: Path) -> None:
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES) as first:
        os.unlink(first.path)
        second = take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)
    with second, pytest.raises(GuardTaken):
        take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)


def test_of_many_that_take_and_leave_a_passing_guard_one_holds_it_at_a_time(tmp_path: Path) -> None:
    holders: list[int] = []
    most: list[int] = []

    def come_and_go(number: int) -> int:
        taken = 0
        for _ in range(60):
            with suppress(GuardTaken), take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
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
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
        (tmp_path / "g").mkdir()
        with pytest.raises(GuardTaken):
            take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)


def test_a_read_only_graphroot_is_guarded_in_the_runtime_folder(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()

    files = FaultyFiles("mkdir", path=lambda call: call.path.startswith(str(tmp_path / "g")), error=errno.EROFS)
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=files) as guard:
        assert guard.path.startswith(str(tmp_path / "run"))
        with pytest.raises(GuardTaken):
            take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=files)
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES, writable=False) as guard:
        assert guard.path.startswith(str(tmp_path / "run"))


def test_two_graphroots_have_two_guards_and_one_by_two_paths_has_one(tmp_path: Path) -> None:
    for name in ("g", "h"):
        (tmp_path / name).mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "g")
    run = str(tmp_path / "run")
    with (
        take_instance_lock(str(tmp_path / "g"), run, files=FILES),
        take_instance_lock(str(tmp_path / "h"), run, files=FILES),
        pytest.raises(GuardTaken),
    ):
        take_instance_lock(str(tmp_path / "link"), run, files=FILES)


def test_a_link_in_place_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "g" / "storaged").symlink_to(tmp_path / "elsewhere")
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
        assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_daemon_that_only_reads_and_one_that_writes_exclude_each_other(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    graphroot, run = str(tmp_path / "g"), str(tmp_path / "run")
    with take_instance_lock(graphroot, run, files=FILES), pytest.raises(GuardTaken) as caught:
        take_instance_lock(graphroot, run, files=FILES, writable=False)
    assert caught.value.data["pid"] == os.getpid()
    with take_instance_lock(graphroot, run, files=FILES, writable=False), pytest.raises(GuardTaken):
        take_instance_lock(graphroot, run, files=FILES)
    with take_instance_lock(graphroot, run, files=FILES):
        pass


# -------------------------------------------------------------- the same store by another path


@pytest.fixture
def alias(tmp_path: Path) -> Iterator[Path]:
    """A bind mount of ``tmp_path/g``."""
    (tmp_path / "g").mkdir()
    point = tmp_path / "alias"
    point.mkdir()
    if subprocess.run(["mount", "--bind", tmp_path / "g", point], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("second", [False, True])
@pytest.mark.parametrize("turned", [False, True])
def test_daemons_of_one_store_by_two_paths_exclude_each_other_whatever_they_may_do(
    tmp_path: Path, alias: Path, first: bool, second: bool, turned: bool
) -> None:
    run = str(tmp_path / "run")
    one, other = (str(alias), str(tmp_path / "g")) if turned else (str(tmp_path / "g"), str(alias))
    with take_instance_lock(one, run, files=FILES, writable=first), pytest.raises(GuardTaken) as caught:
        take_instance_lock(other, run, files=FILES, writable=second)
    assert caught.value.data["pid"] == os.getpid()
    with take_instance_lock(other, run, files=FILES, writable=second):
        pass


# -------------------------------------------------------------- a store that is replaced


def remake(folder: Path) -> None:
    """Another folder of this name. The old one is kept aside, so that its inode is not given again."""
    folder.rename(folder.with_name(f"{folder.name}-{len(list(folder.parent.iterdir()))}"))
    folder.mkdir()


@pytest.mark.parametrize("writable", [True, False])
def test_a_guard_knows_that_its_store_was_removed_or_replaced(tmp_path: Path, writable: bool) -> None:
    graphroot = tmp_path / "g"
    graphroot.mkdir()
    with take_instance_lock(str(graphroot), str(tmp_path / "run"), files=FILES, writable=writable) as guard:
        assert guard.standing() == "held"
        remake(graphroot)
        assert guard.standing() == "replaced"
        graphroot.rmdir()
        assert guard.standing() == "replaced"


def test_a_guard_whose_folder_was_emptied_guards_nothing(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES) as guard:
        shutil.rmtree(tmp_path / "g" / "storaged")
        assert guard.standing() == "replaced"


def test_a_guard_that_cannot_be_looked_at_is_held(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    files = FaultyFiles("stat", error=errno.EIO, armed=False)
    for writable in (True, False):
        with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=files, writable=writable) as guard:
            files.armed = True
            assert guard.standing() == "held"
            files.armed = False


def store_guard(tmp_path: Path, *, writable: bool = True) -> StoreGuard:
    return StoreGuard(str(tmp_path / "g"), str(tmp_path / "run"), Notifier(None), writable=writable, socket="/run/s")


@pytest.mark.parametrize("writable", [True, False])
def test_a_replaced_store_is_guarded_once_the_guard_is_renewed_and_not_before(tmp_path: Path, writable: bool) -> None:
    (tmp_path / "g").mkdir()
    with closing(store_guard(tmp_path, writable=writable)) as guard:
        assert guard.holds()
        remake(tmp_path / "g")
        assert not guard.holds()
        guard.renew()
        assert guard.holds()
        with pytest.raises(GuardTaken):
            take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)
    with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES):
        pass


def test_a_store_that_is_made_under_its_daemon_is_guarded_inside_from_then_on(tmp_path: Path) -> None:
    with closing(store_guard(tmp_path)) as guard:
        (tmp_path / "g").mkdir()
        assert guard.holds()
        assert (tmp_path / "g" / "storaged" / "daemon.lock").read_text() == f"{os.getpid()}\n/run/s\n"
        assert os.listdir(tmp_path / "run") == []
        with pytest.raises(GuardTaken):
            take_instance_lock(str(tmp_path / "g"), str(tmp_path / "elsewhere"), files=FILES)


def test_a_guard_outside_the_store_whose_file_is_cleaned_away_is_made_again(tmp_path: Path) -> None:
    (tmp_path / "g").mkdir()
    with closing(store_guard(tmp_path, writable=False)) as guard:
        shutil.rmtree(tmp_path / "run")
        assert guard.holds()
        with pytest.raises(GuardTaken):
            take_instance_lock(str(tmp_path / "g"), str(tmp_path / "run"), files=FILES)


def test_who_was_faster_to_guard_a_new_store_keeps_it(tmp_path: Path) -> None:
    with closing(store_guard(tmp_path)) as guard:
        (tmp_path / "g").mkdir()
        with take_instance_lock(str(tmp_path / "g"), str(tmp_path / "elsewhere"), files=FILES):
            assert not guard.holds()
            with pytest.raises(GuardTaken):
                guard.renew()
        assert guard.holds()


@pytest.mark.anyio
async def test_a_daemon_is_told_once_of_a_store_that_stays_replaced_and_never_of_one_that_comes_back() -> None:
    class Looks:
        def __init__(self, *answers: bool) -> None:
            self.answers = list(answers)

        def holds(self) -> bool:
            return self.answers.pop(0)

    told: list[str] = []
    looks = Looks(True, False, True, True, False, False)
    await watch(looks, told.append, every=0.001)
    assert (told, looks.answers) == (["replaced"], [])
