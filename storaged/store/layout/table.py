"""A table of the store: one JSON array, split into the bytes of its records.

Decoding has two steps. The array is split into raw records, and then only records whose bytes were not in the last
generation are decoded. An untouched record is written back byte for byte, so unknown fields, times and order survive,
whatever version wrote them.

Go writes a table compactly, without a final newline. A missing file, one of 0 bytes and the literal ``null`` are an
empty table, as containers/storage reads them; anything else that is not an array is corrupt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from attrs import frozen
from msgspec.structs import replace

from storaged.store.layout.decoding import bounded
from storaged.store.layout.records import ContainerRecord, ImageRecord, LayerRecord
from storaged_client.contract.errors import StoreCorrupt

Record = ImageRecord | LayerRecord | ContainerRecord
R = TypeVar("R", bound=Record)
T = TypeVar("T")

_ID = re.compile(r"[0-9a-f]{64}")
_splitter = msgspec.json.Decoder(list[msgspec.Raw] | None)
_scanner = json.JSONDecoder(parse_constant=lambda constant: _refuse(constant))
_anything = bounded(msgspec.json.Decoder(dict[str, Any]).decode)

# Go omits empty values but also reads them: "" means "not set" and is never a name.
_OPTIONAL: dict[type, tuple[str, ...]] = {
    ImageRecord: ("digest", "layer", "metadata"),
    LayerRecord: ("parent", "compressed_diff_digest", "diff_digest", "toc_digest"),
    ContainerRecord: ("image", "layer", "metadata"),
}


@frozen(kw_only=True)
class Flaw:
    """One element of a table that is not a record. ``evidence``: it may be a manifest list."""

    index: int
    detail: str
    id: str | None
    evidence: bool


@frozen(kw_only=True)
class Table(Generic[T]):
    """The decoded records of one table, in their order. ``decoded`` counts those that had to be decoded."""

    entries: tuple[tuple[bytes, T], ...]
    flaws: tuple[Flaw, ...]
    decoded: int


def split(data: bytes, *, file: str) -> list[bytes]:
    """The exact bytes of each element, without surrounding white space.

    Raises:
        StoreCorrupt: not one JSON array in UTF-8; ``file`` is named.
    """
    if not data:
        return []
    try:
        # The splitter does not check text that it skips, and a record that Go would rewrite must never be emitted.
        if not data.isascii():
            data.decode("utf-8")
        try:
            return [bytes(element) for element in _splitter.decode(data) or ()]
        except msgspec.MsgspecError:
            return _split_slowly(data.decode("utf-8"))
    except RecursionError:
        raise StoreCorrupt(f"{file}: nested too deeply", file=file, detail="nested too deeply") from None
    except ValueError as error:
        raise StoreCorrupt(f"{file}: no JSON array: {error}", file=file, detail=str(error)) from None


def _split_slowly(text: str) -> list[bytes]:
    """Split a table that the fast splitter refuses because of an escaped lone surrogate, which Go reads.

    Raises:
        ValueError, RecursionError: it is really not a JSON array.
    """
    elements: list[bytes] = []
    position = _skip(text, 0, "[")
    while True:
        start = _skip(text, position, "")
        _, end = _scanner.raw_decode(text, start)
        elements.append(text[start:end].encode("utf-8"))
        position = _skip(text, end, "")
        if text.startswith("]", position):
            position += 1
            break
        position = _skip(text, position, ",")
    if _skip(text, position, "") != len(text):
        raise ValueError(f"trailing characters at {position}")
    return elements


def _skip(text: str, position: int, wanted: str) -> int:
    """Skip white space and the wanted character."""
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    if not text.startswith(wanted, position):
        raise ValueError(f"expected {wanted!r} at character {position}")
    return position + len(wanted)


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


class Decoder(Generic[R, T]):
    """Decodes the records of one kind of table; ``make`` turns a record and its bytes into the value to keep."""

    def __init__(self, kind: type[R], make: Callable[[bytes, R], T]) -> None:
        self._image = kind is ImageRecord
        self._decode: Callable[[bytes], R] = bounded(msgspec.json.Decoder(kind).decode)
        self._optional = _OPTIONAL[kind]
        self._make = make

    def decode(self, raws: Sequence[bytes], known: Mapping[bytes, T], *, at: int = 0) -> Table[T]:
        """Turn raw records into values; those in ``known`` are reused.

        A bad record becomes a flaw and does not affect the others. ``at`` is the index of the first one in its table.
        """
        entries: list[tuple[bytes, T]] = []
        flaws: list[Flaw] = []
        decoded = 0
        for index, raw in enumerate(raws, at):
            kept = known.get(raw)
            if kept is None:
                decoded += 1
                try:
                    kept = self._make(raw, self._record(raw))
                except ValueError as error:
                    flaws.append(self._flaw(index, raw, error))
                    continue
            entries.append((raw, kept))
        return Table(entries=tuple(entries), flaws=tuple(flaws), decoded=decoded)

    def _record(self, raw: bytes) -> R:
        record = self._decode(raw)
        if not _ID.fullmatch(record.id):
            raise ValueError(f"id {record.id[:80]!r} is not 64 hexadecimal digits")
        if b'""' in raw:
            empty = {name: None for name in self._optional if getattr(record, name) == ""}
            if empty:
                record = replace(record, **empty)
        return record

    def _flaw(self, index: int, raw: bytes, error: Exception) -> Flaw:
        detail = str(error)
        try:
            members = _anything(raw)
        except msgspec.MsgspecError:
            # An object that cannot be decoded may name anything; a null or a number names nothing.
            return Flaw(index=index, detail=detail, id=None, evidence=self._image and raw.startswith(b"{"))
        own = members.get("id")
        own = own if isinstance(own, str) and len(own) <= 256 else None
        return Flaw(index=index, detail=detail, id=own, evidence=self._image and _may_be_list(members, own))


def _may_be_list(members: Mapping[str, Any], own: str | None) -> bool:
    """Whether an undecodable image record may be a manifest list. If in doubt, it may: fail closed."""
    names = members.get("big-data-names")
    if names is None:
        return False  # at most incomplete: it names no manifest
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        return True
    if "instances.json" in names:
        return True
    layer = members.get("layer")
    ordinary = (isinstance(layer, str) and layer != "") or (own is not None and f"sha256:{own}" in names)
    return "manifest" in names and not ordinary


def emit(raw_records: Iterable[bytes]) -> bytes:
    """The table of these records in this order, each byte for byte as given; compact as Go writes it."""
    return b"[" + b",".join(raw_records) + b"]"
