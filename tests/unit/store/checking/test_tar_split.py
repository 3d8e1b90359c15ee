"""tar-split against the tars that Python's own tarfile makes, and files that never lead out of the layer."""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from storaged.sample.disk import crc64
from storaged.store.checking import tar_split
from storaged.store.checking.inside import Inside
from storaged.store.files import Files, NotAFile

FILES = {"a": b"", "dir/b": b"content", "dir/long" + "x" * 150: b"y" * 5000, "été": b"z" * 513}


def _tar() -> tuple[bytes, bytes]:
    """A tar, and its tar-split in gzip."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in FILES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    data = stream.getvalue()
    entries: list[dict[str, object]] = []
    position = 0
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        for member in tar:
            entries.append({"type": 2, "payload": _base64(data[position : member.offset_data])})
            content = data[member.offset_data : member.offset_data + member.size]
            payload = _base64(crc64(content).to_bytes(8, "big")) if content else None
            raw = member.name.encode()
            name = {"name": member.name} if raw.isascii() else {"name_raw": _base64(raw)}
            entries.append({"type": 1, **name, "size": member.size, "payload": payload})
            position = member.offset_data + member.size
    entries.append({"type": 2, "payload": _base64(data[position:])})
    return data, b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    for name, data in FILES.items():
        path = tmp_path / "diff" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return tmp_path / "diff"


def _compare(layer: Path, packed: bytes, digest: str, size: int | None) -> None:
    path = layer.parent / "split.gz"
    path.write_bytes(packed)
    for _ in tar_split.compare(Files(), str(path), str(layer), digest, size):
        pass


def test_tar_split_and_files_make_the_recorded_tar(layer: Path) -> None:
    data, split = _tar()
    digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
    _compare(layer, gzip.compress(split, mtime=0), digest, len(data))
    half = len(split) // 2
    # Several gzip members, one after the other, are one file.
    _compare(layer, gzip.compress(split[:half], mtime=0) + gzip.compress(split[half:], mtime=0), digest, len(data))
    with pytest.raises(tar_split.Differs, match="bytes, but the record says"):
        _compare(layer, gzip.compress(split, mtime=0), digest, len(data) + 1)


def test_another_content_of_the_same_size_differs(layer: Path) -> None:
    data, split = _tar()
    (layer / "dir" / "b").write_bytes(b"Content")
    with pytest.raises(tar_split.Differs, match="do not make the tar"):
        _compare(layer, gzip.compress(split, mtime=0), f"sha256:{hashlib.sha256(data).hexdigest()}", None)


@pytest.mark.parametrize("change", ["longer", "shorter", "gone", "directory", "loop"])
def test_the_file_that_differs_is_named(layer: Path, change: str) -> None:
    path = layer / "dir" / "b"
    path.unlink()
    if change in ("longer", "shorter"):
        path.write_bytes(b"contents" if change == "longer" else b"c")
    elif change == "directory":
        path.mkdir()
    elif change == "loop":
        path.symlink_to("b")
    with pytest.raises(tar_split.Differs, match="'dir/b'"):
        _compare(layer, gzip.compress(_tar()[1], mtime=0), f"sha256:{'0' * 64}", None)


@pytest.mark.parametrize(
    "packed",
    [
        b"\x1f\x8b",
        b"text",
        gzip.compress(b"[]\n", mtime=0),
        gzip.compress(b'{"type":3}\n', mtime=0),
        gzip.compress(b'{"type":2,"payload":"*"}\n', mtime=0),
        gzip.compress(b'{"type":2}\n', mtime=0) + b"garbage",
        gzip.compress(b'{"type":2}\n' * 500, mtime=0)[:-9],
    ],
)
def test_what_is_no_tar_split_is_undecodable(layer: Path, packed: bytes) -> None:
    with pytest.raises(tar_split.Undecodable):
        _compare(layer, packed, f"sha256:{'0' * 64}", None)


def test_a_line_without_end_is_refused_before_it_fills_memory(layer: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tar_split, "_LONGEST_LINE", 4 << 20)
    with pytest.raises(tar_split.Undecodable, match="a line of more than"):
        _compare(layer, gzip.compress(bytes(64 << 20), mtime=0), f"sha256:{'0' * 64}", None)


def test_links_are_followed_within_the_layer_only(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "usr" / "lib").mkdir(parents=True)
    (root / "usr" / "lib" / "file").write_bytes(b"inside")
    (tmp_path / "file").write_bytes(b"outside")
    (root / "lib").symlink_to("/usr/lib")
    (root / "up").symlink_to("../../..")
    (root / "usr" / "out").symlink_to("../../file")
    (root / "secret").symlink_to("/etc")
    before = len(os.listdir("/proc/self/fd"))
    inside = Inside(Files(), str(root))
    for name in ("lib/file", "/usr/lib/file", "usr/./lib//file", "../usr/lib/file", "up/up/lib/file"):
        fd = inside.open(name)
        assert os.read(fd, 100) == b"inside"
        os.close(fd)
    for name in ("usr/out", "secret/passwd", "up/file", "usr/lib/none/file"):
        with pytest.raises(FileNotFoundError):
            inside.open(name)
    for name, error in (("usr/lib", NotAFile), ("", IsADirectoryError), ("lib", NotAFile), ("..", IsADirectoryError)):
        with pytest.raises(error):
            inside.open(name)
    inside.close()
    assert len(os.listdir("/proc/self/fd")) == before
