"""What belongs to an overlay layer: only what the layer's own files and the link itself agree on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from storaged.store.drivers.contents import contents_of
from storaged.store.drivers.overlay import OverlayContents
from storaged.store.files import Files
from storaged.store.layout.records import LayerID
from storaged.store.tables import StoreLocation
from tests.support.files import FaultyFiles

LAYER = LayerID("a" * 64)
SHORT = "ABCDEFGHIJKLMNOPQRSTUVWX27"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "overlay"
    (home / LAYER / "diff").mkdir(parents=True)
    (home / "l").mkdir()
    (home / LAYER / "link").write_text(SHORT)
    (home / "l" / SHORT).symlink_to(f"../{LAYER}/diff")
    return home


def contents(home: Path) -> OverlayContents:
    return OverlayContents(str(home.parent), Files())


def test_a_layer_is_its_link_and_its_folder_in_the_order_they_go(home: Path) -> None:
    assert contents(home).short_name(LAYER) == SHORT
    assert contents(home).pieces(LAYER, SHORT) == (str(home / "l" / SHORT), str(home / LAYER))


def test_a_link_without_its_layer_is_still_the_layers(home: Path) -> None:
    (home / LAYER / "link").unlink()
    (home / LAYER / "diff").rmdir()
    (home / LAYER).rmdir()
    assert contents(home).short_name(LAYER) is None
    assert contents(home).pieces(LAYER, SHORT) == (str(home / "l" / SHORT), str(home / LAYER))


@pytest.mark.parametrize("text", ["", "../../etc", SHORT.lower(), SHORT + "A", SHORT[:-1], SHORT + "\n", "Ä" * 26])
def test_a_name_of_another_form_is_no_short_name(home: Path, text: str) -> None:
    (home / LAYER / "link").write_text(text)
    assert contents(home).short_name(LAYER) is None
    assert contents(home).pieces(LAYER, text) == (str(home / LAYER),)


def test_a_link_that_cannot_be_read_is_not_taken_for_another_layers(home: Path) -> None:
    with pytest.raises(OSError, match="l/"):
        OverlayContents(str(home.parent), FaultyFiles("readlink", error=errno.EIO)).pieces(LAYER, SHORT)


@pytest.mark.parametrize("kind", ["missing", "a file", "another layer's", "absolute"])
def test_a_link_that_does_not_point_to_the_layer_is_not_its_own(home: Path, kind: str) -> None:
    link = home / "l" / SHORT
    link.unlink()
    if kind == "a file":
        link.write_bytes(b"")
    elif kind != "missing":
        link.symlink_to(f"../{'b' * 64}/diff" if kind.startswith("another") else home / LAYER / "diff")
    assert contents(home).pieces(LAYER, SHORT) == (str(home / LAYER),)


@pytest.mark.parametrize("kind", ["link", "fifo", "folder", "large"])
def test_a_link_file_that_is_none_tells_nothing(home: Path, kind: str) -> None:
    file = home / LAYER / "link"
    file.unlink()
    if kind == "link":
        file.symlink_to("/etc/passwd")
    elif kind == "fifo":
        os.mkfifo(file)
    elif kind == "folder":
        file.mkdir()
    else:
        file.write_bytes(b"A" * 1000)
    assert contents(home).short_name(LAYER) is None


def test_every_partial_pull_has_its_lock_file(home: Path) -> None:
    assert list(contents(home).pulls()) == []
    (home / "staging" / "x").mkdir(parents=True)
    assert list(contents(home).pulls()) == [str(home / "staging" / "x" / "staging.lock")]


def test_the_driver_is_chosen_by_the_stores_name(home: Path) -> None:
    location = StoreLocation(graphroot=str(home.parent), runroot="/run", driver="overlay")
    found = contents_of(location, Files())
    assert (found.home, found.layers) == (str(home), str(home))
    assert found.staging == str(home / "tempdirs")
