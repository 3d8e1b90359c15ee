"""What belongs to a vfs layer: one folder."""

from __future__ import annotations

from pathlib import Path

from storaged.store.drivers.contents import contents_of
from storaged.store.files import Files
from storaged.store.layout.records import LayerID
from storaged.store.tables import StoreLocation

LAYER = LayerID("a" * 64)


def test_a_layer_is_its_folder_and_nothing_copies_out_of_it(tmp_path: Path) -> None:
    found = contents_of(StoreLocation(graphroot=str(tmp_path), runroot="/run", driver="vfs"), Files())
    assert found.short_name(LAYER) is None
    assert found.pieces(LAYER, None) == (str(tmp_path / "vfs" / "dir" / LAYER),)
    assert found.staging == str(tmp_path / "vfs" / "tempdirs")
    assert found.layers == str(tmp_path / "vfs" / "dir")
    assert list(found.pulls()) == []
