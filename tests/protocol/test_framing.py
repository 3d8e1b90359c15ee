from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged_client.json_limits import MESSAGE_DEPTH
from storaged_client.jsonrpc.framing import NOTHING, STRUCTURE, Framer, NotJSON, TextTooLong, parse


def pull_all(framer: Framer) -> list[object]:
    values: list[object] = []
    while (value := framer.pull()) is not NOTHING:
        values.append(value)
    return values


def run(framer: Framer, data: bytes, size: int) -> list[object]:
    values: list[object] = []
    for start in range(0, len(data), size):
        framer.feed(data[start : start + size])
        values += pull_all(framer)
    return values


HARD = {
    "one line": json.dumps({"a": "x" * 10_000}).encode() + b"\n",
    "many lines": b'{"a":1}\n' * 1_200,
    "no line feed": b'{"a":1}' * 1_200,
    "no line feed until the end": b'{"a":[1]}' * 1_200 + b"\n",
    "pretty": json.dumps([{"a": [1, 2, {"b": "c"}]}] * 100, indent=3).encode(),
    "line feeds alone": b"\n" * 10_000,
    "blanks before a text": b" " * 10_000 + b"{}",
    "escapes": b'{"a":"' + b'\\"' * 4_000 + b'"}',
    "quotes": b"[" + b'"",' * 3_000 + b'""]',
    "a text of line feeds": b"[" + b"\n" * 10_000 + b"]",
    "lines that are not texts": b"[\n" + b'{"a":1},\n' * 1_200 + b"1]\n",
    "nested": b"[" * 6_000 + b"]" * 6_000,
    "one digit after the other": b"1" * 800 + b"\n",
    "two texts a line": b'{"a":1}{"b":2}\n' * 600,
}


@pytest.mark.parametrize("lines", [False, True], ids=["any", "lines"])
@pytest.mark.parametrize("size", [1, 13, 4096, 1 << 20])
@pytest.mark.parametrize("data", HARD.values(), ids=HARD.keys())
def test_work_is_linear_in_the_bytes_however_they_are_cut(data: bytes, size: int, lines: bool) -> None:
    framer = Framer(1 << 20, lines=lines)
    try:
        run(framer, data, size)
        framer.finish()
    except NotJSON as error:
        assert "nested too deeply" in str(error)  # noqa: PT017
    assert framer.work <= 4 * len(data) + 16


@pytest.mark.parametrize("size", [1, 100, 1_000])
def test_memory_is_bounded_by_the_limit_and_one_chunk(size: int) -> None:
    framer = Framer(1_000)
    held = []

    def send_without_end() -> None:
        framer.feed(b"[")
        for _ in range(5_000):
            framer.feed(b"0" * size)
            held.append(framer.held)
            pull_all(framer)

    with pytest.raises(TextTooLong):
        send_without_end()
    assert max(held) <= 1_000 + size


def test_a_complete_text_over_the_limit_is_refused_in_one_chunk() -> None:
    framer = Framer(100)
    framer.feed(b'{"a":"' + b"x" * 100 + b'"}\n')
    with pytest.raises(TextTooLong):
        framer.pull()
    assert framer.held == 0


def test_many_small_texts_in_one_long_line_are_within_the_limit() -> None:
    framer = Framer(10)
    framer.feed(b"{}" * 100 + b"\n")
    assert pull_all(framer) == [{}] * 100


def test_a_text_of_exactly_the_limit_passes() -> None:
    text = b'{"a":"' + b"x" * 92 + b'"}'
    for tail in (b"", b"\n"):
        framer = Framer(100)
        framer.feed(text + tail)
        assert pull_all(framer) == [json.loads(text)]


@pytest.mark.parametrize(
    "data",
    [b'{"a":"\xff"}\n', b'{"a":"\xed\xa0\x80"}', '{"a":1}'.encode("utf-16"), '{"a":1}'.encode("utf-16-le"), b"\x00"],
)
def test_what_is_not_utf8_is_not_json(data: bytes) -> None:
    framer = Framer(1_000)
    framer.feed(data + b"}")
    with pytest.raises(NotJSON):
        pull_all(framer)


@pytest.mark.parametrize("size", [1, 7, 4096])
@pytest.mark.parametrize(
    "data",
    [
        b'[{"jsonrpc": "2.0", "method": "sum", "id": "1"},\n {"jsonrpc": "2.0", "method"\n]',
        b"[1}",
        b'{"a":[{]',
        b"[[[}",
        b'[{"a":"]"}}',
        b'{"a":1,"b":{"c":"\\""]',
        b'{"a":[[]]]',
    ],
)
def test_a_bracket_of_the_other_kind_is_an_error_as_soon_as_it_comes(data: bytes, size: int) -> None:
    framer = Framer(1 << 20)
    assert run(framer, data[:-1], size) == []
    framer.feed(data[-1:])
    with pytest.raises(NotJSON, match="bracket"):
        framer.pull()


def test_the_brackets_of_the_text_before_are_forgotten() -> None:
    framer = Framer(1 << 20)
    assert run(framer, b'{"a":[1]}[{"b":[]}]{}[]', 1) == [{"a": [1]}, [{"b": []}], {}, []]


NESTED = {
    "arrays": (b"[", b"]"),
    "objects": (b'{"a":', b"}"),
    "objects before others": (b'{"a":', b',"b":{},"c":[1]}'),
    "arrays behind strings": (b'["[[{",', b',"]"]'),
}


@pytest.mark.parametrize("lines", [False, True], ids=["any", "lines"])
@pytest.mark.parametrize("size", [1, 1 << 20])
@pytest.mark.parametrize("before", [b"", b"{}"], ids=["alone", "behind another text"])
@pytest.mark.parametrize(("opening", "closing"), NESTED.values(), ids=NESTED.keys())
@pytest.mark.parametrize("inner", [b"1", b"[]", b'{"a":1}'])
def test_a_text_has_as_many_levels_as_it_may_and_not_one_more(
    opening: bytes, closing: bytes, inner: bytes, before: bytes, size: int, lines: bool
) -> None:
    def nested(levels: int) -> bytes:
        outer = levels - (inner != b"1" or b"[1]" in closing)
        return before + opening * outer + inner + closing * outer + b"\n"

    framer = Framer(1 << 20, lines=lines)
    *first, value = run(framer, nested(MESSAGE_DEPTH), size)
    assert first == ([{}] if before else [])
    assert isinstance(value, dict | list)
    framer.feed(nested(MESSAGE_DEPTH + 1))
    with pytest.raises(NotJSON, match="nested too deeply"):
        pull_all(framer)


def test_the_level_too_many_is_refused_before_the_end_comes() -> None:
    framer = Framer(1 << 20)
    framer.feed(b"[" * (MESSAGE_DEPTH + 1))
    with pytest.raises(NotJSON, match="nested too deeply"):
        framer.pull()


def test_many_arrays_side_by_side_are_not_deep() -> None:
    for lines in (False, True):
        framer = Framer(1 << 20, lines=lines)
        framer.feed(b"[" + b'{"a":["[[["]},' * 2_000 + b"1]\n")
        assert len(framer.pull()) == 2_001


SMALL_VALUES = {
    "arrays": (b"[", b"[],", 3),
    "objects": (b"[", b'{"key":1},', 7),
    "strings": (b"[", b'"a\\"b", \n\t', 3),
    "numbers": (b"[", b"1.5,", 4),
    "digits of one number": (b"", b"1", 1),
    "brackets within brackets": (b"[", b"[[[1]]],", 8),
}


@pytest.mark.parametrize("size", [1, 256, 1 << 20])
@pytest.mark.parametrize(("opening", "value", "counted"), SMALL_VALUES.values(), ids=SMALL_VALUES.keys())
def test_a_text_of_nothing_but_small_values_is_refused_before_it_is_decoded(
    opening: bytes, value: bytes, counted: int, size: int
) -> None:
    decoded = []

    def decode(text: bytes) -> object:
        value = parse(text)
        decoded.append(value)
        return value

    framer = Framer(1 << 20, decode)
    fitting = (STRUCTURE - len(opening)) // counted
    assert run(framer, opening + value * fitting, size) == []
    framer.feed(value * 2)
    with pytest.raises(TextTooLong, match="outside its strings") as refused:
        framer.pull()
    assert (refused.value.limit, decoded) == (STRUCTURE, [])


@pytest.mark.parametrize("size", [1, 256, 1 << 20])
def test_what_stands_in_strings_and_blanks_counts_as_little_as_it_costs(size: int) -> None:
    values = ["[1,2]," * 20_000, "\\" * 50_000, *(f"{number:064x}" for number in range(8_000))]
    text = json.dumps(values, indent=8).encode()
    assert run(Framer(1 << 20), text + b"\n", size) == [values]


def test_an_end_inside_a_text_is_an_error_and_between_texts_none() -> None:
    framer = Framer(1_000)
    framer.feed(b"{} \n")
    assert pull_all(framer) == [{}]
    assert framer.finish() is NOTHING
    framer.feed(b'{"a"')
    assert framer.pull() is NOTHING
    with pytest.raises(NotJSON):
        framer.finish()


def test_with_lines_a_long_text_in_chunks_is_searched_once() -> None:
    text = json.dumps([{"id": "x" * 64, "names": ["a", "b"]}] * 5_000).encode() + b"\n"
    framer = Framer(1 << 24, lines=True)
    assert run(framer, text, 1_000) == [json.loads(text)]
    assert framer.work <= 2 * len(text)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    values=st.lists(json_values, max_size=5),
    indent=st.sampled_from([None, 1]),
    ascii_only=st.booleans(),
    between=st.sampled_from(["\n", " ", "\r\n", "\t \n"]),
    size=st.integers(1, 40),
)
def test_any_values_come_out_as_they_went_in(
    values: list[object], indent: int | None, ascii_only: bool, between: str, size: int
) -> None:
    data = "".join(json.dumps(value, indent=indent, ensure_ascii=ascii_only) + between for value in values).encode()
    assert run(Framer(1 << 20), data, size) == values


@given(
    data=st.binary(max_size=200) | st.text('{}[]":,\\ \n1eE-a\x00', max_size=200).map(str.encode),
    size=st.integers(1, 50),
)
def test_cuts_never_change_what_is_found(data: bytes, size: int) -> None:
    def outcome(step: int) -> tuple[list[object], str]:
        framer = Framer(1 << 20)
        values: list[object] = []
        try:
            for start in range(0, len(data), step):
                framer.feed(data[start : start + step])
                while (value := framer.pull()) is not NOTHING:
                    values.append(value)
            while (value := framer.finish()) is not NOTHING:
                values.append(value)
        except NotJSON:
            return values, "not JSON"
        return values, "end"

    assert repr(outcome(size)) == repr(outcome(len(data) + 1))


def test_parse_refuses_the_words_that_are_not_json() -> None:
    for word in (b"NaN", b"[Infinity]", b"[-Infinity]"):
        with pytest.raises(ValueError, match="not JSON"):
            parse(word)
