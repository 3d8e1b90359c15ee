"""The checks of a store's files tell each thing that is wrong (see ``written_store``)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.should_be import Entry, Known, Model
from tests.acceptance.written_store import check_files, check_lists, check_names, tables
from tests.support.peers import Peer, Store
from tests.support.report import Report

IMAGE, LIST, LOWER, UPPER = "aa" * 32, "bb" * 32, "cc" * 32, "dd" * 32
INSTANCE = "sha256:" + "ee" * 32


def write(path: Path, value: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))


def a_store(work: Path) -> Store:
    """An image of two layers, and a list of one instance."""
    root = work / "root"
    manifest = {"manifests": [{"digest": INSTANCE, "platform": {"architecture": "arm64"}}]}
    text = json.dumps(manifest).encode()
    write(root / "overlay-images" / IMAGE / "manifest", {})
    write(root / "overlay-images" / LIST / "manifest", manifest)
    write(root / "overlay-images" / LIST / "instances.json", {INSTANCE: []})
    sizes = {"manifest": len(text), "instances.json": 2}
    digests = {"manifest": "sha256:" + hashlib.sha256(text).hexdigest()}
    images = [
        {"id": IMAGE, "names": ["b", "a"], "layer": UPPER, "big-data-names": ["manifest"]},
        {"id": LIST, "big-data-names": list(sizes), "big-data-sizes": sizes, "big-data-digests": digests},
    ]
    write(root / "overlay-images" / "images.json", images)
    write(root / "overlay-layers" / "layers.json", [{"id": LOWER}, {"id": UPPER, "parent": LOWER}])
    for layer in (LOWER, UPPER):
        (root / "overlay" / layer / "diff").mkdir(parents=True)
        (root / "overlay-layers" / f"{layer}.tar-split.gz").touch()
        (root / "overlay/l").mkdir(exist_ok=True)
        (root / "overlay/l" / layer[:26]).symlink_to(f"../{layer}/diff")
    return Store(peer=Peer(name="none", version=""), work=work, driver="overlay")


def a_model() -> Model:
    image = Known(id=IMAGE, names=["b", "a"])
    return Model({IMAGE: image, LIST: Known(id=LIST, entries={INSTANCE: Entry(architecture="arm64")})})


def told(store: Store) -> list[str]:
    report = Report()
    found = tables(store)
    check_names(report, "", found, a_model())
    check_lists(report, "", store, found, a_model())
    check_files(report, "", store, found)
    assert report.held
    return report.violations


def edit(path: Path, change: Callable[[Any], None]) -> None:
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))


def test_a_store_as_it_should_be_brings_no_violation(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    assert told(store) == []
    (store.graphroot / "overlay/tempdirs").mkdir()
    (store.graphroot / "storaged").mkdir()
    (store.graphroot / "storaged/images.json.before").touch()
    assert told(store) == []


@pytest.mark.parametrize(
    ("left_over", "told_as"),
    [
        ("overlay-images/.tmp-images.json-storaged-1-1", "left over beside images.json"),
        (f"overlay-images/{'ff' * 32}", "left over beside images.json"),
        (f"overlay-images/{IMAGE}/.tmp-manifest", "big data of"),
        (f"overlay-layers/{'ff' * 32}.tar-split.gz", "left over beside layers.json"),
        (f"overlay-containers/{'ff' * 32}", "left over beside containers.json"),
        (f"overlay/{'ff' * 32}", "folders of the driver"),
        ("overlay/tempdirs/lock-1", "left over in tempdirs"),
        ("overlay-layers/tmp/lock-1", "left over in tmp"),
        ("storaged/deletion-1.json", "left over in storaged"),
    ],
)
def test_what_is_left_over_is_told(tmp_path: Path, left_over: str, told_as: str) -> None:
    store = a_store(tmp_path)
    path = store.graphroot / left_over
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    (violation,) = told(store)
    assert told_as in violation


def test_a_layer_that_nothing_needs_is_told(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    edit(store.graphroot / "overlay-images/images.json", lambda images: images[0].update(layer=LOWER))
    (violation,) = told(store)
    assert violation == f": layers that nothing needs: {{'{UPPER}'}}"


def test_a_layer_without_its_short_name_is_told(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    (store.graphroot / "overlay/l" / UPPER[:26]).unlink()
    (violation,) = told(store)
    assert "short names" in violation


def test_names_in_another_order_are_told(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    edit(store.graphroot / "overlay-images/images.json", lambda images: images[0].update(names=["a", "b"]))
    (violation,) = told(store)
    assert violation.startswith(": images.json: unexpected")


def test_a_list_whose_record_is_of_other_bytes_is_told(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    edit(store.graphroot / "overlay-images" / LIST / "manifest", lambda manifest: manifest.update(a=1))
    (violation,) = told(store)
    assert violation == f": the record of list {LIST[:12]} is not of its bytes"


def test_a_list_with_other_entries_is_told(tmp_path: Path) -> None:
    store = a_store(tmp_path)
    path = store.graphroot / "overlay-images" / LIST / "instances.json"
    edit(path, lambda instances: instances.clear())
    (violation,) = told(store)
    assert violation == f": instances.json of {LIST[:12]}"
