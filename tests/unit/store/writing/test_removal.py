"""Records, layers and their files go in one change, in an order that survives a crash anywhere."""

import json
import os
import time
from pathlib import Path

import pytest

from storaged.store.changes import Change
from storaged.store.files import Files
from storaged.store.layout import paths
from storaged.store.layout.records import ContainerID, ImageID, LayerID
from storaged.store.layout.table import split
from storaged.store.locks.token import TOKEN_SIZE
from storaged.store.writing.new_tables import ChangeRefused
from storaged.store.writing.prepared import PlanOutdated
from storaged.store.writing.preparing import LAYERS_AT_ONCE
from storaged_client.contract.errors import StoreBusy, StoreCorrupt
from tests.support.disk import hexes
from tests.unit.store.holding import held_elsewhere

from .workshop import Workshop, opened


def table(shop: Workshop, kind: str) -> list[bytes]:
    path = {"images": paths.images_json, "layers": paths.layers_json, "containers": paths.containers_json}[kind](
        shop.location.graphroot, shop.location.driver
    )
    with open(path, "rb") as file:
        return split(file.read(), file=path)


def free(shop: Workshop) -> Change:
    """The removal of an image without children and containers, with the layers that nothing else needs."""
    tables = shop.load().tables
    parents = {row.record.id: row.record.parent for row in tables.layers}
    held = {row.record.layer for row in tables.containers}
    for victim in [row.record for row in tables.images if row.record.layer]:
        if any(row.record.image == victim.id for row in tables.containers):
            continue
        tops = {row.record.layer for row in tables.images if row.record.id != victim.id}
        chain: list[LayerID] = []
        at = victim.layer
        while at and at not in tops | held and not any(p == at and c not in chain for c, p in parents.items()):
            chain.append(at)
            at = parents[at]
        if chain:
            return Change(removed=(victim.id,), layers=tuple(chain))
    raise LookupError


def files_of(shop: Workshop, change: Change) -> list[str]:
    root, driver = shop.location.graphroot, shop.location.driver
    found = [paths.layer_contents(root, driver, layer) for layer in change.layers]
    found += [paths.tar_split(root, driver, layer) for layer in change.layers]
    return [*found, *[paths.image_dir(root, driver, image) for image in change.removed]]


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_an_image_goes_with_its_layers_and_files_and_all_else_keeps_its_bytes(tmp_path, driver) -> None:
    with opened(tmp_path, contents="files", driver=driver, containers=3) as shop:
        change = free(shop)
        gone = [*change.removed, *change.layers]
        before = {kind: table(shop, kind) for kind in ("images", "layers", "containers")}
        assert all(os.path.exists(path) for path in files_of(shop, change))
        others = {name: data for name, data in shop.everything().items() if not any(i in name for i in gone)}
        committed = shop.apply(change)
        for kind, raws in before.items():
            assert table(shop, kind) == [raw for raw in raws if not any(f'"id":"{i}"'.encode() in raw for i in gone)]
        assert not any(os.path.exists(path) for path in files_of(shop, change))
        after = shop.everything()
        assert {name: after[name] for name in others if not name.endswith(".json")} == {
            name: data for name, data in others.items() if not name.endswith(".json")
        }
        assert shop.leftovers() == []
        adopted = shop.reader.adopt(committed.stamp, committed.written)
        assert adopted is None or adopted.tables == shop.load().tables


def test_a_container_goes_with_its_layer(tmp_path) -> None:
    with opened(tmp_path, contents="files", containers=3) as shop:
        container = next(row.record for row in shop.load().tables.containers if row.record.layer)
        change = Change(containers=(container.id,), layers=(container.layer,))
        shop.apply(change)
        tables = shop.load().tables
        assert container.id not in {row.record.id for row in tables.containers}
        assert container.layer not in {row.record.id for row in tables.layers}
        assert shop.leftovers() == []


def test_no_table_without_a_victim_is_written(tmp_path) -> None:
    with opened(tmp_path, contents="files") as shop:
        victim = next(row.record.id for row in shop.load().tables.images if not row.record.layer)
        committed = shop.apply(Change(removed=(victim,)))
        assert list(committed.written) == [str(shop.images_json)]
        assert victim not in shop.images()


@pytest.mark.parametrize("kind", ["layers", "images", "containers"])
def test_all_three_locks_are_held_for_a_removal(tmp_path, kind) -> None:
    with opened(tmp_path) as shop:
        victim = next(row.record.id for row in shop.load().tables.images if not row.record.layer)
        prepared = shop.writer.prepare(Change(removed=(victim,)), shop.load().stamp)
        name = getattr(paths, f"{kind}_lock")(shop.location.graphroot, "overlay")
        with held_elsewhere(name, "read"):
            with pytest.raises(StoreBusy) as refused:
                shop.writer.commit(prepared, deadline=time.monotonic() + 0.05)
            assert refused.value.data["lock"] == name
            # Read beside the holder: when it ends, the place in the queue that we left has the lock for a moment, and a
            # writer is then at work.
            assert victim in shop.images()
            assert shop.leftovers() == []


def test_a_container_that_came_in_between_is_a_lost_race(tmp_path) -> None:
    with opened(tmp_path, contents="files", containers=2) as shop:
        change = free(shop)
        prepared = shop.writer.prepare(change, shop.load().stamp)
        raw = table(shop, "containers")[0]
        path = paths.containers_json(shop.location.graphroot, "overlay")
        with open(path + ".new", "wb") as file:
            file.write(b"[" + raw + b"]")
        os.rename(path + ".new", path)
        with pytest.raises(PlanOutdated):
            shop.writer.commit(prepared, deadline=time.monotonic() + 5)
        assert all(os.path.exists(path) for path in files_of(shop, change))
        assert shop.leftovers() == []


@pytest.mark.parametrize("kind", ["layers", "containers"])
def test_nothing_is_removed_beside_a_table_that_was_emptied(tmp_path, kind) -> None:
    with opened(tmp_path, containers=3) as shop:
        change = free(shop)
        path = {"layers": paths.layers_json, "containers": paths.containers_json}[kind]
        Path(path(shop.location.graphroot, shop.location.driver)).write_bytes(b"")
        with pytest.raises(StoreCorrupt, match="were lost"):
            shop.writer.prepare(change, shop.load().stamp)
        assert shop.leftovers() == []


@pytest.mark.parametrize(
    ("kind", "member"),
    [("layers", "parent"), ("images", "layer"), ("images", "mapped-layers"), ("containers", "layer")],
)
def test_nothing_is_removed_where_other_tools_read_a_relation_that_is_not_read_here(tmp_path, kind, member) -> None:
    with opened(tmp_path, containers=3) as shop:
        change = free(shop)
        path = {"layers": paths.layers_json, "images": paths.images_json, "containers": paths.containers_json}[kind]
        table = Path(path(shop.location.graphroot, shop.location.driver))
        records = json.loads(table.read_text())
        wanted = [change.layers[0]] if member == "mapped-layers" else change.layers[0]
        other = {**records[-1], "id": "e" * 64, "names": []} | {member.title(): wanted}
        other.pop(member, None)
        table.write_text(json.dumps([*records, other]))
        before = shop.everything()
        with pytest.raises(StoreCorrupt, match="unusual letter case"):
            shop.writer.prepare(change, shop.load().stamp)
        assert shop.everything() == before


def test_what_anything_that_stays_needs_is_never_removed(tmp_path) -> None:
    with opened(tmp_path, containers=3) as shop:
        tables = shop.load().tables
        parent = next(row.record.parent for row in tables.layers if row.record.parent)
        top = next(row.record.layer for row in tables.images if row.record.layer)
        used = next(row.record.image for row in tables.containers if row.record.image in shop.images())
        held = next(row.record.layer for row in tables.containers if row.record.layer)
        for change in (
            Change(layers=(parent,)),
            Change(layers=(top,)),
            Change(layers=(held,)),
            Change(removed=(ImageID(used),)),
            Change(layers=(LayerID(hexes(1)),)),
            Change(containers=(ContainerID(hexes(1)),)),
        ):
            with pytest.raises(ChangeRefused):
                shop.writer.prepare(change, shop.load().stamp)
        with pytest.raises(ChangeRefused, match="more than"):
            shop.writer.prepare(
                Change(layers=tuple(LayerID(hexes(n)) for n in range(LAYERS_AT_ONCE + 1))), shop.load().stamp
            )
        assert shop.leftovers() == []


class _Recording(Files):
    """The calls that matter for the order on disk; ``limit`` is the number of the first that fails."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.watching = False
        self.limit: int | None = None
        self._paths: dict[int, str] = {}

    def _note(self, call: str, path: str) -> None:
        if not self.watching:
            return
        if self.limit is not None and len(self.calls) >= self.limit:
            raise OSError(5, "Input/output error", path)
        self.calls.append((call, path))

    def open(self, path: str, flags: int, mode: int = 0o600, *, dir_fd: int | None = None) -> int:
        fd = super().open(path, flags, mode, dir_fd=dir_fd)
        self._paths[fd] = path
        return fd

    def fsync(self, fd: int) -> None:
        self._note("fsync", self._paths[fd])
        super().fsync(fd)

    def pwrite(self, fd: int, data: bytes, offset: int) -> int:
        if len(data) == TOKEN_SIZE:
            self._note("token", self._paths[fd])
        return super().pwrite(fd, data, offset)

    def rename(self, source: str, target: str) -> None:
        self._note("rename", target)
        super().rename(source, target)


def test_the_order_on_disk_is_images_flagged_layers_files_layers(tmp_path) -> None:
    files = _Recording()
    with opened(tmp_path, files=files, contents="files") as shop:
        change = free(shop)
        prepared = shop.writer.prepare(change, shop.load().stamp)
        files.watching = True
        committed = shop.writer.commit(prepared, deadline=time.monotonic() + 5)
        files.watching = False
        shop.writer.finish(committed)
        root = shop.location.graphroot
        images, layers = paths.images_json(root, "overlay"), paths.layers_json(root, "overlay")
        images_token = ("token", paths.images_lock(root, "overlay"))
        layers_token = ("token", paths.layers_lock(root, "overlay"))
        told = [call for call in files.calls if call[1] in (images, layers) or call[0] == "token"]
        assert told == [
            images_token,
            ("rename", images),
            layers_token,
            ("rename", layers),
            layers_token,
            ("rename", layers),
        ]
        first, last = [at for at, call in enumerate(files.calls) if call == ("rename", layers)]
        assert ("fsync", os.path.dirname(images)) in files.calls[:first]
        assert files.calls[first + 1] == ("fsync", os.path.dirname(layers))
        moved = [target for call, target in files.calls[first:last] if call == "rename"]
        assert len(moved) > 2 * len(change.layers)


def test_a_removal_that_breaks_off_anywhere_leaves_a_state_that_others_finish(tmp_path) -> None:
    """No image without its layers, no layer whose files went while it counts as whole, at whatever call it ends."""
    limit = 0
    while True:
        files = _Recording()
        with opened(tmp_path / str(limit), files=files, contents="files") as shop:
            change = free(shop)
            prepared = shop.writer.prepare(change, shop.load().stamp)
            files.watching, files.limit = True, limit
            try:
                shop.writer.commit(prepared, deadline=time.monotonic() + 5)
            except OSError:
                pass
            else:
                assert limit > 8
                return
            files.watching = False
            tables = shop.load().tables
            assert not tables.flaws
            whole = {row.record.id for row in tables.layers if not row.record.incomplete}
            for row in tables.images:
                assert not row.record.layer or row.record.layer in whole
            for layer in change.layers:
                if layer in whole:
                    assert os.path.isdir(os.path.join(paths.layer_contents(shop.location.graphroot, "overlay", layer)))
            journal = [path for path in shop.leftovers() if "journal-" in path]
            if change.removed[0] in {row.record.id for row in tables.images}:
                assert shop.leftovers() == []
            else:
                assert len(journal) == 1
            assert [path for path in shop.leftovers() if "-storaged-" in path] == []
        limit += 1
