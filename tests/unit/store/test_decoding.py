"""What the store holds is read up to so many levels, whichever file it is in and whatever Python reads it."""

from __future__ import annotations

import json
from collections.abc import Callable

import msgspec
import pytest

from storaged.operations.list_forms import parse
from storaged.operations.list_sources import parse_artifacts
from storaged.store.checking.tables import _members
from storaged.store.layout.edit import IMAGE, edit, encode, members
from storaged.store.layout.manifests import parse_config, parse_manifest
from storaged.store.layout.records import ImageRecord
from storaged.store.layout.table import Decoder
from storaged.store.writing.entries import Unread
from storaged.store.writing.entries import decode as decode_entry
from storaged_client.json_limits import CONTENT_DEPTH

INDEX = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}
_records = Decoder(ImageRecord, lambda _, record: record)


def _record(data: bytes) -> None:
    for flaw in _records.decode([data], {}).flaws:
        raise ValueError(flaw.detail)


def _entry(data: bytes) -> None:
    entry = decode_entry(data, "overlay")
    if isinstance(entry, Unread):
        raise TypeError(entry.why)


READERS: dict[str, tuple[Callable[[bytes], object], dict[str, object]]] = {
    "a manifest": (parse_manifest, INDEX),
    "a list to be edited": (parse, INDEX),
    "artifacts.json": (parse_artifacts, {}),
    "a configuration": (parse_config, {"architecture": "amd64", "os": "linux"}),
    "a record": (_record, {"id": "a" * 64}),
    "a record to be edited": (lambda data: members(data, IMAGE), {"id": "a" * 64}),
    "an entry of the journal": (
        _entry,
        {"kind": "deletion", "staging": "1", "driver": "overlay"},
    ),
}


def _text(base: dict[str, object], levels: int) -> bytes:
    text = json.dumps({**base, "x": "deep"})
    return text.replace('"deep"', "[" * (levels - 1) + "]" * (levels - 1)).encode()


@pytest.mark.parametrize(("read", "base"), READERS.values(), ids=READERS.keys())
def test_as_many_levels_as_may_be_are_read_and_one_more_is_refused(
    read: Callable[[bytes], object], base: dict[str, object]
) -> None:
    read(_text(base, CONTENT_DEPTH))
    for levels in (CONTENT_DEPTH + 1, 100_000):
        with pytest.raises((ValueError, TypeError, msgspec.DecodeError), match="nested too deeply"):
            read(_text(base, levels))


def test_a_check_takes_a_record_that_is_too_deep_for_none() -> None:
    assert isinstance(_members(_text({}, CONTENT_DEPTH)), dict)
    assert _members(_text({}, CONTENT_DEPTH + 1)) is False


def test_nothing_deeper_is_written() -> None:
    value: object = 1
    for _ in range(CONTENT_DEPTH):
        value = [value]
    assert encode(value)
    with pytest.raises(ValueError, match="nested too deeply"):
        encode([value])
    with pytest.raises(ValueError, match="nested too deeply"):
        edit(b'{"id":"aa"}', {"metadata": [value]}, IMAGE)
