"""Recovery: finishes what storaged began, undoes what it only prepared, and leaves everybody else's things alone."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storaged.metrics import Metrics
from storaged.store.changes import Change
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.layout.records import Digest, ImageID
from storaged.store.reader import StoreReader
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.entries import Creation, Deletion, EditedItem, Editing, Entry
from storaged.store.writing.journal import Journal
from storaged.store.writing.new_tables import ChangeRefused
from storaged.store.writing.preparing import LAYERS_AT_ONCE
from storaged.store.writing.recovery import Recovered, Recovery
from tests.support.trees import remove_tree
from tests.unit.store.holding import held_elsewhere

from .shop import Shop, nothing, opened


@pytest.fixture(params=["overlay", "vfs"])
def shop(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path, request.param) as shop:
        yield shop


@pytest.fixture
def overlay(tmp_path: Path) -> Iterator[Shop]:
    with opened(tmp_path, "overlay") as shop:
        yield shop


def recovery(shop: Shop, writer: StoreWriter, files: Files | None = None) -> Recovery:
    return Recovery(shop.location, writer, metrics=Metrics(), files=files)


def recovered(shop: Shop, files: Files | None = None, **more: Any) -> Recovered:
    writer = StoreWriter(shop.location, metrics=Metrics(), files=files)
    try:
        return recovery(shop, writer, files).run(**more)
    finally:
        writer.close()


def pending(shop: Shop) -> bool:
    writer = StoreWriter(shop.location, metrics=Metrics())
    try:
        return recovery(shop, writer).pending()
    finally:
        writer.close()


def died(shop: Shop, entry: Entry) -> None:
    """Leave an entry as a process that died leaves it."""
    Journal(shop.location, files=shop.files).begin(entry).leave()


def deletion_of(shop: Shop, **more: Any) -> Deletion:
    return Deletion(**{"images": (shop.image,), "layers": (shop.layer,), "staging": "4711"} | more)


def image_folder(shop: Shop, image: str) -> Path:
    return Path(paths.image_dir(shop.location.graphroot, shop.location.driver, ImageID(image)))


def layers(shop: Shop) -> set[str]:
    return {row.record.id for row in shop.tables().layers}


def test_a_sound_store_has_nothing_to_recover(shop: Shop) -> None:
    before = shop.everything()
    assert not pending(shop)
    assert recovered(shop) == Recovered(finished=0)
    assert shop.everything() == before


def test_a_deletion_that_died_before_its_commit_never_happened(shop: Shop) -> None:
    before, tables = shop.everything(), shop.tables()
    died(shop, deletion_of(shop))
    assert pending(shop)
    assert recovered(shop) == Recovered(finished=1)
    assert (shop.everything(), shop.tables()) == (before, tables)
    assert not pending(shop)


def test_a_deletion_that_died_after_its_commit_is_carried_to_its_end(shop: Shop) -> None:
    victims = shop.of_the_victims()
    before = shop.everything()
    shop.writer.remove_record(shop.image)
    died(shop, deletion_of(shop))
    assert recovered(shop) == Recovered(finished=1)
    assert shop.layer not in layers(shop)
    assert shop.everything() == before - victims
    assert recovered(shop) == Recovered(finished=0)


def test_staged_files_of_a_process_that_was_killed_are_removed(shop: Shop) -> None:
    victims, before = shop.of_the_victims(), shop.everything()
    program = (
        "import os, sys; from storaged.store.writing.deletion import LayerDeletion\n"
        "from storaged.store.files import Files; from storaged.metrics import Metrics\n"
        "from storaged.store.tables import StoreLocation\n"
        "root, run, driver, layer, image = sys.argv[1:]\n"
        "class Slow(Files):\n"
        "    def rmdir(self, path, *, dir_fd=None):\n"
        "        print('at work', flush=True); sys.stdin.read()\n"
        "location = StoreLocation(graphroot=root, runroot=run, driver=driver)\n"
        "deletion = LayerDeletion(location, (layer,), images=(image,), files=Slow(), metrics=Metrics())\n"
        "deletion.prepare(); deletion.stage(); deletion.finish(lambda *_: None, lambda: False)\n"
    )
    location = shop.location
    arguments = [location.graphroot, location.runroot, location.driver, shop.layer, shop.image]
    child = subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdin is not None
    try:
        assert child.stdout.readline() == "at work\n"
        _drop_records(shop)
        assert list(shop.staging.glob("temp-dir-*"))
        # While it lives it is left alone.
        assert recovered(shop) == Recovered(finished=0)
        assert list(shop.staging.glob("temp-dir-*"))
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdin.close()
        child.stdout.close()
    assert recovered(shop) == Recovered(finished=1)
    assert shop.everything() == before - victims
    assert list((shop.graphroot / "storaged").iterdir()) == []


def _drop_records(shop: Shop) -> None:
    """What the commit of the process that was killed had written before its files were removed."""
    table = Path(paths.layers_json(shop.location.graphroot, shop.location.driver))
    table.write_text(json.dumps([record for record in json.loads(table.read_text()) if record["id"] != shop.layer]))
    shop.writer.remove_record(shop.image)


def test_a_cancelled_deletion_is_finished_by_recovery(shop: Shop) -> None:
    victims, before = shop.of_the_victims(), shop.everything()
    deletion = shop.deletion()
    deletion.prepare()
    deletion.stage()
    _drop_records(shop)
    assert len(deletion.finish(nothing, lambda: True)) == 1
    assert recovered(shop) == Recovered(finished=1)
    assert shop.everything() == before - victims


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts need root")
def test_a_bind_mount_below_staged_files_of_a_dead_process_is_left_alone_and_named(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "kept").write_bytes(b"")
    deletion = shop.deletion()
    deletion.prepare()
    deletion.stage()
    deletion.abandon()
    _drop_records(shop)
    (point,) = shop.staging.glob(f"temp-dir-*/*-{shop.layer}")
    if subprocess.run(["mount", "--bind", tmp_path / "precious", point], capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    try:
        done = recovered(shop)
        assert (tmp_path / "precious" / "kept").exists()
    finally:
        subprocess.run(["umount", point], check=True)
    assert "unmount it" in done.left[0]
    assert recovered(shop) == Recovered(finished=1)


@pytest.mark.parametrize("later", [False, True])
def test_a_folder_that_one_deletion_made_and_another_used_goes_with_both(shop: Shop, later: bool) -> None:
    entries = (
        deletion_of(shop, images=(), layers=(), made=(f"{shop.location.driver}/tempdirs",)),
        deletion_of(shop, images=(), layers=(), staging="4712"),
    )
    for entry, digit in zip(entries, "10" if later else "01", strict=True):
        held = Journal(shop.location, files=shop.files).begin(entry)
        held.leave()
        os.rename(held.path, os.path.join(os.path.dirname(held.path), f"journal-{digit * 32}.json"))
    (shop.staging / "temp-dir-4712" / "0-x").mkdir(parents=True)
    assert recovered(shop) == Recovered(finished=2)
    assert not shop.staging.exists()


def test_a_layer_that_an_image_uses_since_stays(shop: Shop) -> None:
    shop.writer.add_image("on it", base=shop.image)
    before = layers(shop)
    shop.writer.remove_record(shop.image)
    died(shop, deletion_of(shop))
    assert recovered(shop) == Recovered(finished=1)
    assert layers(shop) == before
    assert shop.contents.exists()


def test_more_layers_than_one_commit_takes_go_in_several(shop: Shop) -> None:
    shop.writer.remove_record(shop.image)
    table = Path(paths.layers_json(shop.location.graphroot, shop.location.driver))
    more = [f"{number:064x}" for number in range(LAYERS_AT_ONCE)]
    records = [{"id": layer, "created": "2026-01-01T00:00:00Z"} for layer in more]
    table.write_text(json.dumps([*json.loads(table.read_text()), *records]))
    died(shop, deletion_of(shop, layers=(shop.layer, *more)))
    assert recovered(shop) == Recovered(finished=1)
    assert layers(shop).isdisjoint([shop.layer, *more])


def test_layers_of_a_pull_under_way_stay(shop: Shop) -> None:
    table = Path(paths.layers_json(shop.location.graphroot, shop.location.driver))
    earlier = table.read_text()
    writer = StoreWriter(shop.location, metrics=Metrics())
    reader = StoreReader(shop.location, metrics=Metrics())
    change = Change(removed=(shop.image,), layers=(shop.layer,))
    prepared = writer.prepare(change, reader.load().stamp)
    writer.commit(prepared, deadline=time.monotonic() + 5)
    writer.close()
    reader.close()
    # It died before it had removed the files; podman makes the layer once more, and the image comes later.
    prepared.deletion.abandon()
    records = json.loads(earlier)
    next(record for record in records if record["id"] == shop.layer)["created"] = "2026-02-03T04:05:06.123456789Z"
    table.write_text(json.dumps(records))
    shop.contents.mkdir()
    assert recovered(shop) == Recovered(finished=1)
    assert shop.layer in layers(shop)
    assert shop.contents.exists()


def test_files_without_a_record_go_and_those_with_one_stay(shop: Shop) -> None:
    stays = next(row.record.id for row in shop.tables().images if row.record.id != shop.image)
    folder = image_folder(shop, stays)
    shop.writer.remove_record(shop.image)
    image_folder(shop, shop.image).mkdir()
    died(shop, deletion_of(shop, images=(shop.image, stays), layers=()))
    assert recovered(shop) == Recovered(finished=1)
    assert not image_folder(shop, shop.image).exists()
    assert folder.exists()


def test_a_link_whose_layer_is_gone_with_the_power_goes_too(overlay: Shop) -> None:
    short = (overlay.contents / "link").read_text()
    link = overlay.graphroot / "overlay" / "l" / short
    _drop_records(overlay)
    remove_tree(overlay.contents)
    died(overlay, deletion_of(overlay, links={overlay.layer: short}))
    assert recovered(overlay) == Recovered(finished=1)
    assert not link.is_symlink()


def test_nothing_is_removed_for_want_of_a_record_where_the_table_is_lost(shop: Shop) -> None:
    before = shop.everything()
    table = Path(paths.images_json(shop.location.graphroot, shop.location.driver))
    table.write_bytes(b"")
    died(shop, deletion_of(shop))
    (why,) = recovered(shop).left
    assert "images.json" in why
    assert shop.everything() == before
    assert pending(shop)


@pytest.mark.parametrize(
    ("kind", "content"), [("layers", None), ("layers", b""), ("containers", b"")], ids=["no layers", "", "containers"]
)
def test_nothing_is_removed_where_the_table_that_says_what_needs_it_is_lost(
    shop: Shop, kind: str, content: bytes | None
) -> None:
    shop.writer.remove_record(shop.image)
    before = shop.everything()
    path = {"layers": paths.layers_json, "containers": paths.containers_json}[kind]
    table = Path(path(shop.location.graphroot, shop.location.driver))
    earlier = table.read_bytes()
    table.unlink() if content is None else table.write_bytes(content)
    died(shop, deletion_of(shop))
    (why,) = recovered(shop).left
    assert table.name in why
    table.write_bytes(earlier)
    assert shop.everything() == before
    assert recovered(shop) == Recovered(finished=1)
    assert shop.layer not in layers(shop)


def test_nothing_is_removed_for_want_of_a_record_where_one_cannot_be_read(shop: Shop) -> None:
    before = shop.everything()
    table = Path(paths.images_json(shop.location.graphroot, shop.location.driver))
    records = json.loads(table.read_text())
    records[0]["names"] = 7
    table.write_text(json.dumps([record for record in records if record["id"] != shop.image]))
    died(shop, deletion_of(shop))
    assert len(recovered(shop).left) == 1
    assert shop.everything() == before


def test_a_layer_that_is_mounted_now_stays_with_its_entry_and_the_reason(shop: Shop) -> None:
    shop.writer.remove_record(shop.image)
    died(shop, deletion_of(shop))
    shop.mount_counts.write_text(json.dumps([{"id": shop.layer, "path": "/mnt/x", "count": 1}]))
    (why,) = recovered(shop).left
    assert "/mnt/x" in why
    assert shop.layer in layers(shop)
    shop.mount_counts.unlink()
    assert recovered(shop) == Recovered(finished=1)
    assert shop.layer not in layers(shop)


def test_one_entry_that_cannot_be_finished_stops_no_other(shop: Shop) -> None:
    shop.writer.remove_record(shop.image)
    died(shop, deletion_of(shop))
    died(shop, deletion_of(shop, images=(), layers=()))
    unknown = shop.graphroot / "storaged" / f"journal-{'0' * 32}.json"
    unknown.write_text('{"kind":"of a later version"}')
    report = recovered(shop)
    assert report.finished == 2
    (why,) = report.left
    assert str(unknown) in why
    assert unknown.exists()


class _Contradicted(StoreWriter):
    """Finds a mistake of ours in every change."""

    def prepare(self, *args: Any, **more: Any) -> Any:
        raise ChangeRefused("image x stays and needs layer y")


def test_an_entry_that_a_mistake_of_ours_hinders_stays_and_ends_nothing(shop: Shop) -> None:
    shop.writer.remove_record(shop.image)
    died(shop, deletion_of(shop))
    died(shop, deletion_of(shop, images=(), layers=()))
    writer = _Contradicted(shop.location, metrics=Metrics())
    try:
        report = recovery(shop, writer).run()
    finally:
        writer.close()
    assert report.finished == 1
    (why,) = report.left
    assert "image x stays" in why
    assert recovered(shop) == Recovered(finished=1)


def _escapes(outside: Path, shop: Shop) -> list[dict[str, Any]]:
    """Entries that this program never wrote, whose names lead out of the folders they are names in."""
    out = os.path.relpath(outside, image_folder(shop, "x").parent)
    return [
        {"kind": "creation", "images": [out]},
        {"kind": "deletion", "layers": [os.path.relpath(outside, shop.contents.parent)], "staging": "1"},
        {"kind": "deletion", "images": [out], "staging": "1"},
        {"kind": "deletion", "containers": [out], "staging": "1"},
        {"kind": "deletion", "staging": os.path.join("1", os.path.relpath(outside, shop.staging / "temp-dir-1"))},
        {"kind": "editing", "image": out, "members": {}, "items": [_item("manifest", "precious")]},
        {"kind": "editing", "image": shop.image, "members": {}, "items": [_item("manifest", "images.json")]},
        {"kind": "editing", "image": shop.image, "members": {}, "items": [_item("", f".tmp-m-storaged-{'0' * 41}")]},
    ]


def _item(key: str, temporary: str) -> dict[str, str]:
    return {"key": key, "temporary": temporary, "digest": f"sha256:{'0' * 64}"}


@pytest.mark.parametrize("number", range(8))
def test_an_entry_whose_names_lead_elsewhere_is_not_obeyed(shop: Shop, tmp_path: Path, number: int) -> None:
    outside = tmp_path / "outside"
    (outside / "diff").mkdir(parents=True)
    (outside / "precious").write_text("")
    (shop.staging / "temp-dir-1").mkdir(parents=True)
    folder = shop.graphroot / "storaged"
    folder.mkdir(exist_ok=True)
    shop.writer.remove_record(shop.image)
    (folder / f"journal-{'0' * 32}.json").write_text(json.dumps(_escapes(outside, shop)[number]))
    image_folder(shop, shop.image).mkdir(exist_ok=True)
    (image_folder(shop, shop.image) / "images.json").write_text("")
    before = shop.everything()
    done = recovered(shop)
    assert done.finished == 0
    assert "cannot be read" in done.left[0]
    assert shop.everything() == before
    assert (outside / "precious").exists()


def test_a_cancelled_recovery_leaves_the_rest_for_the_next(shop: Shop) -> None:
    shop.writer.remove_record(shop.image)
    died(shop, deletion_of(shop))
    report = recovered(shop, cancelled=lambda: True)
    assert report.finished == 0
    assert "cancelled" in report.left[0]
    assert recovered(shop) == Recovered(finished=1)


def test_the_leftovers_of_other_tools_are_never_touched(shop: Shop) -> None:
    driver = shop.location.driver
    shop.writer.remove_record(shop.image)
    foreign = [
        shop.staging / "temp-dir-1" / "0-layer",
        shop.staging / "lock-1",
        shop.graphroot / f"{driver}-layers" / "tmp" / "temp-dir-4712" / "0-x",
        shop.graphroot / f"{driver}-images" / ".tmp-images.json123456",
        shop.graphroot / f"{driver}-images" / ".tmp-images.json-storaged-but-not-ours",
        shop.graphroot / f"{driver}-images" / ("e" * 64) / "manifest",
        Path(paths.layer_contents(shop.location.graphroot, driver, shop.layer)).with_name("e" * 64) / "diff",
        shop.graphroot / f"{driver}-layers" / f"{'e' * 64}.tar-split.gz",
    ]
    for path in foreign:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    died(shop, deletion_of(shop, made=(f"{driver}/tempdirs", "..", "../../elsewhere")))
    assert recovered(shop) == Recovered(finished=1)
    assert [path for path in foreign if not path.exists()] == []


def test_tables_that_were_never_put_in_their_places_are_removed(shop: Shop) -> None:
    driver = shop.location.driver
    ours = [
        shop.graphroot / f"{driver}-{kind}" / f".tmp-{kind}.json-storaged-{'a' * 32}-0123abcd"
        for kind in ("images", "layers", "containers")
    ]
    for path in ours:
        path.write_bytes(b"[]")
    assert pending(shop)
    assert recovered(shop) == Recovered(finished=0)
    assert [path for path in ours if path.exists()] == []


def test_an_image_that_was_being_made_leaves_no_folder(shop: Shop) -> None:
    made = ImageID("d" * 64)
    image_folder(shop, made).mkdir()
    (image_folder(shop, made) / "manifest").write_bytes(b"{}")
    died(shop, Creation(images=(made, shop.image)))
    assert recovered(shop) == Recovered(finished=1)
    assert not image_folder(shop, made).exists()
    assert image_folder(shop, shop.image).exists()


def test_an_image_that_was_made_after_all_keeps_its_data_without_what_died_beside_it(shop: Shop) -> None:
    folder = image_folder(shop, shop.image)
    before = shop.everything()
    (folder / f".tmp-manifest-storaged-{'0' * 32}-{'1' * 8}").write_bytes(b"")
    (folder / ".tmp-manifest123").write_bytes(b"")
    died(shop, Creation(images=(shop.image,)))
    assert recovered(shop) == Recovered(finished=1)
    assert shop.everything() == before | {os.path.relpath(folder / ".tmp-manifest123", shop.graphroot)}


def test_the_first_image_of_a_store_may_have_died_before_there_was_a_table(shop: Shop) -> None:
    for image in [row.record.id for row in shop.tables().images]:
        shop.writer.remove_record(image)
    Path(paths.images_json(shop.location.graphroot, shop.location.driver)).unlink()
    made = ImageID("d" * 64)
    image_folder(shop, made).mkdir()
    died(shop, Creation(images=(made,)))
    assert recovered(shop) == Recovered(finished=1)
    assert not image_folder(shop, made).exists()


# -------------------------------------------------------------- edits of lists


def digest(data: bytes) -> Digest:
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


class Edit:
    """A list, and new bytes for two of its items in temporary files beside them."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.list = ImageID(shop.writer.create_list("localhost/list:1", [shop.image]))
        self.folder = image_folder(shop, self.list)
        index = json.loads((self.folder / "manifest").read_bytes())
        index["annotations"] = {"a": "b"}
        self.old = {key: (self.folder / key).read_bytes() for key in ("instances.json", "manifest")}
        self.new = {"instances.json": self.old["instances.json"] + b" ", "manifest": json.dumps(index).encode()}
        self.temporaries = {
            key: self.folder / f".tmp-{key}-storaged-{'a' * 32}-0123abc{n}" for n, key in enumerate(self.new)
        }
        for key, data in self.new.items():
            self.temporaries[key].write_bytes(data)
        items = tuple(
            EditedItem(
                key=key,
                temporary=os.path.relpath(self.temporaries[key], shop.graphroot),
                digest=digest(data),
                before=digest(self.old[key]),
            )
            for key, data in self.new.items()
        )
        died(shop, Editing(image=self.list, members={"big-data-names": ["wrong"]}, items=items))

    def publish(self, *keys: str) -> None:
        for key in keys:
            self.temporaries[key].rename(self.folder / key)

    def lies(self) -> dict[str, bytes]:
        return {key: (self.folder / key).read_bytes() for key in self.new}

    def recorded(self) -> dict[str, str]:
        record = next(row.record for row in self.shop.tables().images if row.record.id == self.list)
        assert record.big_data_digests is not None
        return {key: record.big_data_digests[key] for key in self.new}

    def left(self) -> list[str]:
        return [path.name for path in self.folder.iterdir() if path.name.startswith(".tmp-")]


@pytest.fixture
def edit(overlay: Shop) -> Edit:
    return Edit(overlay)


def test_an_edit_of_which_nothing_is_in_its_place_never_happened(edit: Edit) -> None:
    assert recovered(edit.shop) == Recovered(finished=1)
    assert edit.lies() == edit.old
    assert edit.recorded() == {key: digest(data) for key, data in edit.old.items()}
    assert edit.left() == []


@pytest.mark.parametrize("published", [("instances.json",), ("instances.json", "manifest")])
def test_an_edit_that_died_among_its_files_is_carried_to_its_end(edit: Edit, published: tuple[str, ...]) -> None:
    edit.publish(*published)
    assert recovered(edit.shop) == Recovered(finished=1)
    assert edit.lies() == edit.new
    assert edit.recorded() == {key: digest(data) for key, data in edit.new.items()}
    assert edit.left() == []
    record = next(row.record for row in edit.shop.tables().images if row.record.id == edit.list)
    assert record.names == ("localhost/list:1",)
    assert record.digest == digest(edit.new["manifest"])


def test_an_edit_is_carried_on_beside_names_that_were_given_since(edit: Edit) -> None:
    edit.publish("instances.json")
    edit.shop.writer.set_names(edit.list, ["localhost/other:1"])
    assert recovered(edit.shop) == Recovered(finished=1)
    record = next(row.record for row in edit.shop.tables().images if row.record.id == edit.list)
    assert record.names == ("localhost/other:1",)
    assert edit.recorded()["manifest"] == digest(edit.new["manifest"])


def test_an_edit_that_gives_names_takes_none_that_were_given_since(edit: Edit) -> None:
    edit.publish("instances.json")
    (path,) = edit.shop.journal()
    entry = json.loads(path.read_text())
    entry["members"]["names"] = ["localhost/taken:1", "localhost/free:1", "localhost/list:1"]
    path.write_text(json.dumps(entry))
    edit.shop.writer.set_names(edit.list, ["localhost/list:1", "localhost/other:1"])
    edit.shop.writer.set_names(edit.shop.image, ["localhost/taken:1"])
    assert recovered(edit.shop) == Recovered(finished=1)
    names = {row.record.id: row.record.names for row in edit.shop.tables().images}
    assert names[edit.list] == ("localhost/free:1", "localhost/list:1", "localhost/other:1")
    assert names[edit.shop.image] == ("localhost/taken:1",)


def test_a_list_that_was_removed_since_is_not_made_again(edit: Edit) -> None:
    edit.publish("instances.json")
    edit.shop.writer.remove_record(edit.list)
    assert recovered(edit.shop) == Recovered(finished=1)
    assert not edit.folder.exists()


def test_an_edit_whose_bytes_are_lost_is_given_up_and_the_list_stays_evidence(edit: Edit) -> None:
    edit.publish("instances.json")
    edit.temporaries["manifest"].write_bytes(b"torn")
    assert recovered(edit.shop) == Recovered(finished=1)
    assert edit.lies()["manifest"] == edit.old["manifest"]
    assert edit.left() == []
    assert not pending(edit.shop)


def test_recovery_waits_for_a_writer_at_work(edit: Edit) -> None:
    edit.publish("instances.json")
    lock = paths.images_lock(edit.shop.location.graphroot, "overlay")
    with held_elsewhere(lock) as writer:
        assert writer.stdin is not None
        threading.Timer(0.2, writer.stdin.close).start()
        assert recovered(edit.shop) == Recovered(finished=1)
        assert writer.stdin.closed
    assert edit.lies() == edit.new
