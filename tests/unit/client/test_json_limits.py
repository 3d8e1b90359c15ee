"""How deeply JSON is nested, told without decoding it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storaged_client.cli.call import parameters
from storaged_client.cli.flags import UsageError
from storaged_client.json_limits import MESSAGE_DEPTH, NestedTooDeeply, check_nesting
from storaged_client.jsonrpc.messages import LocalProtocolError, encode_call

texts = st.text('"\\[]{}x\n', max_size=6)
values = st.recursive(
    st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=30,
)


def levels(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(levels, value.values()), default=0)
    return 1 + max(map(levels, value), default=0) if isinstance(value, list) else 0


@given(value=values, most=st.integers(0, 9), indent=st.sampled_from([None, 1]))
def test_as_many_levels_as_may_be_pass_and_one_more_does_not(value: Any, most: int, indent: int | None) -> None:
    text = json.dumps(value, indent=indent).encode()
    try:
        check_nesting(text, most)
    except NestedTooDeeply as error:
        assert levels(value) > most
        assert str(most) in str(error)  # noqa: PT017
    else:
        assert levels(value) <= most


@pytest.mark.parametrize(
    ("text", "deep"),
    [
        (b"[" * 257 + b"]" * 257, True),
        (b'{"a":' * 257 + b"1" + b"}" * 257, True),
        (b'["]",' * 256 + b"[]" + b"]" * 256, True),
        (b'["\\"",' * 256 + b"[]" + b"]" * 256, True),
        (b"[" + b'{"a":[]},' * 1000 + b"1]", False),
        (json.dumps(["[" * 1000, '"' + "[" * 1000, "\\" * 3 + "{" * 1000]).encode(), False),
        (b"[" * 256 + b"]" * 256, False),
    ],
)
def test_strings_hold_no_levels_and_hide_none(text: bytes, deep: bool) -> None:
    if deep:
        with pytest.raises(NestedTooDeeply):
            check_nesting(text, MESSAGE_DEPTH)
    else:
        check_nesting(text, MESSAGE_DEPTH)


@pytest.mark.parametrize(
    "text", [b"]" * 1000 + b"[" * 1000, b'"' + b"[" * 1000, b"[" * 1000, b"\\" * 1001 + b"[" * 999]
)
def test_what_is_no_json_passes_or_is_refused_and_nothing_else(text: bytes) -> None:
    try:
        check_nesting(text, MESSAGE_DEPTH)
    except NestedTooDeeply:
        return


def nested(count: int) -> Any:
    value: Any = 1
    for _ in range(count):
        value = [value]
    return value


def test_a_client_sends_no_more_levels_than_a_daemon_reads() -> None:
    assert encode_call(1, "x", {"a": nested(MESSAGE_DEPTH - 2)})
    with pytest.raises(LocalProtocolError, match="nested too deeply"):
        encode_call(1, "x", {"a": nested(MESSAGE_DEPTH - 1)})


def test_the_parameters_of_a_command_are_bounded_too() -> None:
    assert parameters(json.dumps(nested(MESSAGE_DEPTH - 1)))
    with pytest.raises(UsageError, match="nested too deeply"):
        parameters(json.dumps(nested(MESSAGE_DEPTH)))
