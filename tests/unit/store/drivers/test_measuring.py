"""Which folder is measured, for each driver and store; podman itself is asked in ``tests/interop``."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from storaged.store.drivers.counting import Missing, Steps, Uncountable
from storaged.store.drivers.measuring import Measurer
from storaged.store.layout.records import ContainerID, LayerID, LayerRecord
from storaged.store.tables import LayerRow, StoreLocation


def total(steps: Steps) -> int:
    while True:
        try:
            next(steps)
        except StopIteration as done:
            return int(done.value)


def row(layer: str, parent: str | None = None, store: int = 0) -> LayerRow:
    return LayerRow(record=LayerRecord(id=LayerID(layer), parent=LayerID(parent) if parent else None), store=store)


def location(tmp_path: Path, driver: str) -> StoreLocation:
    return StoreLocation(
        graphroot=str(tmp_path / "g"),
        runroot=str(tmp_path / "r"),
        driver=driver,
        additional=(str(tmp_path / "more"),),
        image_store=str(tmp_path / "split"),
    )


def put(path: Path, size: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    os.utime(path, (5, 5))


def test_an_overlay_layer_is_its_diff_folder_wherever_the_layer_lies(tmp_path: Path) -> None:
    for root, layer, size in (("g", "a", 1), ("split", "b", 2), ("more", "c", 4)):
        put(tmp_path / root / "overlay" / layer / "diff" / "f", size)
        put(tmp_path / root / "overlay" / layer / "work" / "f", 100)
    measurer = Measurer(location(tmp_path, "overlay"))
    assert [total(measurer.layer(each)) for each in (row("a"), row("b"), row("c", store=1))] == [1, 2, 4]
    with pytest.raises(Missing):
        total(measurer.layer(row("d")))


def test_a_vfs_layer_is_what_its_parent_does_not_have(tmp_path: Path) -> None:
    folder = tmp_path / "g" / "vfs" / "dir"
    for layer in ("base", "top"):
        put(folder / layer / "old", 50)
    put(folder / "top" / "new", 7)
    measurer = Measurer(location(tmp_path, "vfs"))
    assert total(measurer.layer(row("base"))) == 50
    assert total(measurer.layer(row("top", "base"))) == 7
    with pytest.raises(Uncountable, match="missing"):
        total(measurer.layer(row("top", "gone")))


@pytest.mark.parametrize("layer", ["..", ".", "a/b", "../../etc", "a\0b"])
def test_an_id_that_is_no_name_leads_nowhere(tmp_path: Path, layer: str) -> None:
    put(tmp_path / "g" / "overlay" / "diff" / "f", 9)
    with pytest.raises(Uncountable, match="not a folder name"):
        total(Measurer(location(tmp_path, "overlay")).layer(row(layer)))


def test_other_drivers_are_not_measured(tmp_path: Path) -> None:
    with pytest.raises(Uncountable, match="btrfs"):
        total(Measurer(location(tmp_path, "btrfs")).layer(row("a")))


def test_a_container_is_what_tools_keep_in_its_two_folders(tmp_path: Path) -> None:
    folders = [tmp_path / root / "overlay-containers" / "c" for root in ("g", "r")]
    measurer = Measurer(location(tmp_path, "overlay"))
    container = ContainerID("c")
    assert total(measurer.container(container)) == 0
    put(folders[0] / "userdata" / "log", 11)
    put(folders[0] / "userdata" / "more" / "f", 5)
    os.link(folders[0] / "userdata" / "log", folders[0] / "userdata" / "again")
    put(folders[0] / "big-data", 100)
    assert total(measurer.container(container)) == 16
    put(folders[1] / "userdata" / "pid", 2)
    assert total(measurer.container(container)) == 18
    with pytest.raises(Uncountable):
        total(measurer.container(ContainerID("../c")))


def test_volumes_are_the_folders_that_hold_data(tmp_path: Path) -> None:
    measurer = Measurer(location(tmp_path, "overlay"))
    assert measurer.volumes() is None
    put(tmp_path / "g" / "volumes" / "v" / "_data" / "f", 11)
    put(tmp_path / "g" / "volumes" / "w" / "other", 5)
    put(tmp_path / "g" / "volumes" / "file", 5)
    assert measurer.volumes() == ("v",)
    assert total(measurer.volume("v")) == 11
    with pytest.raises(Missing):
        total(measurer.volume("x"))
