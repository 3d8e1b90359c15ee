"""Records edited member by member."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged.store.layout.edit import IMAGE, LAYER, Uneditable, create, edit, encode, members, set_flag

RECORD = (
    b'{"id":"aa", "names":[ "a" ],"created":"2024-01-02T03:04:05.123456789+02:00",'
    b'"flags":{"x" : 1.0},"later":{"b":1,"a":[null]}}'
)


def test_members_not_named_keep_their_bytes_and_their_order() -> None:
    after = edit(RECORD, {"names": ["b", "c"]}, IMAGE)
    assert after == (
        b'{"id":"aa","names":["b","c"],"created":"2024-01-02T03:04:05.123456789+02:00",'
        b'"flags":{"x" : 1.0},"later":{"b":1,"a":[null]}}'
    )


def test_a_member_comes_where_go_has_it() -> None:
    after = edit(RECORD, {"names-history": ["b"], "digest": "d", "big-data-sizes": {"k": 1}}, IMAGE)
    order = ["id", "digest", "names", "names-history", "big-data-sizes", "created", "flags", "later"]
    assert list(json.loads(after)) == order
    assert list(json.loads(create({"created": "t", "names": ["n"], "id": "i"}, IMAGE))) == ["id", "names", "created"]


@pytest.mark.parametrize("value", [None, [], (), {}, "", 0, False])
def test_what_go_leaves_out_is_left_out(value) -> None:
    assert b"names" not in edit(RECORD, {"names": value}, IMAGE)


def test_an_edit_that_says_what_is_there_gives_the_same_bytes() -> None:
    tight = RECORD.replace(b": 1.0", b":1.0")
    assert edit(tight, {"flags": None, "digest": None}, IMAGE) != tight
    assert edit(tight, {"digest": None, "id": "aa"}, IMAGE) is tight


def test_text_is_escaped_as_go_does() -> None:
    assert encode(["<&>", "a\u2028b\u2029", "é\n\t\x01\x7f\U0001f600", '"\\/']) == (
        '["\\u003c\\u0026\\u003e","a\\u2028b\\u2029","é\\n\\t\\u0001\x7f\U0001f600","\\"\\\\/"]'.encode()
    )
    assert encode({"b": 1, "a": 2}) == b'{"a":2,"b":1}'


@pytest.mark.parametrize("value", ["\ud800", float("nan"), float("inf"), object(), b"bytes"])
def test_what_is_no_json_is_refused(value) -> None:
    with pytest.raises(Uneditable):
        edit(RECORD, {"names": [value]}, IMAGE)


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (b'{"id":"a","names":["x"],"names":["y"]}', "twice"),
        (b'{"id":"a","n\\u0061mes":["x"],"names":["y"]}', "twice"),
        (b'{"id":"a","Names":["x"]}', "'names'"),
        ('{"id":"a","layer\u017f":1,"name\u017f":["x"]}'.encode(), "'names'"),
        ('{"id":"a","\u212aind":1,"big-data-digests":{},"BIG-DATA-DIGESTS":{}}'.encode(), "'big-data-digests'"),
        (b"[]", "not a JSON object"),
        (b"null", "not a JSON object"),
        (b'{"id":"a"', "not a JSON object"),
        (b'{"id":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested|no JSON object"),
    ],
)
def test_a_record_that_tools_may_read_differently_is_refused(raw, why) -> None:
    with pytest.raises(Uneditable, match=why):
        edit(raw, {"names": ["z"]}, IMAGE)


def test_a_member_of_no_image_is_refused() -> None:
    with pytest.raises(Uneditable, match="not a member"):
        edit(RECORD, {"parent": "x"}, IMAGE)


def test_null_is_not_set_and_may_be_set() -> None:
    assert edit(b'{"id":"a","names":null}', {"names": ["x"]}, IMAGE) == b'{"id":"a","names":["x"]}'


@pytest.mark.parametrize(
    ("raw", "after"),
    [
        (b'{"id":"a","created":"t"}', b'{"id":"a","created":"t","flags":{"incomplete":true}}'),
        (
            b'{"id":"a","flags":{"z" : 1.50,"b":"<"},"uidmap":[{"size":1}]}',
            b'{"id":"a","flags":{"b":"<","incomplete":true,"z":1.50},"uidmap":[{"size":1}]}',
        ),
        (b'{"id":"a","uidmap":[],"flags":null}', b'{"id":"a","uidmap":[],"flags":{"incomplete":true}}'),
        (b'{"id":"a","flags":{"incomplete":"true"}}', b'{"id":"a","flags":{"incomplete":true}}'),
        (b'{"id":"a","uidmap":[]}', b'{"id":"a","flags":{"incomplete":true},"uidmap":[]}'),
    ],
)
def test_a_flag_comes_beside_the_others(raw, after) -> None:
    assert set_flag(raw, "incomplete", LAYER) == after


def test_flags_that_are_no_object_are_refused() -> None:
    with pytest.raises(Uneditable, match="flags"):
        set_flag(b'{"id":"a","flags":[1]}', "incomplete", LAYER)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abcé<\n", max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc-é\n<", min_size=1, max_size=6), _json, max_size=5), st.lists(st.text("ab<é")))
def test_whatever_a_record_has_an_edit_changes_what_it_names_alone(unknown, names) -> None:
    raw = json.dumps({"id": "x", **unknown}).encode()
    after = edit(raw, {"names": names}, IMAGE)
    read = json.loads(after)
    assert read.pop("names", []) == names
    assert read == json.loads(raw)
    before, now = members(raw, IMAGE), members(after, IMAGE)
    assert {name: now[name] for name in before} == before
