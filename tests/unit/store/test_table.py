from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.store.layout.records import ContainerRecord, ImageRecord, LayerRecord
from storaged.store.layout.table import Decoder, Table, emit, split
from storaged_client.contract.errors import StoreCorrupt
from tests.support.disk import hexes

images = Decoder(ImageRecord, lambda _, record: record)
layers = Decoder(LayerRecord, lambda _, record: record)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="utf-8"), max_size=12),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)
records = st.dictionaries(st.sampled_from(["id", "names", "created", "flags", "x-unknown", "layer"]), json_values)


def decode_images(data: bytes) -> Table[ImageRecord]:
    return images.decode(split(data, file="images.json"), {})


@given(st.lists(records, max_size=6))
def test_untouched_records_are_written_back_byte_for_byte_and_in_order(values: list[object]) -> None:
    data = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
    assert emit(split(data, file="t")) == data


@given(st.lists(json_values, max_size=6))
def test_no_json_array_whatever_fails_the_table(values: list[object]) -> None:
    data = json.dumps(values).encode()
    table = decode_images(data)
    assert len(table.entries) + len(table.flaws) == len(values)


@given(st.binary(max_size=60))
def test_any_bytes_are_a_table_or_corrupt(data: bytes) -> None:
    try:
        elements = split(data, file="t")
    except StoreCorrupt:
        return
    assert split(emit(elements), file="t") == elements


def test_a_lone_surrogate_costs_only_its_record() -> None:
    good = json.dumps({"id": hexes(1)}).encode()
    table = decode_images(b" [ " + good + b' , {"id":"x","a":"\\ud800"}\n]\n')
    assert [raw for raw, _ in table.entries] == [good]
    assert [flaw.index for flaw in table.flaws] == [1]


@pytest.mark.parametrize(
    "data", [b'["\\ud800"', b'["\\ud800",]', b'["\\ud800" 1]', b'["\\ud800"] 1', b'["\\ud800",NaN]', b'"\\ud800"']
)
def test_a_lone_surrogate_makes_nothing_an_array(data: bytes) -> None:
    with pytest.raises(StoreCorrupt):
        split(data, file="t")


def test_unknown_fields_nanoseconds_and_escapes_survive() -> None:
    raw = b'{"future":{"b":[1,2.50],"a":null},"id":"%s","created":"2024-01-02T03:04:05.123456789+02:00","m":"\\u003ca"}'
    raw %= hexes(1).encode()
    assert emit(split(b"[" + raw + b" ,\n" + raw + b"]", file="t")) == b"[" + raw + b"," + raw + b"]"


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b" [ ] \n"])
def test_absent_empty_and_null_files_are_empty_tables(data: bytes) -> None:
    assert split(data, file="t") == []


@pytest.mark.parametrize(
    "data",
    [
        b'[{"id":"a"',
        b"{}",
        b"7",
        b" ",
        b"\0" * 64,
        b"[1]]",
        b'[{"id":"\xff"}]',
        b"\xef\xbb\xbf[]",
        b"[" * 100_000,
        b'[{"a":' * 50_000,
    ],
)
def test_what_is_no_json_array_is_corrupt(data: bytes) -> None:
    with pytest.raises(StoreCorrupt) as caught:
        split(data, file="/g/images.json")
    assert caught.value.data["file"] == "/g/images.json"
    assert caught.value.data["detail"]


def test_one_bad_record_costs_only_itself() -> None:
    good = {"id": hexes(1), "names": ["a"], "created": "2024-01-01T00:00:00Z"}
    table = decode_images(json.dumps([None, good, {"id": 5}, {"id": "short"}, {"id": hexes(2), "names": "x"}]).encode())
    assert [record.id for _, record in table.entries] == [hexes(1)]
    assert [flaw.index for flaw in table.flaws] == [0, 2, 3, 4]
    assert [flaw.id for flaw in table.flaws] == [None, None, "short", hexes(2)]
    assert all(flaw.detail for flaw in table.flaws)


@pytest.mark.parametrize(
    ("record", "evidence"),
    [
        (None, False),
        ({"id": 5}, False),
        ({"id": 5, "big-data-names": ["manifest"]}, True),
        ({"id": 5, "big-data-names": ["instances.json"]}, True),
        ({"id": 5, "big-data-names": ["manifest"], "layer": hexes(9)}, False),
        ({"id": 5, "big-data-names": ["instances.json"], "layer": hexes(9)}, True),
        ({"id": 5, "big-data-names": ["manifest"], "layer": ""}, True),
        ({"id": 5, "big-data-names": "manifest"}, True),
        ({"id": 5, "big-data-names": [3]}, True),
        ({"id": "xyz", "big-data-names": ["manifest", "sha256:xyz"]}, False),
        ({"id": hexes(1), "names": 5, "big-data-names": ["manifest", "sha256:" + hexes(1)]}, False),
        ({"id": hexes(1), "names": 5, "big-data-names": ["manifest", "sha256:" + hexes(2)]}, True),
    ],
)
def test_an_undecodable_image_is_evidence_where_it_may_be_a_list(record: object, evidence: bool) -> None:
    (flaw,) = decode_images(json.dumps([record]).encode()).flaws
    assert flaw.evidence is evidence


def test_an_undecodable_layer_is_never_evidence() -> None:
    raw = json.dumps([{"id": 5, "big-data-names": ["manifest"]}]).encode()
    assert [flaw.evidence for flaw in layers.decode(split(raw, file="t"), {}).flaws] == [False]


def test_an_object_nobody_can_look_into_is_evidence() -> None:
    raw = b'[{"id":"' + hexes(1).encode() + b'","a":"\\ud800","names":[1]}]'
    (flaw,) = decode_images(raw).flaws
    assert flaw.evidence


def test_known_bytes_are_not_decoded_again() -> None:
    raws = split(json.dumps([{"id": hexes(n), "created": "x"} for n in range(5)]).encode(), file="t")
    first = images.decode(raws, {})
    assert first.decoded == 5
    raws[2] = raws[2].replace(b'"x"', b'"y"')
    second = images.decode(raws, dict(first.entries))
    assert second.decoded == 1
    assert second.entries[0][1] is first.entries[0][1]
    assert second.entries[2][1].created == "y"


def test_empty_strings_mean_not_set() -> None:
    table = decode_images(json.dumps([{"id": hexes(1), "layer": "", "digest": ""}]).encode())
    record = table.entries[0][1]
    assert record.layer is None
    assert record.digest is None
    parentless = layers.decode(split(json.dumps([{"id": hexes(1), "parent": ""}]).encode(), file="t"), {})
    assert parentless.entries[0][1].parent is None


def test_missing_and_null_members_have_gos_meaning() -> None:
    raw = json.dumps([{"id": hexes(1), "names": None, "image": "", "layer": None}]).encode()
    record = Decoder(ContainerRecord, lambda _, record: record).decode(split(raw, file="t"), {}).entries[0][1]
    assert (record.names, record.image, record.layer, record.created) == (None, None, None, "0001-01-01T00:00:00Z")
