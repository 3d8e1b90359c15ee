from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.store import inventory
from storaged.store.layout import paths
from storaged.store.layout.records import ImageID
from storaged.store.tables import StoreLocation

PLAIN = StoreLocation(graphroot="/g", runroot="/r", driver="overlay")


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("manifest", "manifest"),
        ("instances.json", "instances.json"),
        ("sha256:ab", "=c2hhMjU2OmFi"),
        ("manifest-sha256:ab", "=bWFuaWZlc3Qtc2hhMjU2OmFi"),
        ("Upper", "=VXBwZXI="),
    ],
)
def test_big_data_files_are_named_as_containers_storage_does(key: str, name: str) -> None:
    assert paths.big_data_file(key) == name


@given(st.text(min_size=1, max_size=30))
def test_no_key_leads_out_of_the_folder(key: str) -> None:
    try:
        name = paths.big_data_file(key)
    except ValueError:
        return
    assert "/" not in name
    assert name not in (".", "..")
    if name.startswith("="):
        assert base64.b64decode(name[1:]).decode("utf-8", "surrogatepass") == key


@pytest.mark.parametrize("key", ["", ".", ".."])
def test_keys_that_name_no_file_are_refused(key: str) -> None:
    with pytest.raises(ValueError):
        paths.big_data_file(key)


def test_tables_of_a_plain_store() -> None:
    assert [table.path for table in inventory.table_files(PLAIN)] == [
        "/g/overlay-layers/layers.json",
        "/g/overlay-layers/volatile-layers.json",
        "/g/overlay-images/images.json",
        "/g/overlay-containers/containers.json",
        "/g/overlay-containers/volatile-containers.json",
    ]


def test_a_transient_store_keeps_volatile_tables_and_the_containers_lock_in_the_runroot() -> None:
    location = StoreLocation(graphroot="/g", runroot="/r", driver="overlay", transient=True)
    volatile = {table.kind: table.path for table in inventory.table_files(location) if table.volatile}
    assert volatile == {
        "layers": "/r/overlay-layers/volatile-layers.json",
        "containers": "/r/overlay-containers/volatile-containers.json",
    }
    assert "/r/overlay-containers/containers.lock" in inventory.lock_files(location)
    assert "/g/overlay-layers/layers.lock" in inventory.lock_files(location)


def test_locks_come_in_the_documented_order() -> None:
    location = StoreLocation(graphroot="/g", runroot="/r", driver="overlay", image_store="/i", additional=("/a", "/b"))
    assert inventory.lock_files(location) == (
        "/g/overlay-layers/layers.lock",
        "/i/overlay-layers/layers.lock",
        "/a/overlay-layers/layers.lock",
        "/b/overlay-layers/layers.lock",
        "/i/overlay-images/images.lock",
        "/g/overlay-images/images.lock",
        "/a/overlay-images/images.lock",
        "/b/overlay-images/images.lock",
        "/g/overlay-containers/containers.lock",
    )
    assert not any(path.startswith(("/a", "/b")) for path in inventory.writable_lock_files(location))


def test_a_digest_lock_bears_the_lists_id() -> None:
    assert paths.digest_lock("/r", "vfs", ImageID("ab")) == "/r/vfs-locks/sha256:ab"
