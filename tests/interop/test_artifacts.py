"""Artifacts of the same files made by both sides: the same bytes, and so the same digest, and podman pushes ours."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from storaged_client import media_types
from storaged_client.cli.main import main
from storaged_client.media_types import Extensions, guess
from tests.support.client import Client
from tests.support.daemon import daemon
from tests.support.peers import Peer, Store, workspace

LARGE = 40 << 20
OPTIONS = [
    [],
    ["--artifact-config="],
    ["--artifact-config", "EMPTY"],
    ["--artifact-config", "CONFIG"],
    ["--artifact-config-type", "x/y"],
    ["--artifact-config=", "--artifact-config-type=x/y"],
    ["--artifact-config", "CONFIG", "--artifact-config-type=x/y"],
    ["--artifact-type="],
    ["--artifact-type", "a/b", "--artifact-config-type="],
    ["--artifact-layer-type="],
    ["--artifact-layer-type", "a/b;c=d"],
    ["--artifact-exclude-titles"],
]


def contents() -> dict[str, bytes]:
    """Files by name, of the kinds that people add."""
    tar, packed = io.BytesIO(), io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x"))
    with zipfile.ZipFile(packed, "w") as other:
        other.writestr("x", "y")
    gz = gzip.compress(tar.getvalue(), mtime=0)
    named = {
        "a.txt": b"hello",
        "b.json": b"{}",
        "c.pdf": b"%PDF-1.7\n",
        "d.tar.gz": gz,
        "e.tgz": gz,
        "f.tar": tar.getvalue(),
        "g.zip": packed.getvalue(),
        "model.gguf": b"GGUF\3\0\0\0",
        "h.safetensors": b"\x10\0\0\0\0\0\0\0{",
        "i.YAML": b"a: b",
        "k.HTML": b"<p>",
        "l.bin": b"text",
        "<&>": b"x",
        "é.txt": b"x",
        ".hidden": b"\0",
        "p.": b"",
        "large.gguf": b"GGUF" + bytes(LARGE),
    }
    return {**named, **{f"bare-{at}": data for at, data in enumerate(named.values()) if len(data) < 1000}}


@pytest.fixture(scope="module")
def files(podman_58: Peer) -> Iterator[tuple[Store, Client, list[str]]]:
    with workspace(podman_58) as store, daemon(store) as ours, ours.client() as client:
        (store.work / "socket").symlink_to(ours.path)
        (store.work / "files").mkdir()
        for name, data in contents().items():
            (store.work / "files" / name).write_bytes(data)
        (store.work / "EMPTY").write_bytes(b"")
        (store.work / "CONFIG").write_text('{"a":"<&>"}')
        yield store, client, [str(store.work / "files" / name) for name in contents()]


@pytest.fixture
def storagectl(files: tuple[Store, Client, list[str]], podman_58: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """On the machine of the peer, whose types are other ones."""
    monkeypatch.setenv("STORAGED_SOCKET", str(files[0].work / "socket"))
    there = Extensions(str(podman_58.root))
    monkeypatch.setattr(media_types, "_of_this_machine", lambda: there)


def artifacts(store: Store, client: Client, name: str) -> Any:
    own = client.call("manifests.get", name=name)["manifest"]["id"]
    return json.loads((store.graphroot / f"{store.driver}-images" / own / "artifacts.json").read_bytes())


@pytest.mark.usefixtures("storagectl")
@pytest.mark.parametrize("options", OPTIONS, ids=" ".join)
def test_the_same_files_make_the_same_artifact(files: tuple[Store, Client, list[str]], options: list[str]) -> None:
    store, client, paths = files
    number = OPTIONS.index(options)
    ours, theirs = f"localhost/ours:{number}", f"localhost/theirs:{number}"
    given = [str(store.work / word) if word in ("EMPTY", "CONFIG") else word for word in options]
    store.podman("manifest", "create", theirs)
    assert main(["manifest", "create", ours]) == 0
    store.podman("manifest", "add", "--artifact", *given, theirs, *paths)
    assert main(["manifest", "add", "--artifact", *given, ours, *paths]) == 0
    made, wanted = artifacts(store, client, ours), artifacts(store, client, theirs)
    assert list(made["manifests"].values()) == list(wanted["manifests"].values())
    assert made["manifests"].keys() == wanted["manifests"].keys()
    large = next(path for path in paths if path.endswith("large.gguf"))
    digest = next(key for key, path in wanted["detached"].items() if path == large)
    assert made["detached"] == {digest: large}


@pytest.mark.usefixtures("storagectl")
def test_a_large_artifact_of_ours_is_pushed_by_podman_with_its_bytes(files: tuple[Store, Client, list[str]]) -> None:
    store, client, paths = files
    assert main(["manifest", "create", "localhost/pushed:1"]) == 0
    assert main(["manifest", "add", "--artifact", "localhost/pushed:1", *paths]) == 0
    store.podman("manifest", "push", "--all", "localhost/pushed:1", f"oci:{store.work / 'oci'}")
    for path in paths:
        data = Path(path).read_bytes()
        name = hashlib.sha256(data).hexdigest()
        assert (store.work / "oci/blobs/sha256" / name).read_bytes() == data
    large = next(path for path in paths if path.endswith("large.gguf"))
    store.podman("manifest", "annotate", "--annotation", "k=v", "localhost/pushed:1", large)
    (entry,) = client.call("manifests.get", name="localhost/pushed:1")["raw"]["manifests"]
    assert entry["annotations"] == {"k": "v"}


def samples() -> list[bytes]:
    """Beginnings of files: what is looked for, a byte too short, with a byte changed, and with more behind it."""
    rng = random.Random(7)
    known = [b"", b" ", b"hello", b"\x1bx", b"\x0b", b"\xfe\xffab", b"\xff\xfe\0\0", b"\xef\xbb\xbf\0", b"caf\xe9"]
    known += [b"%PDF-", b"%!PS-Adobe-", b"\0\0\1\0", b"\0\0\2\0", b"BM", b"GIF87a", b"GIF89a", b"RIFF1234WEBPVP"]
    known += [b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"FORM1234AIFF", b"ID3", b"OggS\0", b"MThd\0\0\0\6"]
    known += [b"RIFF1234AVI ", b"RIFF1234WAVE", b"\x1a\x45\xdf\xa3", b"a" * 34 + b"LP", b"\0\1\0\0", b"OTTO", b"ttcf"]
    known += [b"wOFF", b"wOF2", b"\x1f\x8b\x08", b"PK\3\4", b"Rar!\x1a\7\0", b"Rar!\x1a\7\1\0", b"\0asm", b"\n <?xml"]
    known += [b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", b"\0\0\0\x18ftypisom\0\0\2\0isommp41", b"a" * 512 + b"\0"]
    known += [b" " * 505 + b"<html> ", b" " * 507 + b"<html> "]
    for tag in [
        "!DOCTYPE HTML",
        "HTML",
        "HEAD",
        "SCRIPT",
        "IFRAME",
        "H1",
        "DIV",
        "FONT",
        "TABLE",
        "A",
        "STYLE",
        "TITLE",
        "B",
        "BODY",
        "BR",
        "P",
        "!--",
    ]:
        known += [f"\r\n\t\f <{form}{end}".encode() for form in (tag, tag.lower()) for end in ("", " ", ">", "x", "\n")]
    changed = []
    for data in known:
        changed += [data[:-1], data + rng.randbytes(9)]
        if data:
            at = rng.randrange(len(data))
            changed.append(data[:at] + rng.randbytes(1) + data[at + 1 :])
    return known + changed


def guessed(store: Store, client: Client, paths: list[Path]) -> dict[str, str]:
    """The types that podman gives to files, by name."""
    found: dict[str, str] = {}
    for at in range(0, len(paths), 400):
        name = f"localhost/guessed:{len(found)}-{paths[at].parent.name}"
        store.podman("manifest", "create", name)
        store.podman("manifest", "add", "--artifact", name, *map(str, paths[at : at + 400]))
        (manifest,) = artifacts(store, client, name)["manifests"].values()
        for layer in json.loads(manifest)["layers"]:
            found[layer["annotations"]["org.opencontainers.image.title"]] = layer["mediaType"]
    return found


def test_types_are_guessed_as_podman_guesses_them(
    files: tuple[Store, Client, list[str]], podman_58: Peer, tmp_path: Path
) -> None:
    store, client, _ = files
    extensions = Extensions(str(podman_58.root))
    known = {word for kind in media_types._BUILT_IN.values() for word in kind.split()}
    names = sorted({*known, *map(str.upper, known), ".7z", ".md", ".py", ".so", ".tar", ".yml", ".woff"})
    cases = {f"x{name}": data for name in names for data in (b"text",)}
    cases |= {f"s{number}": data for number, data in enumerate(samples())}
    folder = store.work / "guessed"
    folder.mkdir()
    for name, data in cases.items():
        (folder / name).write_bytes(data)
    theirs = guessed(store, client, [folder / name for name in cases])
    assert {name: guess(name, data, extensions) for name, data in cases.items()} == theirs
