"""The media types that podman guesses, without podman: beside it they are held in ``tests/interop``."""

from __future__ import annotations

from pathlib import Path

import pytest

from storaged_client.media_types import Extensions, guess, sniff


@pytest.mark.parametrize(
    ("name", "head", "kind"),
    [
        ("a.tar.gz", b"\x1f\x8b\x08", "application/gzip"),
        ("a", b"\x1f\x8b\x08", "application/x-gzip"),
        ("a.tgz", b"\x1f\x8b\x08", "application/x-gzip"),
        ("a.PDF", b"", "application/pdf"),
        ("a", b"%PDF-1.7", "application/pdf"),
        ("a.bin", b"text", "application/octet-stream"),
        ("model.gguf", b"GGUF\x03\0\0\0", "application/octet-stream"),
        ("a.JSON", b"\0", "application/json"),
        ("a.md", b"# A", "text/plain"),
        (".html", b"", "text/html"),
        ("a.", b"", "text/plain"),
        ("a", b"", "text/plain"),
        ("a", b"\x1b[1m", "text/plain"),
        ("a", b"\x0b", "application/octet-stream"),
        ("a", b" \n<TaBle>", "text/html"),
        ("a", b"<tablet>", "text/plain"),
        ("a", b" <?xml", "text/xml"),
        ("a", b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "video/mp4"),
        ("a", b"\0\0\0\x18ftypisom\0\0\0\0isomiso2", "application/octet-stream"),
        ("a", b"a" * 512 + b"\0", "text/plain"),
        ("a", b"a" * 511 + b"\0", "application/octet-stream"),
    ],
)
def test_the_extension_tells_and_else_the_first_512_bytes(name: str, head: bytes, kind: str, tmp_path: Path) -> None:
    assert guess(name, head, Extensions(str(tmp_path))) == kind


def test_the_machines_files_are_asked_as_go_asks_them(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/mime.types").write_text(
        "# x\nTEXT/X-Up;charset=a gz Upp # no\nnothing\nbad/ty/pe bad\nfoo fooext\n"
    )
    extensions = Extensions(str(tmp_path))
    found = {name: extensions.type_of(name) for name in (".gz", ".GZ", ".Upp", ".upp", ".no", ".bad", ".fooext")}
    assert found == {
        ".gz": "text/x-up", ".GZ": "text/x-up", ".Upp": "text/x-up", ".upp": "text/x-up",
        ".no": None, ".bad": None, ".fooext": "foo",
    }  # fmt: skip
    globs = tmp_path / "usr/share/mime/globs2"
    globs.parent.mkdir(parents=True)
    globs.write_text(
        "# c\n90:a/first:*.new\n50:a/second:*.new:cs\n50:a/b:*.gz\n50:a/b:*.x?\n50:a/b:*.[0-9]\n50:a/b:x.y\n"
    )
    extensions = Extensions(str(tmp_path))
    found = {name: extensions.type_of(name) for name in (".new", ".gz", ".x?", ".1", ".y", ".fooext")}
    assert found == {".new": "a/first", ".gz": "application/gzip", ".x?": None, ".1": None, ".y": None, ".fooext": None}


def test_bytes_alone_are_enough() -> None:
    assert sniff(b"Rar!\x1a\x07\x01\x00") == "application/x-rar-compressed"
