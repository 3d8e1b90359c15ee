"""Steps, tokens, and a store that changes while it is checked."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import sys
from pathlib import Path

import pytest

from storaged.store.checking.findings import Finding
from storaged.store.checking.walk import Scope, Step, walk
from storaged.store.layout import paths
from storaged.store.locks.record_lock import FLOCK
from storaged.store.locks.token import make_token
from storaged_client.contract.errors import InvalidParams
from tests.support.damaged import Damaged, lay
from tests.support.files import Call, FaultyFiles


def _findings(steps: list[Step]) -> list[tuple[str, str]]:
    return [(each.name, each.id) for step in steps for each in step.findings]


def _damage(store: Damaged) -> list[tuple[str, str]]:
    """Three damages in three phases."""
    image = store.image["id"]
    base = store.base["id"]
    orphan = store.contents("a" * 64)
    store.item(image, "manifest").unlink()
    store.link(base).unlink()
    orphan.mkdir()
    return [("manifest_missing", image), ("link_lost", base), ("layer_directory_orphan", str(orphan))]


def _locked(store: Damaged, noun: str) -> int:
    """A lock of the store held for writing, as by another process."""
    fd = os.open(Path(store.table(noun)).with_name(f"{noun}.lock"), os.O_RDWR | os.O_CLOEXEC)
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    return fd


def test_a_walk_counts_every_step_and_ends_without_a_token(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    steps = list(walk(store.location))
    assert [step.done for step in steps] == list(range(1, len(steps) + 1))
    assert {step.total for step in steps} == {len(steps)}
    assert steps[-1].resume is None
    assert all(step.resume for step in steps[:-1])


@pytest.mark.parametrize("length", [1, 7])
def test_slices_find_together_what_one_walk_finds(tmp_path: Path, length: int) -> None:
    store = lay(tmp_path, "overlay")
    planted = _damage(store)
    found: list[tuple[str, str]] = []
    token: str | None = None
    rounds = 0
    while rounds == 0 or token is not None:
        steps: list[Step] = []
        walking = walk(store.location, resume=token)
        for step in walking:
            steps.append(step)
            if len(steps) == length:
                break
        walking.close()
        found += _findings(steps)
        token = steps[-1].resume
        rounds += 1
    assert found == planted
    assert rounds > 5


def test_a_token_stays_good_while_the_store_changes(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    planted = _damage(store)
    ids = sorted(record["id"] for record in store.records("images"))
    walking = walk(store.location)
    token = next(step.resume for step in walking if step.resume and step.resume.endswith(ids[3]))
    walking.close()
    for id in ids[:6]:
        if ("manifest_missing", id) not in planted and not any(c["image"] == id for c in store.records("containers")):
            store.drop("images", id)
            shutil.rmtree(store.image_dir(id))
    rest = _findings(list(walk(store.location, resume=token)))
    assert rest == [each for each in planted if each[0] != "manifest_missing" or each[1] > ids[3]]


@pytest.mark.parametrize("token", ["", "x", "1.files.0", "2.files.0.0.a", "1.files.-1.0.a", "1.files.²0.0.a"])
def test_a_token_that_is_none_is_refused(tmp_path: Path, token: str) -> None:
    with pytest.raises(InvalidParams) as refused:
        list(walk(lay(tmp_path, "vfs").location, resume=token))
    assert refused.value.data["path"] == "$.resume"


def test_a_token_of_another_scope_is_refused(tmp_path: Path) -> None:
    location = lay(tmp_path, "vfs").location
    token = next(iter(walk(location, scope="records"))).resume
    with pytest.raises(InvalidParams):
        list(walk(location, scope="files", resume=token))


def test_a_token_of_a_table_that_is_not_there_is_harmless(tmp_path: Path) -> None:
    steps = list(walk(lay(tmp_path, "vfs").location, resume="1.files.9.0.zzz"))
    assert [(step.resume, step.findings) for step in steps] == [(None, ())]


def _calls(store: Damaged) -> int:
    """Function calls of one check of the records, resumed generators included."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        store.check("records")
    finally:
        sys.setprofile(None)
    return count


def test_the_check_of_records_costs_in_proportion_to_their_number(tmp_path: Path) -> None:
    small, large = (lay(tmp_path / str(layers), "overlay", images=24, layers=layers) for layers in (100, 800))
    assert _calls(large) < 8 * _calls(small)


def _removing(store: Damaged, id: str) -> FaultyFiles:
    """Another tool removes an image completely when the check first looks into its folder."""

    def remove(_: Call) -> None:
        files.armed = False
        Path(paths.images_lock(store.root, store.driver)).write_bytes(make_token())
        store.drop("images", id)
        shutil.rmtree(store.image_dir(id))

    files = FaultyFiles("stat", path=str(store.image_dir(id)), before=remove)
    return files


def test_an_image_removed_during_the_look_at_it_is_no_finding(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    used = {record["image"] for record in store.records("containers")}
    id = next(record["id"] for record in store.records("images") if record["id"] not in used)
    files = _removing(store, id)
    steps = list(walk(store.location, files=files, pause=lambda _: None))
    assert files.calls
    assert _findings(steps) == []
    assert [step.unsettled for step in steps if step.unsettled] == []


def test_a_damage_that_stays_is_told_although_the_store_changed(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    planted = _damage(store)
    used = {record["image"] for record in store.records("containers")}
    # Removed in the very look at its neighbour: the first look at that one is not trusted.
    victim = next(r["id"] for r in store.records("images") if r["id"] not in used and r["id"] != planted[0][1])
    steps = list(walk(store.location, files=_removing(store, victim), pause=lambda _: None))
    assert _findings(steps) == planted


def test_what_a_writer_hides_all_along_is_unsettled_and_no_finding(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    image, base, orphan = _damage(store)
    fd = _locked(store, "layers")
    pauses: list[float] = []
    try:
        steps = list(walk(store.location, pause=pauses.append))
    finally:
        os.close(fd)
    assert _findings(steps) == [image]
    unsettled = [step.unsettled for step in steps if step.unsettled]
    assert [base[1] in unsettled[0], os.path.dirname(orphan[1]) in unsettled[1]] == [True, True]
    assert sum(pauses) < 6


def test_a_writer_that_ends_in_time_hides_nothing(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    planted = _damage(store)
    fd = _locked(store, "layers")
    held = [fd]

    def pause(_: float) -> None:
        if held:
            os.close(held.pop())

    steps = list(walk(store.location, pause=pause))
    assert _findings(steps) == planted
    assert not held


def test_a_file_that_the_disk_refuses_is_a_finding(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    id = store.image["id"]
    path = store.item(id, "manifest")
    files = FaultyFiles("open", path=str(path), error=errno.EIO)
    (found,) = (each for step in walk(store.location, files=files) for each in step.findings)
    assert (found.name, found.kind, found.id, found.file) == ("file_unreadable", "image", id, str(path))


@pytest.mark.parametrize("scope", ["files", "contents"])
def test_a_want_of_descriptors_that_ends_is_no_finding(tmp_path: Path, scope: Scope) -> None:
    store = lay(tmp_path, "overlay")
    for path in (store.item(store.list["id"], "manifest"), store.tar_split(store.layer["id"]), store.table("images")):
        files = FaultyFiles("open", path=str(path), error=errno.EMFILE, times=2)
        steps = list(walk(store.location, scope=scope, files=files, pause=lambda _: None))
        assert _findings(steps) == []
        assert [step.unsettled for step in steps if step.unsettled] == []
        assert files.failed == 2


def test_a_want_of_descriptors_that_lasts_leaves_the_unit_unsettled(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    id = store.list["id"]
    files = FaultyFiles("open", path=str(store.item(id, "manifest")), error=errno.EMFILE)
    steps = list(walk(store.location, files=files, pause=lambda _: None))
    assert _findings(steps) == []
    told = [step.unsettled for step in steps if step.unsettled]
    assert told == [f"image {id}: Too many open files: the daemon lacked descriptors or memory"]


def test_what_only_one_of_two_looks_found_is_no_finding(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    link = store.link(store.base["id"])
    target = os.readlink(link)
    link.unlink()

    def mend(_: Call) -> None:
        """The link is back after the first look at it."""
        if not os.path.lexists(link):
            link.symlink_to(target)

    files = FaultyFiles("stat", path=str(link), error=errno.ENOENT, times=1, before=mend)
    assert _findings(list(walk(store.location, files=files))) == []


def test_a_file_that_is_not_ours_to_read_is_unsettled_and_no_finding(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    path = store.item(store.image["id"], "manifest")
    steps = list(walk(store.location, files=FaultyFiles("open", path=str(path), error=errno.EACCES)))
    assert _findings(steps) == []
    assert [step.unsettled for step in steps if step.unsettled] == [f"{path}: we may not read it"]


def test_a_closed_walk_leaves_no_descriptor_open(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    before = os.listdir("/proc/self/fd")
    walking = walk(store.location, scope="contents")
    for _ in range(30):
        next(walking)
    walking.close()
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_every_finding_can_be_mended_by_its_command(tmp_path: Path) -> None:
    """The commands for files, run one after the other, leave a clean store."""
    store = lay(tmp_path, "overlay")
    layer, base = store.layer["id"], store.base["id"]
    image = store.image["id"]
    store.link(layer).unlink()
    (store.contents(base) / "link").write_bytes(b"")
    (store.contents(layer) / "lower-layers").write_bytes(b"")
    store.item(image, "manifest").unlink()
    (store.image_dir(image) / "stranger").write_bytes(b"")
    (store.contents("l") / ("B" * 26)).symlink_to("../nowhere/diff")
    found = store.check()
    assert len(found) == 6
    for each in found:
        _run(each)
    assert store.check() == []


def test_a_lower_is_mended_once_the_links_below_are(tmp_path: Path) -> None:
    store = lay(tmp_path, "overlay")
    layer = store.layer["id"]
    (store.contents(layer) / "lower").write_bytes(b"")
    link = store.contents(layer) / "link"
    for each in store.check():
        _run(each)
    assert store.check() == []
    assert stat.S_ISREG(link.stat().st_mode)


def _run(found: Finding) -> None:
    assert found.mend is not None
    assert os.waitstatus_to_exitcode(os.system(found.mend)) == 0
