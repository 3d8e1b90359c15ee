"""Replies as bytes: the same in whatever way they are put together."""

from __future__ import annotations

import json

import pytest

from storaged.service.encoding import Encoded, array, encode
from tests.support.service import whole

SHORT, LONG = 10, 3 << 20


def reply(size: int) -> Encoded:
    return Encoded(members=[b'"a":"', *[b"x"] * 10, b"y" * size, b'"'])


@pytest.mark.parametrize("size", [SHORT, LONG])
def test_a_reply_is_the_same_short_and_long(size: int) -> None:
    text = whole(encode(reply(size), "1", None))
    assert json.loads(text) == {"generation": "1", "stale": None, "a": "x" * 10 + "y" * size}


def test_a_long_reply_stays_in_its_pieces_and_a_short_one_is_joined() -> None:
    long, short = reply(LONG), reply(SHORT)
    pieces = encode(long, "1", None)
    assert all(any(piece is own for piece in pieces) for own in long.members)
    assert isinstance(encode(short, "1", None), bytes)


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_an_array_of_rows_is_their_json(count: int) -> None:
    rows = [b'{"a":%d}' % number for number in range(count)]
    assert json.loads(b"".join(array(rows))) == [{"a": number} for number in range(count)]
