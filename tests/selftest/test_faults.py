"""The harness itself: it knows every call, writes down what happens, and finds a mistake that is there.

The mistakes are those of a small writer of one file, so that what must be found is plain.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from storaged.store.files import Files
from tests.acceptance.faults.calls import LOOKING, Counting, Dying, Failing, Killed, Short
from tests.acceptance.faults.effects import Recorded
from tests.acceptance.faults.power_loss import Disk, State, states
from tests.acceptance.faults.recording import Recording
from tests.acceptance.faults.tree import difference, fingerprint, read_tree, write_tree
from tests.support.files import METHODS

OLD, NEW = b'["old"]', b'["old","new and longer"]'


@pytest.fixture
def top(tmp_path: Path) -> Path:
    top = tmp_path / "top"
    (top / "run").mkdir(parents=True)
    (top / "table").write_bytes(OLD)
    (top / "run" / "mounts").write_bytes(b"1")
    return top


def replace(files: Files, top: Path, *, flush: bool = True, flush_folder: bool = True) -> None:
    """The atomic replacement of a file, with or without its flushes."""
    temporary = str(top / ".tmp")
    fd = files.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    try:
        data = NEW
        while data:
            data = data[files.write(fd, data) :]
        if flush:
            files.fdatasync(fd)
    finally:
        files.close(fd)
    files.rename(temporary, str(top / "table"))
    if flush_folder:
        fd = files.open(str(top), os.O_RDONLY | os.O_DIRECTORY)
        try:
            files.fsync(fd)
        finally:
            files.close(fd)


def record(top: Path, script: Callable[[Files, Path], None]) -> Recorded:
    files = Recording(top)
    script(files, top)
    return files.recorded


def after_power_loss(recorded: Recorded, most: int = 1000) -> list[State]:
    return list(states(Disk(recorded, volatile=("run",)), seed=1, most=most))


def tables(found: list[State]) -> set[bytes | None]:
    return {state.tree["table"].data if "table" in state.tree else None for state in found}


def test_recorder_knows_every_call_that_changes_something() -> None:
    unknown = [name for name in METHODS if name not in LOOKING and not hasattr(Recording, f"_on_{name}")]
    assert unknown == []
    assert {"fsync", "fdatasync", "close"} <= {name for name in METHODS if hasattr(Recording, f"_on_{name}")}


def test_nothing_lost_is_the_tree_on_the_disk(top: Path) -> None:
    recorded = record(top, replace)
    tree = Disk(recorded).tree(len(recorded.effects), {})
    assert difference(tree, read_tree(top)) == []


def test_tree_is_laid_down_as_it_was_read(top: Path, tmp_path: Path) -> None:
    (top / "link").symlink_to("table")
    (top / "run").chmod(0o500)
    tree = read_tree(top)
    write_tree(tree, tmp_path / "copy")
    assert fingerprint(read_tree(tmp_path / "copy")) == fingerprint(tree)


def test_flushed_replacement_leaves_the_old_file_or_the_new_one(top: Path) -> None:
    assert tables(after_power_loss(record(top, replace))) == {OLD, NEW}


def test_replacement_is_there_once_its_folder_is_flushed(top: Path) -> None:
    found = after_power_loss(record(top, replace))
    assert tables([state for state in found if state.ended]) == {NEW}


def test_replacement_may_be_lost_while_its_folder_is_not_flushed(top: Path) -> None:
    found = after_power_loss(record(top, lambda files, top: replace(files, top, flush_folder=False)))
    assert tables([state for state in found if state.ended]) == {OLD, NEW}


def test_missing_flush_of_the_file_is_found(top: Path) -> None:
    found = after_power_loss(record(top, lambda files, top: replace(files, top, flush=False)))
    assert tables(found) == {OLD, NEW, b"", NEW[: len(NEW) // 2], bytes(len(NEW))}


def test_renames_of_one_folder_are_lost_apart_from_each_other(top: Path) -> None:
    def script(files: Files, top: Path) -> None:
        for name in ("one", "two"):
            files.mkdir(str(top / name))

    found = after_power_loss(record(top, script))
    assert {("one" in state.tree, "two" in state.tree) for state in found} == {
        (False, False),
        (True, False),
        (False, True),
        (True, True),
    }


def test_rename_between_folders_loses_nothing_and_doubles_nothing(top: Path) -> None:
    def script(files: Files, top: Path) -> None:
        files.mkdir(str(top / "away"))
        files.rename(str(top / "table"), str(top / "away" / "table"))

    found = after_power_loss(record(top, script))
    for state in found:
        assert ("table" in state.tree) != ("away/table" in state.tree)


def test_what_another_tool_wrote_is_there_at_once_and_never_lost(top: Path) -> None:
    files = Recording(top)
    files.mkdir(str(top / "one"))
    before = read_tree(top)
    (top / "image").mkdir()
    (top / "image" / "manifest").write_bytes(b"{}")
    (top / "new").write_bytes(NEW)
    (top / "new").replace(top / "table")
    files.others_wrote(before, read_tree(top))
    files.mkdir(str(top / "two"))
    complete = Disk(files.recorded).tree(len(files.recorded.effects), {})
    assert difference(complete, read_tree(top)) == []
    found = [state for state in after_power_loss(files.recorded) if state.after not in files.others[1:]]
    early = [state for state in found if state.after <= files.others.start]
    late = [state for state in found if state.after >= files.others.stop]
    assert {("image/manifest" in state.tree, state.tree["table"].data) for state in early} == {(False, OLD)}
    assert {("image/manifest" in state.tree, state.tree["table"].data) for state in late} == {(True, NEW)}
    assert {"two" in state.tree for state in late} == {False, True}


def test_power_loss_takes_what_lies_on_a_tmpfs(top: Path) -> None:
    found = after_power_loss(record(top, replace))
    assert all("run" in state.tree and "run/mounts" not in state.tree for state in found)


def test_too_many_states_are_sampled_and_each_change_is_asked_alone(top: Path) -> None:
    def script(files: Files, top: Path) -> None:
        for number in range(20):
            files.mkdir(str(top / f"{number:02}"))

    found = after_power_loss(record(top, script), most=600)
    assert len(found) == 600
    complete = {frozenset(path for path in state.tree if path.isdigit()) for state in found}
    every = frozenset(f"{number:02}" for number in range(20))
    assert {every - {name} for name in every} <= complete
    assert {frozenset({name}) for name in every} <= complete


def test_same_seed_finds_the_same_states(top: Path) -> None:
    def script(files: Files, top: Path) -> None:
        for number in range(12):
            files.mkdir(str(top / str(number)))

    recorded = record(top, script)
    once, again = ([fingerprint(state.tree) for state in after_power_loss(recorded, 300)] for _ in range(2))
    assert once == again


@pytest.mark.parametrize("after", [False, True])
def test_dead_process_does_nothing_more_on_its_way_out(top: Path, after: bool) -> None:
    seen = set()
    for number in range(1, 20):
        for path in top.glob(".tmp"):
            path.unlink()
        (top / "table").write_bytes(OLD)
        files = Dying(number, after=after)

        def script(files: Files = files) -> None:
            try:
                replace(files, top)
            finally:
                files.unlink(str(top / ".tmp"))

        with pytest.raises((Killed, FileNotFoundError)):
            script()
        if files.died is None:
            break
        seen.add(((top / "table").read_bytes(), (top / ".tmp").exists()))
    else:
        pytest.fail("it never came to its end")
    assert seen == {(OLD, True), (NEW, False), *(() if after else ((OLD, False),))}


def test_failing_calls_are_numbered_and_come_to_an_end(top: Path) -> None:
    counting = Counting()
    replace(counting, top)
    for number in range(1, len(counting.made) + 1):
        (top / ".tmp").unlink(missing_ok=True)
        files = Failing(number, errno.EIO)
        with pytest.raises(OSError, match="Input/output error"):
            replace(files, top)
        assert str(files.failed) == str(counting.made[number - 1])


def test_short_write_is_half_a_write_and_then_a_full_disk(top: Path) -> None:
    files = Short(1)
    with pytest.raises(OSError, match="No space left"):
        replace(files, top)
    assert (top / ".tmp").read_bytes() == NEW[: len(NEW) // 2]
