"""A store that is not there: whether it can be made, and what is made."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from storaged.store.files import Files
from storaged.store.tables import StoreLocation
from storaged.store.writing.create_store import can_be_made, make_store
from storaged.store.writing.preconditions import refusal
from tests.support.files import FaultyFiles


def location(tmp_path: Path) -> StoreLocation:
    return StoreLocation(graphroot=str(tmp_path / "a" / "b" / "root"), runroot=str(tmp_path / "run"), driver="overlay")


def test_a_store_is_folders_for_their_owner_alone_and_nothing_else(tmp_path: Path) -> None:
    store = location(tmp_path)
    before = refusal(store, Files())
    assert before is not None
    assert before.data["missing"]
    for _ in range(2):
        make_store(store, Files())
    root = Path(store.graphroot)
    assert sorted(path.name for path in root.rglob("*")) == ["overlay-containers", "overlay-images", "overlay-layers"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in (root.parent, root, *root.iterdir())} == {0o700}
    assert refusal(store, Files()) is None


def test_it_can_be_made_where_nothing_is_and_the_folder_above_is_ours(tmp_path: Path) -> None:
    assert can_be_made(str(tmp_path / "a" / "b"))
    assert not can_be_made(str(tmp_path / "a" / "b"), FaultyFiles("access", after=lambda *_: False))
    assert not can_be_made(str(tmp_path))
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    assert not can_be_made(str(tmp_path / "file" / "root"))
    assert not can_be_made(str(tmp_path / "link"))


def test_a_link_that_leads_nowhere_is_not_followed(tmp_path: Path) -> None:
    store = location(tmp_path)
    os.symlink(tmp_path / "elsewhere", tmp_path / "a")
    with pytest.raises(OSError):
        make_store(store, Files())
    assert not (tmp_path / "elsewhere").exists()
