"""A clean store has no finding, and a check of any store leaves no trace."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from storaged.sample import SHAPES, SampleSpec, Shape, write_store
from storaged.store.checking.walk import Scope, walk
from storaged.store.tables import StoreLocation
from tests.support.damaged import Damaged, everything, lay


@pytest.mark.parametrize("driver", ["overlay", "vfs"])
@pytest.mark.parametrize("shape", SHAPES)
def test_a_clean_store_has_no_finding(tmp_path: Path, shape: Shape, driver: Literal["overlay", "vfs"]) -> None:
    spec = SampleSpec(images=30, seed=11, shape=shape, driver=driver, contents="files", containers=4)
    write_store(tmp_path / "root", tmp_path / "run", spec)
    store = Damaged(
        location=StoreLocation(graphroot=str(tmp_path / "root"), runroot=str(tmp_path / "run"), driver=driver)
    )
    assert store.check("contents") == []


def test_a_clean_store_with_an_additional_one_has_no_finding(tmp_path: Path) -> None:
    assert lay(tmp_path, "overlay", read_only=8).check("contents") == []


def test_a_store_that_does_not_exist_has_no_finding_and_is_not_made(tmp_path: Path) -> None:
    location = StoreLocation(graphroot=str(tmp_path / "root"), runroot=str(tmp_path / "run"), driver="overlay")
    steps = list(walk(location, scope="contents"))
    assert [each for step in steps for each in step.findings] == []
    assert steps[-1].resume is None
    assert list(tmp_path.iterdir()) == []


def test_layers_that_were_never_written_are_told_each(tmp_path: Path) -> None:
    spec = SampleSpec(images=20, seed=2, contents="none")
    write_store(tmp_path / "root", tmp_path / "run", spec)
    store = Damaged(
        location=StoreLocation(graphroot=str(tmp_path / "root"), runroot=str(tmp_path / "run"), driver="overlay")
    )
    found = store.check("files")
    assert {each.name for each in found} == {"layer_directory_missing"}
    assert {each.id for each in found} == {record["id"] for record in store.records("layers")}


@pytest.mark.parametrize("scope", ["records", "files", "contents"])
@pytest.mark.parametrize("driver", ["overlay", "vfs"])
def test_a_check_changes_nothing_but_access_times(
    tmp_path: Path, driver: Literal["overlay", "vfs"], scope: Scope
) -> None:
    store = lay(tmp_path, driver, read_only=4)
    store.item(store.image["id"], "manifest").unlink()
    store.contents("a" * 64).mkdir()
    before = everything(tmp_path)
    store.check(scope)
    assert everything(tmp_path) == before
