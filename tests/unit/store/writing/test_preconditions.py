"""Stores that are not written to."""

import errno
import os
import subprocess
from pathlib import Path

import pytest
from attrs import evolve

from storaged.metrics import Metrics
from storaged.store.changes import Change, ImageEdit
from storaged.store.layout import paths
from storaged.store.layout.records import ImageID
from storaged.store.writing.commit import StoreWriter
from storaged.store.writing.prepared import PlanOutdated
from storaged_client.contract.errors import StoreReadOnly, StoreUnsupported
from tests.support.files import FaultyFiles

from .test_data import NEW, new_list
from .workshop import opened


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"driver": "btrfs"}, "btrfs"),
        ({"image_store": "/elsewhere"}, "/elsewhere"),
        ({"transient": True}, "transient"),
    ],
)
def test_a_store_of_a_shape_that_is_not_served_is_refused_with_what_to_do(tmp_path, change, why) -> None:
    with opened(tmp_path) as shop:
        writer = StoreWriter(evolve(shop.location, **change), metrics=Metrics())
        refused = writer.refusal()
        assert isinstance(refused, StoreUnsupported)
        assert why in refused.message
        with pytest.raises(StoreUnsupported):
            writer.prepare(Change(), shop.load().stamp)
        writer.close()


def test_a_store_that_cannot_be_written_to_is_refused(tmp_path) -> None:
    sealed = FaultyFiles("access", after=lambda call, _: not call.arguments["mode"] & os.W_OK)
    with opened(tmp_path, files=sealed) as shop:
        assert isinstance(shop.writer.refusal(), StoreReadOnly)


def test_a_file_system_that_turned_read_only_is_told(tmp_path) -> None:
    frozen = FaultyFiles("open", path=lambda call: bool(call.arguments["flags"] & os.O_CREAT), error=errno.EROFS)
    with opened(tmp_path, files=frozen) as shop:
        edit = ImageEdit(image=ImageID(next(iter(shop.images()))), members={"names": ["localhost/a:1"]})
        with pytest.raises(StoreReadOnly) as refused:
            shop.writer.prepare(Change(edits=(edit,)), shop.load().stamp)
        assert refused.value.data["file"].startswith(shop.location.graphroot)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can write for others")
def test_files_written_by_root_belong_to_the_owner_of_the_store(tmp_path) -> None:
    with opened(tmp_path) as shop:
        root = Path(shop.location.graphroot)
        subprocess.run(["chown", "-R", "12345:12346", str(root)], check=True)
        os.unlink(shop.images_lock)
        image = ImageID(next(iter(shop.images())))
        name = Change(edits=(ImageEdit(image=image, members={"names": ["localhost/a:1"]}),))
        with pytest.raises(PlanOutdated):
            shop.apply(name)
        shop.apply(name)
        shop.apply(new_list())
        folder = Path(paths.image_dir(str(root), "overlay", NEW))
        written = [shop.images_json, Path(shop.images_lock), folder, *folder.iterdir()]
        assert len(written) == 6
        assert {(path.stat().st_uid, path.stat().st_gid) for path in written} == {(12345, 12346)}
