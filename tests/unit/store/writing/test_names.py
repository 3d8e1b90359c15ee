"""Changes of names: one table, one lock."""

import errno
import math
import os
import shutil
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from attrs import evolve

from storaged.store.changes import Change, ImageEdit, NewImage
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.layout.records import ImageID
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.new_tables import ChangeRefused
from storaged.store.writing.prepared import PlanOutdated
from storaged_client.contract.errors import ImageUnknown, StoreBusy, StoreCorrupt
from tests.support.files import FaultyFiles
from tests.unit.store.holding import held_elsewhere

from .workshop import opened


class Steps:
    """Says that the change is cancelled after so many steps."""

    def __init__(self, steps: float) -> None:
        self._steps = steps
        self.asked = 0

    def __call__(self) -> bool:
        self.asked += 1
        return self.asked > self._steps


def named(image, *names):
    return Change(edits=(ImageEdit(image=ImageID(image), members={"names": list(names)}),))


def test_a_name_is_given_and_every_other_record_keeps_its_bytes_and_place(tmp_path) -> None:
    with opened(tmp_path) as shop:
        before = shop.raws()
        target = list(shop.images())[4]
        committed = shop.apply(named(target, "localhost/new:1"))
        after = shop.raws()
        assert [raw for at, raw in enumerate(after) if at != 4] == [raw for at, raw in enumerate(before) if at != 4]
        assert shop.images()[target].names == ("localhost/new:1",)
        assert committed.written == {str(shop.images_json): shop.images_json.read_bytes()}
        assert committed.stamp == shop.reader.stamp()
        assert shop.leftovers() == []
        assert stat.S_IMODE(shop.images_json.stat().st_mode) == 0o600


def test_what_no_tool_of_today_knows_survives_beside_the_new_name(tmp_path) -> None:
    with opened(tmp_path) as shop:
        path = shop.images_json
        raws = shop.raws()
        strange = raws[0][:-1] + b',"flags":{"z": 1e3,"a":"<"},"new-in-2030":[1,  2.50]}'
        path.write_bytes(b"[" + b",".join([strange, *raws[1:]]) + b"]")
        target = next(iter(shop.images()))
        shop.apply(named(target, "localhost/new:1"))
        assert shop.raws()[0].endswith(b',"flags":{"z": 1e3,"a":"<"},"new-in-2030":[1,  2.50]}')
        created = next(part for part in strange.split(b",") if part.startswith(b'"created"'))
        assert created in shop.raws()[0]


def test_the_token_changes_with_every_commit(tmp_path) -> None:
    with opened(tmp_path) as shop:
        target = next(iter(shop.images()))
        tokens = set()
        for number in range(3):
            shop.apply(named(target, f"localhost/new:{number}"))
            tokens.add(Path(shop.images_lock).read_bytes()[:64])
        assert len(tokens) == 3
        assert {len(token) for token in tokens} == {64}


def test_other_locks_than_that_of_the_images_are_not_asked_for(tmp_path) -> None:
    with opened(tmp_path) as shop:
        target = next(iter(shop.images()))
        stamp = shop.load().stamp
        root = shop.location.graphroot
        locks = (paths.layers_lock(root, "overlay"), paths.containers_lock(root, "overlay"))
        with held_elsewhere(locks[0]), held_elsewhere(locks[1]):
            shop.apply(named(target, "localhost/new:1"), stamp)
        assert shop.images()[target].names == ("localhost/new:1",)


def test_a_lost_race_changes_nothing_and_says_so(tmp_path) -> None:
    with opened(tmp_path) as shop:
        target, other = list(shop.images())[:2]
        prepared = shop.writer.prepare(named(target, "localhost/new:1"), shop.load().stamp)
        shop.rival.set_names(other, ["localhost/rival:1"])
        before = shop.everything()
        before = {name: data for name, data in before.items() if ".tmp-" not in name}
        with pytest.raises(PlanOutdated):
            shop.writer.commit(prepared, deadline=time.monotonic() + 5)
        assert shop.everything() == before
        assert shop.metrics.counters["commits.outdated"] == 1
        with pytest.raises(PlanOutdated):
            shop.writer.prepare(named(target, "localhost/new:1"), prepared.stamp)
        shop.writer.discard(prepared)
        assert shop.leftovers() == []


def test_a_change_of_another_table_meanwhile_is_no_lost_race(tmp_path) -> None:
    with opened(tmp_path) as shop:
        target = next(iter(shop.images()))
        prepared = shop.writer.prepare(named(target, "localhost/new:1"), shop.load().stamp)
        layers = paths.layers_json(shop.location.graphroot, "overlay")
        os.utime(layers)
        committed = shop.writer.commit(prepared, deadline=time.monotonic() + 5)
        assert shop.reader.adopt(committed.stamp, committed.written) is None
        assert shop.images()[target].names == ("localhost/new:1",)


def test_a_held_lock_ends_in_an_error_that_names_it_and_nothing_written(tmp_path) -> None:
    with opened(tmp_path) as shop:
        target = next(iter(shop.images()))
        before = shop.everything()
        prepared = shop.writer.prepare(named(target, "localhost/new:1"), shop.load().stamp)
        with held_elsewhere(shop.images_lock) as holder, pytest.raises(StoreBusy) as refused:
            shop.writer.commit(prepared, deadline=time.monotonic() + 0.05)
        assert refused.value.data["holder"]["pid"] == holder.pid
        assert shop.everything() == before


def test_a_cancelled_commit_writes_nothing(tmp_path) -> None:
    with opened(tmp_path) as shop:
        target = next(iter(shop.images()))
        before = shop.everything()
        prepared = shop.writer.prepare(named(target, "localhost/new:1"), shop.load().stamp)
        with pytest.raises(StoreBusy, match="cancelled"):
            shop.writer.commit(prepared, deadline=time.monotonic() + 5, cancelled=lambda: True)
        assert shop.everything() == before


def test_a_preparation_stops_at_the_next_step_once_it_is_cancelled_and_leaves_nothing(tmp_path) -> None:
    """Whichever step that is; the manifests that a decision depends on are a step each."""
    with opened(tmp_path) as shop:
        images = shop.images()
        evidence = tuple((record, 0) for record in images.values() if "manifest" in (record.big_data_names or ()))
        assert len(evidence) > 3
        target = next(iter(images))
        change = evolve(named(target, "localhost/new:1"), evidence=evidence)
        stamp, before = shop.load().stamp, shop.everything()
        whole = Steps(math.inf)
        shop.writer.discard(shop.writer.prepare(change, stamp, cancelled=whole))
        assert whole.asked >= len(evidence) + 2
        opened_files = []
        for step in range(whole.asked):
            cancelled = Steps(step)
            shop.metrics.counters["files.opened"] = 0
            with pytest.raises(StoreBusy, match="cancelled"):
                shop.writer.prepare(change, stamp, cancelled=cancelled)
            assert cancelled.asked == step + 1
            assert shop.everything() == before
            opened_files.append(shop.metrics.counters["files.opened"])
        manifests = opened_files[: len(evidence) + 1]
        assert [count - manifests[0] for count in manifests] == list(range(len(evidence) + 1))


def test_a_change_that_changes_nothing_leaves_the_file(tmp_path) -> None:
    with opened(tmp_path) as shop:
        target, record = next((name, record) for name, record in shop.images().items() if record.names)
        before = shop.images_json.stat()
        committed = shop.apply(named(target, *record.names))
        assert committed.written == {}
        assert shop.images_json.stat() == before


def test_a_missing_lock_file_is_made_as_other_tools_make_it(tmp_path) -> None:
    with opened(tmp_path) as shop:
        os.unlink(shop.images_lock)
        target = next(iter(shop.images()))
        before = os.umask(0o077)
        try:
            with pytest.raises(PlanOutdated):
                shop.writer.prepare(named(target, "localhost/new:1"), shop.load().stamp)
        finally:
            os.umask(before)
        shop.apply(named(target, "localhost/new:1"))
        assert stat.S_IMODE(os.stat(shop.images_lock).st_mode) == 0o644
        assert shop.images()[target].names == ("localhost/new:1",)


def test_the_table_as_it_was_before_the_first_change_of_a_run_is_kept(tmp_path) -> None:
    with opened(tmp_path) as shop:
        before = shop.images_json.read_bytes()
        target = next(iter(shop.images()))
        for number in range(2):
            shop.apply(named(target, f"localhost/new:{number}"))
        copy = tmp_path / "root" / "storaged" / "images.json.before"
        assert copy.read_bytes() == before
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600


def test_a_table_that_was_emptied_does_not_replace_the_copy_of_the_last_good_one(tmp_path) -> None:
    copy = tmp_path / "root" / "storaged" / "images.json.before"
    added = [Change(added=(NewImage(members={"id": digit * 64, "created": "2026-01-01T00:00:00Z"}),)) for digit in "ab"]
    with opened(tmp_path) as shop:
        before = shop.images_json.read_bytes()
        shop.apply(named(next(iter(shop.images())), "localhost/new:1"))
        for folder in shop.images_json.parent.iterdir():
            if folder.is_dir():
                shutil.rmtree(folder)
        shop.images_json.write_bytes(b"[]")
        writer = StoreWriter(shop.location, metrics=shop.metrics)
        later = evolve(shop, writer=writer)
        for change in added:
            later.apply(change)
        writer.close()
        assert len(later.images()) == 2
        assert copy.read_bytes() == before


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (named("f" * 64, "localhost/a:1"), ImageUnknown),
        (Change(edits=named("f" * 64).edits * 2), ChangeRefused),
    ],
)
def test_a_change_that_does_not_fit_the_table_is_refused(tmp_path, change, error) -> None:
    with opened(tmp_path) as shop:
        before = shop.everything()
        with pytest.raises(error):
            shop.writer.prepare(change, shop.load().stamp)
        assert shop.everything() == before


@pytest.mark.parametrize(
    "name",
    [
        "localhost/UPPER:1",
        "UPPER/a:1",
        "a b",
        "localhost/a@sha256:12",
        "localhost/\ud800:1",
        f"localhost/{'a' * 246}:1",
        "[::1]:5000/a:1",
        "a" * 64,
    ],
)
def test_a_name_that_podman_cannot_list_is_never_written(tmp_path, name) -> None:
    with opened(tmp_path) as shop:
        before = shop.everything()
        with pytest.raises(StoreCorrupt):
            shop.writer.prepare(named(next(iter(shop.images())), name), shop.load().stamp)
        assert shop.everything() == before


def test_a_name_is_never_written_onto_two_records(tmp_path) -> None:
    with opened(tmp_path) as shop:
        taken = next(record.names[0] for record in shop.images().values() if record.names)
        target = next(name for name, record in shop.images().items() if taken not in (record.names or ()))
        with pytest.raises(StoreCorrupt, match="two records"):
            shop.writer.prepare(named(target, taken), shop.load().stamp)
        edits = [named(image, "localhost/both:1").edits[0] for image in list(shop.images())[:2]]
        with pytest.raises(StoreCorrupt, match="two records"):
            shop.writer.prepare(Change(edits=tuple(edits)), shop.load().stamp)


@pytest.mark.parametrize("flaw", [b"null", b'{"id":"short"}', b"3"])
def test_a_table_that_is_not_understood_whole_is_not_written_over(tmp_path, flaw) -> None:
    with opened(tmp_path) as shop:
        raws = shop.raws()
        shop.images_json.write_bytes(b"[" + b",".join([*raws, flaw]) + b"]")
        before = shop.everything()
        with pytest.raises(StoreCorrupt, match=r"images\.json: record 1[0-9]"):
            shop.writer.prepare(named(next(iter(shop.images())), "localhost/a:1"), shop.load().stamp)
        assert shop.everything() == before


@pytest.mark.parametrize("content", [b"", None])
def test_a_lost_table_beside_folders_of_images_is_not_written_over(tmp_path, content) -> None:
    with opened(tmp_path) as shop:
        target = next(iter(shop.images()))
        shop.images_json.unlink()
        if content is not None:
            shop.images_json.write_bytes(content)
        with pytest.raises(StoreCorrupt, match="was lost"):
            shop.writer.prepare(named(target, "localhost/a:1"), shop.load().stamp)


class _Short(Files):
    """Writes a third of what it is given."""

    def write(self, fd: int, data: bytes) -> int:
        return super().write(fd, data[: max(1, len(data) // 3)])


def test_short_writes_make_a_whole_table(tmp_path) -> None:
    with opened(tmp_path, files=_Short()) as shop:
        target = next(iter(shop.images()))
        shop.apply(named(target, "localhost/new:1"))
        assert shop.images()[target].names == ("localhost/new:1",)


@pytest.mark.parametrize("call", ["fdatasync", "rename"])
def test_a_disk_that_refuses_before_the_rename_changes_nothing_and_leaves_nothing(tmp_path, call) -> None:
    files = FaultyFiles(call, error=OSError(errno.EIO, "Input/output error"), armed=False)
    with opened(tmp_path, files=files) as shop:
        first, second = list(shop.images())[:2]
        shop.apply(named(first, "localhost/new:1"))
        before = shop.everything()
        files.armed = True
        with pytest.raises(OSError, match="Input/output") as failed:
            shop.apply(named(second, "localhost/new:2"))
        assert failed.value.filename == str(shop.images_json)
        assert shop.everything() == before
        assert shop.leftovers() == []


_TAGGER = """
import sys
from storaged.sample import SampleWriter
root, run, image, count = sys.argv[1:]
writer = SampleWriter(root, run, "overlay")
for number in range(int(count)):
    writer.set_names(image, [f"localhost/rival:{number}"])
"""


def test_no_change_of_a_rival_and_none_of_ours_is_lost(tmp_path) -> None:
    """Each side names its own image; a lost update would bring an earlier name back."""
    with opened(tmp_path) as shop:
        ours, theirs = list(shop.images())[:2]
        location = shop.location
        rival = subprocess.Popen([sys.executable, "-c", _TAGGER, location.graphroot, location.runroot, theirs, "60"])
        done = 0
        while rival.poll() is None or done < 10:
            try:
                with shop.writer.exclusively(time.monotonic() + 5):
                    prepared = shop.writer.prepare(
                        named(ours, f"localhost/ours:{done}"), shop.reader.load_locked().stamp
                    )
                    shop.writer.commit(prepared, deadline=time.monotonic() + 5)
            except PlanOutdated:
                continue
            done += 1
        assert rival.wait() == 0
        images = shop.images()
        assert images[ours].names == (f"localhost/ours:{done - 1}",)
        assert images[theirs].names == ("localhost/rival:59",)
        assert shop.leftovers() == []


def test_what_was_written_is_adopted_without_reading_it(tmp_path) -> None:
    with opened(tmp_path) as shop:
        target = next(iter(shop.images()))
        committed = shop.apply(named(target, "localhost/new:1"))
        read = shop.metrics.counters["tables.read"]
        loaded = shop.reader.adopt(committed.stamp, committed.written)
        assert loaded is not None
        assert (loaded.decoded, loaded.tables.proven) == (1, True)
        assert shop.metrics.counters["tables.read"] == read
        assert loaded.tables == shop.load().tables
        assert loaded.stamp == shop.reader.stamp()


def test_the_locks_are_held_against_other_threads_too(tmp_path) -> None:
    with opened(tmp_path) as shop, shop.writer.exclusively(time.monotonic() + 5):
        found = []
        thread = threading.Thread(target=lambda: found.append(shop.reader.writer()))
        thread.start()
        thread.join()
        assert found[0] is not None
