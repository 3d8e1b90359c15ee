"""Checks the tar-split of a layer: is it readable, and does it still form the recorded tar with the layer's files?

::

    <layer id>.tar-split.gz = gzip of JSON lines, in the order of the tar
      {"type":2, "payload": base64}                     bytes of the tar as they are: headers, padding, end
      {"type":1, "name", "size", "payload": base64 CRC}  the content of a file, taken from the layer's folder
                 "name_raw": base64 instead of "name"    if the name is not UTF-8
                 "payload": null                         nothing: empty file, link, directory, whiteout

A tar that differs from the record is only a warning: older tools may have written a damaged tar-split, and
containers/storage itself reports healthy layers as modified.

Source: vbatts/tar-split ``tar/storage/entry.go``, ``tar/asm/assemble.go``.
"""

from __future__ import annotations

import base64
import binascii
import errno
import os
import zlib
from collections.abc import Iterator
from typing import Final

import msgspec

from storaged.store.checking.inside import Inside
from storaged.store.files import Files, NotAFile, open_regular
from storaged.store.layout.decoding import bounded
from storaged.store.layout.digest_forms import hasher_of

_PIECE: Final = 1 << 20
_BREATH: Final = 32 << 20
_SAMPLE: Final = 8
"""The number of files whose absence shows that a layer's files are gone."""
_MOST_SAMPLED: Final = 512
"""The maximum number of entries that are read to find them."""
_LONGEST_LINE: Final = 64 << 20


class Undecodable(Exception):
    """It is not a tar-split; the text says why."""


class Differs(Exception):
    """A file of the layer is not the one the tar was made of; the text says which."""


class _Entry(msgspec.Struct, frozen=True):
    type: int
    name: str | None = None
    name_raw: str | None = None
    size: int = 0
    payload: str | None = None


_entry = bounded(msgspec.json.Decoder(_Entry).decode)


def read_entries(files: Files, path: str) -> Iterator[_Entry]:
    """The entries, one by one, in bounded memory.

    Raises:
        Undecodable: not gzip, not JSON lines, or invalid entries.
        OSError: as open(2) and read(2).
    """
    for line in _lines(files, path):
        if not line.strip():
            continue
        try:
            entry = _entry(line)
        except msgspec.MsgspecError as error:
            raise Undecodable(f"no entry of a tar-split: {error}") from None
        if entry.type not in (1, 2):
            raise Undecodable(f"an entry of unknown type {entry.type}")
        yield entry


def lost(files: Files, path: str, folder: str) -> str | None:
    """The evidence that the files of a layer are gone: none of the first files in its tar-split is in ``folder``.

    If it lists files with content, only those count. None if there is no evidence: something exists, we may not see it,
    or the layer has no files.

    Raises:
        Undecodable: as ``read_entries``.
        OSError: an existing file cannot be read.
    """
    named: list[str] = []
    filled: list[str] = []
    for count, entry in enumerate(read_entries(files, path)):
        if entry.type == 1 and (name := _made(entry)) is not None:
            (filled if entry.size > 0 and entry.payload is not None else named).append(name)
        if len(filled) >= _SAMPLE or count >= _MOST_SAMPLED:
            break
    sample = (filled or named)[:_SAMPLE]
    if not sample:
        return None
    inside = Inside(files, folder)
    try:
        if any(inside.has(name) for name in sample):
            return None
    finally:
        inside.close()
    kind = "files with content" if filled else "entries"
    return f"none of the first {len(sample)} {kind} that its tar-split lists exists, for example {sample[0][-200:]!a}"


def _made(entry: _Entry) -> str | None:
    """The name of a tar entry in the layer; None for its root and for whiteouts."""
    name = os.fsdecode(_decode(entry.name_raw)) if entry.name_raw else entry.name or ""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    return None if not parts or parts[-1].startswith(".wh.") else name


def compare(files: Files, path: str, folder: str, digest: str | None, size: int | None) -> Iterator[None]:
    """Assemble the tar from tar-split and folder, and compare it with its record. Yields None now and then.

    Raises:
        Undecodable: as ``read_entries``.
        Differs: the tar, or one of its files, differs.
        OSError: an existing file cannot be read.
    """
    hasher = hasher_of(digest) if digest is not None else None
    total = reported = 0
    inside = Inside(files, folder)
    try:
        for entry in read_entries(files, path):
            for piece in _bytes_of(files, inside, entry):
                if hasher is not None:
                    hasher.update(piece)
                total += len(piece)
                if total - reported >= _BREATH:
                    reported = total
                    yield None
    finally:
        inside.close()
    if size is not None and total != size:
        raise Differs(f"tar-split and files make {total} bytes, but the record says {size}")
    if digest is not None and hasher is not None and hasher.hexdigest() != digest.partition(":")[2]:
        raise Differs(f"tar-split and files do not make the tar with the digest {digest}")


def _bytes_of(files: Files, inside: Inside, entry: _Entry) -> Iterator[bytes]:
    if entry.type == 2:
        yield _decode(entry.payload)
    elif entry.payload is not None and entry.size > 0:
        name = os.fsdecode(_decode(entry.name_raw)) if entry.name_raw else entry.name or ""
        yield from _content(files, inside, name, entry.size)


def _content(files: Files, inside: Inside, name: str, size: int) -> Iterator[bytes]:
    shown = ascii(name[-200:])
    try:
        fd = inside.open(name)
    except PermissionError:
        raise
    except (FileNotFoundError, NotADirectoryError):
        raise Differs(f"the file {shown} is missing") from None
    except (NotAFile, IsADirectoryError):
        raise Differs(f"{shown} is no longer a regular file") from None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise Differs(f"{shown} is behind dangling links") from None
        raise
    try:
        found = files.fstat(fd).st_size
        if found != size:
            raise Differs(f"the file {shown} has {found} bytes, was {size}")
        left = size
        while left and (piece := files.read(fd, min(left, _PIECE))):
            left -= len(piece)
            yield piece
        if left:
            raise Differs(f"the file {shown} ends {left} bytes early")
    finally:
        files.close(fd)


def _decode(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "", validate=True)
    except (binascii.Error, ValueError):
        raise Undecodable("a payload that is not base64") from None


def _lines(files: Files, path: str) -> Iterator[bytes]:
    kept: list[bytes] = []
    length = 0
    for piece in _unpacked(files, path):
        *lines, last = piece.split(b"\n")
        if lines:
            yield b"".join((*kept, lines[0]))
            yield from lines[1:]
            kept, length = [], 0
        kept.append(last)
        length += len(last)
        if length > _LONGEST_LINE:
            raise Undecodable(f"a line of more than {_LONGEST_LINE} bytes")
    if length:
        yield b"".join(kept)


def _unpacked(files: Files, path: str) -> Iterator[bytes]:
    """The uncompressed bytes, at most 1 MiB at a time whatever the compression ratio."""
    fd = open_regular(files, path, follow=False)
    try:
        unpacker = zlib.decompressobj(wbits=31)
        data = b""
        while data or (data := files.read(fd, _PIECE >> 3)):
            if unpacker.eof:
                # A gzip file may have several members, one after the other.
                unpacker = zlib.decompressobj(wbits=31)
            yield unpacker.decompress(data, _PIECE)
            data = unpacker.unconsumed_tail or unpacker.unused_data
        # Output may be left when all input is consumed.
        while not unpacker.eof and (rest := unpacker.decompress(b"", _PIECE)):
            yield rest
        if not unpacker.eof:
            raise Undecodable("the gzip data is truncated")
    except zlib.error as error:
        raise Undecodable(f"no gzip: {error}") from None
    finally:
        files.close(fd)
