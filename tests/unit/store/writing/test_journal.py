"""The journal: an entry is on disk before it counts, and belongs to the process that holds it."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from attrs import evolve

from storaged.store.files import Files
from storaged.store.layout.records import Digest, ImageID, LayerID
from storaged.store.tables import StoreLocation
from storaged.store.writing.entries import Creation, Deletion, EditedItem, Editing, Entry, Unread
from storaged.store.writing.journal import Journal
from storaged_client.contract.errors import NoSpace
from tests.support.files import Call, FaultyFiles
from tests.unit.store.holding import held_elsewhere

IMAGE, LAYER = ImageID("a" * 64), LayerID("b" * 64)
ENTRIES: tuple[Entry, ...] = (
    Deletion(images=(IMAGE,), layers=(LAYER,), links={LAYER: "A" * 26}, staging="7", made=("overlay/tempdirs",)),
    Editing(
        image=IMAGE,
        members={"digest": "sha256:x", "names": ["a", "b"]},
        items=(
            EditedItem(
                key="manifest",
                temporary=f".tmp-manifest-storaged-{'0' * 32}-{'1' * 8}",
                digest=Digest("sha256:n"),
                before=None,
            ),
        ),
    ),
    Creation(images=(IMAGE,)),
)


@pytest.fixture
def location(tmp_path: Path) -> StoreLocation:
    (tmp_path / "graph").mkdir()
    return StoreLocation(graphroot=str(tmp_path / "graph"), runroot=str(tmp_path / "run"), driver="overlay")


def names(location: StoreLocation) -> list[str]:
    return sorted(os.listdir(f"{location.graphroot}/storaged"))


def left(location: StoreLocation) -> list[Entry | Unread]:
    with Journal(location, files=Files()).left() as entries:
        return [entry for _, entry in entries]


@pytest.mark.parametrize("entry", ENTRIES, ids=["deletion", "editing", "creation"])
def test_an_entry_that_is_left_is_read_back_as_it_was_written(location: StoreLocation, entry: Entry) -> None:
    held = Journal(location, files=Files()).begin(entry)
    held.leave()
    assert left(location) == [entry]
    assert oct(os.stat(held.path).st_mode & 0o777) == "0o600"


def test_an_entry_whose_transaction_lives_is_left_to_it(location: StoreLocation) -> None:
    journal = Journal(location, files=Files())
    held = journal.begin(ENTRIES[0])
    assert journal.pending()
    assert left(location) == []
    held.remove()
    assert not journal.pending()
    assert names(location) == []


def test_an_entry_of_another_process_is_left_to_it_while_that_lives(location: StoreLocation) -> None:
    held = Journal(location, files=Files()).begin(ENTRIES[0])
    held.leave()
    with held_elsewhere(held.path):
        assert left(location) == []
    assert left(location) == [ENTRIES[0]]


def test_a_transaction_may_end_its_entry_in_any_order_and_twice(location: StoreLocation) -> None:
    journal = Journal(location, files=Files())
    held = journal.begin(ENTRIES[0])
    held.leave()
    held.remove()
    held.remove()
    held.leave()
    assert names(location) == []


def test_an_entry_is_flushed_before_it_has_its_name_and_its_folder_after_it(location: StoreLocation) -> None:
    calls: list[str] = []

    def note(call: Call) -> None:
        what = "flush " + os.path.basename(call.path).split("-")[0] if call.name == "fsync" else call.name
        calls.append(what)

    held = Journal(location, files=FaultyFiles("fsync rename unlink", before=note)).begin(ENTRIES[0])
    assert calls == ["flush graph", "flush .tmp", "rename", "flush storaged"]
    calls.clear()
    held.remove()
    assert calls == ["unlink", "flush storaged"]


@pytest.mark.parametrize("call", ["mkdir", "open", "write", "fsync", "rename"])
def test_an_entry_that_cannot_be_written_leaves_nothing(location: StoreLocation, call: str) -> None:
    if call == "open":
        Path(location.graphroot, "storaged").mkdir()  # else it is the new folder that cannot be opened
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(NoSpace):
        Journal(location, files=FaultyFiles(call, error=errno.ENOSPC)).begin(ENTRIES[0])
    assert len(os.listdir("/proc/self/fd")) == before
    assert call == "mkdir" or names(location) == []


def test_what_cannot_be_understood_is_handed_out_as_such_and_kept(location: StoreLocation) -> None:
    held = Journal(location, files=Files()).begin(ENTRIES[0])
    held.leave()
    Path(held.path).write_bytes(b'{"kind":"of a later version"}')
    (entry,) = left(location)
    assert isinstance(entry, Unread)
    assert "later version" in entry.why
    assert len(names(location)) == 1


@pytest.mark.parametrize("name", ["journal-", ".tmp-journal-"])
def test_what_cannot_be_opened_is_named_and_stops_no_other(location: StoreLocation, name: str) -> None:
    Journal(location, files=Files()).begin(ENTRIES[0]).leave()
    Path(location.graphroot, "storaged", f"{name}{'0' * 32}.json").mkdir()
    with Journal(location, files=Files()).left() as entries:
        (strange,) = [(held.path, entry) for held, entry in entries if isinstance(entry, Unread)]
        assert [entry for _, entry in entries if not isinstance(entry, Unread)] == [ENTRIES[0]]
    assert strange[0].endswith(f"{name}{'0' * 32}.json")
    assert "directory" in strange[1].why


def test_an_entry_of_another_driver_is_left_alone(location: StoreLocation) -> None:
    Journal(evolve(location, driver="vfs"), files=Files()).begin(ENTRIES[0]).leave()
    (entry,) = left(location)
    assert isinstance(entry, Unread)
    assert "driver vfs" in entry.why
    assert left(evolve(location, driver="vfs")) == [ENTRIES[0]]


def test_an_entry_that_tells_no_driver_is_read(location: StoreLocation) -> None:
    held = Journal(location, files=Files()).begin(ENTRIES[0])
    held.leave()
    told = json.loads(Path(held.path).read_text())
    del told["driver"]
    Path(held.path).write_text(json.dumps(told))
    assert left(location) == [ENTRIES[0]]


def test_an_entry_that_never_got_its_name_is_forgotten(location: StoreLocation) -> None:
    held = Journal(location, files=Files()).begin(ENTRIES[0])
    held.leave()
    os.rename(held.path, held.path.replace("/journal-", "/.tmp-journal-"))
    assert left(location) == []
    assert names(location) == []


def test_files_of_other_names_are_not_looked_at(location: StoreLocation) -> None:
    folder = Path(location.graphroot, "storaged")
    folder.mkdir()
    for name in ("journal-1.json", "daemon.lock", "journal-" + "a" * 32 + ".json.old"):
        (folder / name).write_bytes(b"")
    assert not Journal(location, files=Files()).pending()
    assert left(location) == []
    assert len(names(location)) == 3


def test_a_store_that_was_never_written_has_no_journal(location: StoreLocation) -> None:
    journal = Journal(location, files=Files())
    assert not journal.pending()
    assert left(location) == []
    assert os.listdir(location.graphroot) == []
