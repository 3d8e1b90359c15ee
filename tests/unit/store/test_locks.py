from __future__ import annotations

import errno
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from filelock import Timeout

from storaged.errors import LockOrderViolation
from storaged.metrics import Metrics
from storaged.store.files import Files, NotAFile
from storaged.store.locks.order import HIERARCHY, hold, holder_of, rank
from storaged.store.locks.probe import Probe, identify
from storaged.store.locks.record_lock import Mode, RecordLock
from storaged.store.locks.token import TOKEN_SIZE, make_token, read_token, write_token
from storaged_client.contract.errors import StoreBusy
from tests.support.files import Call, FaultyFiles
from tests.unit.store.holding import held_elsewhere

FILES = Files()


@pytest.fixture
def lock_file(tmp_path: Path) -> str:
    path = tmp_path / "images.lock"
    path.write_bytes(b"t" * 64)
    return str(path)


@pytest.fixture
def tree(tmp_path: Path) -> tuple[str, str, str]:
    """The three lock files of a store, in order."""
    made = []
    for name in ("layers.lock", "images.lock", "containers.lock"):
        path = tmp_path / name
        path.touch()
        made.append(str(path))
    return (made[0], made[1], made[2])


def soon() -> float:
    return time.monotonic() + 0.05


def try_posix(path: str, kind: str) -> int:
    """The errno with which another process fails to lock as Go does, 0 where it succeeds."""
    program = (
        "import fcntl,sys\n"
        "f=open(sys.argv[1],'r+b')\n"
        "try: fcntl.lockf(f,(fcntl.LOCK_EX if sys.argv[2]=='write' else fcntl.LOCK_SH)|fcntl.LOCK_NB)\n"
        "except OSError as e: sys.exit(e.errno)\n"
    )
    return subprocess.run([sys.executable, "-c", program, path, kind], check=False).returncode


def test_an_exclusive_hold_excludes_posix_locks_of_other_processes(lock_file: str) -> None:
    with RecordLock(lock_file, mode_held="exclusive", files=FILES):
        assert try_posix(lock_file, "read") in (errno.EAGAIN, errno.EACCES)
    assert try_posix(lock_file, "write") == 0


def test_a_shared_hold_lets_readers_in_and_keeps_writers_out(lock_file: str) -> None:
    with RecordLock(lock_file, mode_held="shared", files=FILES):
        assert try_posix(lock_file, "read") == 0
        assert try_posix(lock_file, "write") in (errno.EAGAIN, errno.EACCES)


def test_a_posix_writer_elsewhere_excludes_us(lock_file: str) -> None:
    with held_elsewhere(lock_file), pytest.raises(Timeout):
        RecordLock(lock_file, mode_held="shared", files=FILES).acquire(blocking=False)


def test_closing_another_descriptor_of_the_file_keeps_the_hold(lock_file: str) -> None:
    with RecordLock(lock_file, mode_held="exclusive", files=FILES):
        Path(lock_file).read_bytes()
        assert try_posix(lock_file, "write") != 0


def test_threads_of_one_process_exclude_each_other(lock_file: str) -> None:
    outcome: list[str] = []

    def other() -> None:
        try:
            RecordLock(lock_file, mode_held="exclusive", files=FILES).acquire(blocking=False)
            outcome.append("let in")
        except Timeout:
            outcome.append("kept out")

    with RecordLock(lock_file, mode_held="exclusive", files=FILES):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert outcome == ["kept out"]


def test_the_lock_file_is_neither_truncated_nor_replaced(lock_file: str) -> None:
    before = os.stat(lock_file)
    with RecordLock(lock_file, mode_held="exclusive", files=FILES):
        pass
    after = os.stat(lock_file)
    assert (after.st_ino, after.st_size, after.st_mtime_ns) == (before.st_ino, 64, before.st_mtime_ns)


def test_a_missing_lock_file_and_its_folder_are_not_created(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        RecordLock(str(tmp_path / "none" / "images.lock"), mode_held="shared", files=FILES).acquire(blocking=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", ["shared", "exclusive"])
def test_a_fifo_in_place_of_a_lock_file_is_refused_at_once(tmp_path: Path, mode: Mode) -> None:
    os.mkfifo(tmp_path / "images.lock")
    with pytest.raises(NotAFile):
        RecordLock(str(tmp_path / "images.lock"), mode_held=mode, files=FILES).acquire(blocking=False)


def test_a_shared_hold_needs_no_write_permission(lock_file: str) -> None:
    files = FaultyFiles("open")
    with RecordLock(lock_file, mode_held="shared", files=files):
        pass
    with RecordLock(lock_file, mode_held="exclusive", files=files):
        pass
    assert [call.arguments["flags"] & os.O_ACCMODE for call in files.calls] == [os.O_RDONLY, os.O_RDWR]


def test_a_lock_file_replaced_between_open_and_lock_is_opened_again(lock_file: str) -> None:
    def replace(call: Call, fd: int) -> int:
        if len(files.calls) == 1:
            Path(lock_file + ".new").write_bytes(b"")
            os.rename(lock_file + ".new", lock_file)
        return fd

    files = FaultyFiles("open", after=replace)
    lock = RecordLock(lock_file, mode_held="exclusive", files=files)
    with lock:
        assert len(files.calls) == 2
        assert lock.still_named()
        assert try_posix(lock_file, "write") != 0
        os.rename(lock_file, lock_file + ".gone")
        assert not lock.still_named()


def test_a_close_that_fails_ends_the_hold_and_hides_no_result(lock_file: str) -> None:
    def refuse(_: Call, __: None) -> None:
        raise OSError(errno.EIO, "it was closed all the same")

    lock = RecordLock(lock_file, mode_held="exclusive", files=FaultyFiles("close", after=refuse))
    lock.acquire(blocking=False)
    lock.release()
    other = RecordLock(lock_file, mode_held="exclusive", files=Files())
    other.acquire(blocking=False)
    other.release()


def test_waiting_ends_when_cancelled(lock_file: str) -> None:
    asked = threading.Event()

    def cancelled() -> bool:
        asked.set()
        return True

    with held_elsewhere(lock_file), pytest.raises(Timeout):
        RecordLock(lock_file, mode_held="shared", files=FILES).acquire(timeout=20, cancel_check=cancelled)
    assert asked.is_set()


# ------------------------------------------------------------------ probe


def test_the_probe_names_a_posix_writer(lock_file: str) -> None:
    with open(lock_file, "rb") as file, held_elsewhere(lock_file) as child:
        holder = Probe(FILES).writer(file.fileno(), lock_file)
    assert holder is not None
    assert (holder.lock, holder.pid, holder.mode) == (lock_file, child.pid, "write")
    assert holder.command is not None
    assert holder.command.startswith("python")


def test_the_probe_does_not_see_readers_as_writers(lock_file: str) -> None:
    with open(lock_file, "rb") as file, held_elsewhere(lock_file, "read") as child:
        assert Probe(FILES).writer(file.fileno(), lock_file) is None
        reader = Probe(FILES).holder(file.fileno(), lock_file)
    assert reader is not None
    assert (reader.pid, reader.mode) == (child.pid, "read")


def test_the_probe_takes_no_lock(lock_file: str) -> None:
    with open(lock_file, "rb") as file:
        assert Probe(FILES).writer(file.fileno(), lock_file) is None
        assert try_posix(lock_file, "write") == 0


def test_an_ofd_holder_has_no_pid_until_it_is_looked_for(lock_file: str) -> None:
    with open(lock_file, "rb") as file, held_elsewhere(lock_file, "write", "ofd") as child:
        holder = Probe(FILES).writer(file.fileno(), lock_file)
        assert holder is not None
        assert holder.pid is None
        assert identify(holder, FILES).pid == child.pid
    assert holder_of(lock_file, FILES) is None


# ------------------------------------------------------------------ token


def test_a_token_is_64_bytes_and_never_the_same() -> None:
    tokens = {make_token() for _ in range(200)}
    assert len(tokens) == 200
    assert {len(token) for token in tokens} == {TOKEN_SIZE}


def test_a_short_token_is_a_value(tmp_path: Path) -> None:
    path = tmp_path / "l"
    for content in (b"", b"abc"):
        path.write_bytes(content)
        with path.open("rb") as file:
            assert read_token(FILES, file.fileno()) == content


def test_writing_a_token_changes_64_bytes_at_the_start(lock_file: str) -> None:
    Path(lock_file).write_bytes(b"t" * 64 + b"tail")
    with open(lock_file, "r+b") as file:
        token = write_token(FILES, file.fileno())
    assert Path(lock_file).read_bytes() == token + b"tail"


def test_a_token_written_in_part_is_an_error(lock_file: str) -> None:
    short = FaultyFiles("pwrite", after=lambda *_: 10)
    with open(lock_file, "r+b") as file, pytest.raises(OSError, match="10 of 64"):
        write_token(short, file.fileno())


# ------------------------------------------------------------------ order


def test_all_are_held_and_counted_and_all_given_back(tree: tuple[str, str, str]) -> None:
    metrics = Metrics()
    with hold(tree, "exclusive", deadline=soon(), files=FILES, metrics=metrics):
        assert [try_posix(path, "read") != 0 for path in tree] == [True, True, True]
    assert [try_posix(path, "write") for path in tree] == [0, 0, 0]
    assert metrics.counters["locks.acquired"] == 3
    assert metrics.counters["locks.held.images.lock.count"] == 1


def test_a_lock_that_was_waited_for_is_kept_while_the_others_are_tried(tree: tuple[str, str, str]) -> None:
    outer, inner, _ = tree
    rival = RecordLock(inner, mode_held="exclusive", files=FILES)
    rival.acquire(blocking=False)
    tries: list[str] = []
    free: list[bool] = []

    def watch(call: Call) -> None:
        if call.path == outer:
            free.append(try_posix(inner, "read") == 0)
        tries.append(call.path)
        if tries.count(inner) == 2:
            rival.release()

    files = FaultyFiles("open", before=watch)
    with hold(tree, "exclusive", deadline=time.monotonic() + 20, files=files, metrics=Metrics()):
        assert free == [False, False]  # the rival's at first, then ours
        assert [try_posix(path, "read") != 0 for path in tree] == [True, True, True]
    assert [try_posix(path, "write") for path in tree] == [0, 0, 0]


def test_a_kept_lock_is_given_back_where_another_one_is_busy(tree: tuple[str, str, str]) -> None:
    outer, inner, _ = tree
    rivals = {path: RecordLock(path, mode_held="exclusive", files=FILES) for path in (outer, inner)}
    rivals[inner].acquire(blocking=False)
    waited: list[str] = []

    def watch(call: Call) -> None:
        waited.append(call.path)
        if waited.count(inner) == 2 and rivals[inner].is_locked:
            rivals[outer].acquire(blocking=False)
            rivals[inner].release()

    files = FaultyFiles("open", before=watch)
    with (
        pytest.raises(StoreBusy) as busy,
        hold(tree, "exclusive", deadline=time.monotonic() + 0.5, files=files, metrics=Metrics()),
    ):
        pass
    assert busy.value.data["lock"] == outer
    assert try_posix(inner, "write") == 0
    rivals[outer].release()


@pytest.mark.parametrize("order", [(1, 0), (2, 1), (0, 2, 1)])
def test_a_wrong_order_is_refused_before_anything_is_taken(tree: tuple[str, str, str], order: tuple[int, ...]) -> None:
    metrics = Metrics()
    with (
        pytest.raises(LockOrderViolation),
        hold([tree[i] for i in order], "shared", deadline=soon(), files=FILES, metrics=metrics),
    ):
        pass
    assert metrics.counters["locks.acquired"] == 0


def test_an_outer_lock_is_refused_while_an_inner_one_is_held(tree: tuple[str, str, str]) -> None:
    with hold(tree[1:2], "shared", deadline=soon(), files=FILES, metrics=Metrics()):
        for wrong in (tree[:1], tree[1:2]):
            with (
                pytest.raises(LockOrderViolation),
                hold(wrong, "shared", deadline=soon(), files=FILES, metrics=Metrics()),
            ):
                pass
        with hold(tree[2:], "shared", deadline=soon(), files=FILES, metrics=Metrics()):
            pass
    with hold(tree[:1], "shared", deadline=soon(), files=FILES, metrics=Metrics()):
        pass


def test_another_thread_is_not_bound_by_what_this_one_holds(tree: tuple[str, str, str]) -> None:
    entered: list[bool] = []

    def other() -> None:
        with hold(tree[:1], "shared", deadline=soon(), files=FILES, metrics=Metrics()):
            entered.append(True)

    with hold(tree[1:2], "shared", deadline=soon(), files=FILES, metrics=Metrics()):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert entered == [True]


def test_the_graph_lock_is_never_held_with_others(tmp_path: Path, tree: tuple[str, str, str]) -> None:
    graph = tmp_path / "storage.lock"
    graph.touch()
    with (
        pytest.raises(LockOrderViolation),
        hold([str(graph), tree[0]], "shared", deadline=soon(), files=FILES, metrics=Metrics()),
    ):
        pass


def test_a_file_that_is_no_store_lock_has_no_place(tmp_path: Path) -> None:
    with pytest.raises(LockOrderViolation):
        rank(str(tmp_path / "other.lock"))


def test_the_hierarchy_is_the_documented_one() -> None:
    paths = ["/r/vfs-locks/sha256:ab", "/g/storage.lock", "/g/vfs-layers/layers.lock", "/g/vfs-images/images.lock",
             "/g/vfs-containers/containers.lock", "/r/vfs-layers/mountpoints.lock"]  # fmt: skip
    assert [rank(path) for path in paths] == list(range(len(HIERARCHY)))


def test_a_busy_lock_is_named_with_its_holder_and_nothing_stays_held(tree: tuple[str, str, str]) -> None:
    metrics = Metrics()
    with held_elsewhere(tree[1]) as child:
        with (
            pytest.raises(StoreBusy) as caught,
            hold(tree, "shared", deadline=soon(), files=FILES, metrics=metrics),
        ):
            pass
        assert caught.value.data["lock"] == tree[1]
        assert caught.value.data["holder"]["pid"] == child.pid
        assert caught.value.data["holder"]["mode"] == "write"
        assert [try_posix(path, "write") for path in (tree[0], tree[2])] == [0, 0]
    assert metrics.counters["locks.waited.images.lock.count"] == 1


def test_nothing_is_held_while_one_is_waited_for(tree: tuple[str, str, str]) -> None:
    """The first lock must be free for others while the second is waited for."""
    seen: list[int] = []
    with held_elsewhere(tree[1]) as child:

        def cancelled() -> bool:
            if not seen:
                seen.append(try_posix(tree[0], "write"))
                assert child.stdin is not None
                child.stdin.close()
            return False

        with hold(
            tree, "exclusive", deadline=time.monotonic() + 20, files=FILES, metrics=Metrics(), cancelled=cancelled
        ):
            assert try_posix(tree[1], "read") != 0
    assert seen == [0]


def test_a_cancelled_wait_is_busy_at_once(tree: tuple[str, str, str]) -> None:
    with (
        held_elsewhere(tree[0]),
        pytest.raises(StoreBusy),
        hold(tree, "shared", deadline=time.monotonic() + 25, files=FILES, metrics=Metrics(), cancelled=lambda: True),
    ):
        pass


def test_an_inner_lock_is_tried_but_not_waited_for(tree: tuple[str, str, str]) -> None:
    far = time.monotonic() + 25
    with (
        held_elsewhere(tree[1]),
        hold(tree[:1], "shared", deadline=far, files=FILES, metrics=Metrics()),
        pytest.raises(StoreBusy),
        hold(tree[1:2], "shared", deadline=far, files=FILES, metrics=Metrics()),
    ):
        pass


def test_under_a_digest_lock_others_are_waited_for(tmp_path: Path, tree: tuple[str, str, str]) -> None:
    folder = tmp_path / "vfs-locks"
    folder.mkdir()
    digest = folder / "sha256:ab"
    digest.touch()
    far = time.monotonic() + 25
    with held_elsewhere(tree[1]) as child:

        def release() -> bool:
            assert child.stdin is not None
            child.stdin.close()
            return False

        with (
            hold([str(digest)], "exclusive", deadline=far, files=FILES, metrics=Metrics()),
            hold(tree[1:2], "exclusive", deadline=far, files=FILES, metrics=Metrics(), cancelled=release),
        ):
            assert try_posix(tree[1], "read") != 0


def test_a_digest_lock_is_kept_while_another_is_waited_for(tmp_path: Path, tree: tuple[str, str, str]) -> None:
    """Podman keeps it, too: else two busy locks would hardly ever be had together."""
    (tmp_path / "overlay-locks").mkdir()
    digest = tmp_path / "overlay-locks" / "sha256:1"
    digest.touch()
    asked: list[int] = []

    def cancelled() -> bool:
        asked.append(try_posix(str(digest), "write"))
        return len(asked) == 2

    paths = (str(digest), *tree)
    with (
        held_elsewhere(tree[1]),
        pytest.raises(StoreBusy) as refused,
        hold(
            paths,
            "exclusive",
            deadline=time.monotonic() + 20,
            files=FILES,
            metrics=Metrics(),
            cancelled=cancelled,
        ),
    ):
        pytest.fail("entered")
    assert refused.value.data["lock"] == tree[1]
    assert all(asked)
    assert [try_posix(path, "write") for path in paths] == [0, 0, 0, 0]


def test_an_error_inside_the_block_gives_the_locks_back(tree: tuple[str, str, str]) -> None:
    with pytest.raises(KeyError), hold(tree, "exclusive", deadline=soon(), files=FILES, metrics=Metrics()):
        raise KeyError
    with hold(tree, "exclusive", deadline=soon(), files=FILES, metrics=Metrics()):
        pass
