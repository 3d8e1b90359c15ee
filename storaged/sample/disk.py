"""Writes a planned store in the format of podman 4.3 to 5.8, into folders that are empty or do not exist.

::

    graphroot/
      storage.lock userns.lock
      <driver>-images/      images.json images.lock <image id>/<big data>
      <driver>-layers/      layers.json volatile-layers.json layers.lock <layer id>.tar-split.gz
      <driver>-containers/  containers.json volatile-containers.json containers.lock <id>/userdata/
      overlay/              l/<link> -> ../<layer id>/diff   <layer id>/{diff,link,lower,work,merged|empty}
      vfs/dir/<layer id>/   the whole file system of the layer
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import shutil
from pathlib import Path

from msgspec import json

from storaged.store.layout import paths
from storaged.store.layout.records import ImageID, LayerID

from .content import Layer, tar_header, tar_padding
from .facts import Sample, sample_of
from .plan import Plan
from .records import ContainerDraft, ImageDraft, layer_record
from .shapes import plan_store
from .spec import SampleSpec


def write_store(
    graphroot: str | Path, runroot: str | Path, spec: SampleSpec, additional: str | Path | None = None
) -> Sample:
    """Write the store and return the facts about it.

    ``additional`` is the place of the read-only store, needed if the spec asks for one. The folders must not hold a
    store yet. No lock is taken, because nobody can know the store before it is finished.

    Raises:
        FileExistsError: there is a store of this driver already.
        ValueError: ``read_only`` without ``additional``.
    """
    if spec.read_only and additional is None:
        raise ValueError("read_only images need the folder of an additional store")
    graph, run = Path(graphroot).absolute(), Path(runroot).absolute()
    second = Path(additional).absolute() if additional is not None else None
    plan = plan_store(spec, f"{spec.driver}@{graph}+{run}")
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    _write_one(graph, spec, plan, 0)
    if second is not None:
        _write_one(second, spec, plan, 1)
    return sample_of(plan, str(graph), str(run), spec.driver, str(second) if second is not None else None)


def link_of(layer: str) -> str:
    """The 26 characters of A-Z2-7 that stand for an overlay layer in mount options."""
    return base64.b32encode(hashlib.sha256(layer.encode()).digest())[:26].decode()


def put_file(path: str | Path, data: bytes, mode: int = 0o600) -> None:
    """Write a new file. Not atomic, not flushed: nobody knows the store yet."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    with open(descriptor, "wb") as file:
        file.write(data)


def _write_one(graph: Path, spec: SampleSpec, plan: Plan, store: int) -> None:
    images, layers = plan.images[store], plan.layers[store]
    containers = plan.containers if store == 0 else ()
    root, driver = str(graph), spec.driver
    graph.mkdir(mode=0o700, parents=True, exist_ok=True)
    for folder, lock in (
        (paths.images_dir(root, driver), paths.images_lock(root, driver)),
        (paths.layers_dir(root, driver), paths.layers_lock(root, driver)),
        (paths.containers_dir(root, driver), paths.containers_lock(root, driver)),
    ):
        os.mkdir(folder, 0o700)
        put_file(lock, _token(spec, store, os.path.basename(lock)), 0o644)
    for path, data in (
        (paths.storage_lock(root), _token(spec, store, "storage.lock")),
        (os.path.join(root, "userns.lock"), b""),
    ):
        if not os.path.exists(path):
            put_file(path, data, 0o644)
    for image in images:
        _write_big_data(Path(paths.image_dir(root, driver, ImageID(image.id))), image)
    for volatile in (False, True):
        layer_table = paths.volatile_layers_json(root, driver) if volatile else paths.layers_json(root, driver)
        table = paths.volatile_containers_json(root, driver) if volatile else paths.containers_json(root, driver)
        rows = [layer_record(each) for each in layers if each.volatile is volatile]
        if rows or not volatile:
            put_file(layer_table, json.encode(rows))
            put_file(table, json.encode([each.record() for each in containers if each.volatile is volatile]))
    put_file(paths.images_json(root, driver), json.encode([image.record() for image in images]))
    for container in containers:
        _write_userdata(Path(paths.containers_dir(root, driver), container.id, "userdata"), container)
    make_contents_root(root, driver)
    if spec.contents == "files":
        for layer in layers:
            write_layer(root, driver, layer)


def _token(spec: SampleSpec, store: int, noun: str) -> bytes:
    """64 bytes as a writer leaves them in a lock file."""
    return hashlib.sha512(f"{spec.seed}/{store}/{noun}".encode()).digest()


def _write_big_data(folder: Path, image: ImageDraft) -> None:
    folder.mkdir(mode=0o700)
    for key, data in image.items:
        put_file(folder / paths.big_data_file(key), data)


def _write_userdata(folder: Path, container: ContainerDraft) -> None:
    folder.mkdir(mode=0o700, parents=True)
    for name, data in container.files.items():
        put_file(folder / name, data)


def make_contents_root(root: str, driver: str) -> None:
    """Create the folder of all layers' folders, as the driver does at its first start."""
    above = Path(paths.layer_contents(root, driver, LayerID("l"))).parent
    above.mkdir(mode=0o700, parents=True, exist_ok=True)
    if driver == "overlay":
        (above / "l").mkdir(mode=0o700, exist_ok=True)


def write_layer(root: str, driver: str, layer: Layer) -> None:
    """Write the folder of a layer whose parent's exists already, and the tar-split of an image's layer."""
    folder = Path(paths.layer_contents(root, driver, LayerID(layer.id)))
    below = None if layer.parent is None else folder.with_name(layer.parent)
    if driver == "overlay":
        _write_overlay(folder, layer, below)
    else:
        _write_vfs(folder, layer, below)
    if layer.file is not None:
        put_file(paths.tar_split(root, driver, LayerID(layer.id)), tar_split_of(layer))


def _write_overlay(folder: Path, layer: Layer, below: Path | None) -> None:
    folder.mkdir(mode=0o700)
    (folder / "diff").mkdir(mode=0o755)
    _write_file(folder / "diff", layer)
    link = link_of(layer.id)
    (folder.parent / "l" / link).symlink_to(f"../{layer.id}/diff")
    put_file(folder / "link", link.encode(), 0o644)
    (folder / "work").mkdir(mode=0o700)
    (folder / "merged").mkdir(mode=0o700)
    if below is None:
        (folder / "empty").mkdir(mode=0o700)
        (folder / "diff").chmod(0o555)
    else:
        chain = [f"l/{_text(below / 'link') or link_of(below.name)}", _text(below / "lower")]
        put_file(folder / "lower", ":".join(filter(None, chain)).encode(), 0o644)


def _text(path: Path) -> str:
    """The content of a file; empty if it is missing."""
    return path.read_text() if path.exists() else ""


def _write_vfs(folder: Path, layer: Layer, below: Path | None) -> None:
    if below is not None and below.exists():
        shutil.copytree(below, folder, symlinks=True)
    else:
        folder.mkdir(mode=0o755)
    _write_file(folder, layer)


def _write_file(folder: Path, layer: Layer) -> None:
    if layer.file is not None:
        path = folder / layer.file.name
        put_file(path, layer.file.data, 0o644)
        path.chmod(0o644)
        os.utime(path, (layer.file.mtime, layer.file.mtime))


def tar_split_of(layer: Layer) -> bytes:
    """The tar-split, which restores the exact bytes of the layer's tar from its folder."""
    file = layer.file
    assert file is not None
    entries = (
        {"type": 2, "payload": base64.b64encode(tar_header(file)).decode(), "position": 0},
        {
            "type": 1,
            "name": file.name,
            "size": len(file.data),
            "payload": base64.b64encode(crc64(file.data).to_bytes(8, "big")).decode(),
            "position": 1,
        },
        {"type": 2, "payload": base64.b64encode(tar_padding(file)).decode(), "position": 2},
    )
    return gzip.compress(b"".join(json.encode(entry) + b"\n" for entry in entries), mtime=0)


def _crc64_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0xD800000000000000 if value & 1 else 0)
        table.append(value)
    return tuple(table)


_CRC64 = _crc64_table()


def crc64(data: bytes) -> int:
    """CRC-64 with the ISO 3309 polynomial, as in Go's ``hash/crc64``; tar-split uses it."""
    crc = 0xFFFFFFFFFFFFFFFF
    for byte in data:
        crc = _CRC64[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFFFFFFFFFF
