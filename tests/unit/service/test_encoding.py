"""Replies as bytes: the same in whatever way they are put together."""

from __future__ import annotations

import json

import pytest

from storaged.service.encoding import Encoded, array, encode_read, encode_view
from tests.support.ground import Ground
from tests.unit.service.conftest import whole

SHORT, LONG = 10, 3 << 20


def reply(size: int) -> Encoded:
    return Encoded(members=[b'"a":"', *[b"x"] * 10, b"y" * size, b'"'])


@pytest.mark.anyio
@pytest.mark.parametrize("size", [SHORT, LONG])
async def test_a_reply_is_the_same_short_and_long(ground: Ground, size: int) -> None:
    async with ground.running():
        view = await ground.cache.view()
        assert whole(encode_read(reply(size), view)) == encode_view(reply(size), view)


@pytest.mark.anyio
async def test_a_long_reply_stays_in_its_pieces_and_a_short_one_is_joined(ground: Ground) -> None:
    async with ground.running():
        view = await ground.cache.view()
        long, short = reply(LONG), reply(SHORT)
        pieces = encode_read(long, view)
        assert all(any(piece is own for piece in pieces) for own in long.members)
        assert isinstance(encode_read(short, view), bytes)


@pytest.mark.parametrize("count", [0, 1, 2, 300])
def test_an_array_of_rows_is_their_json(count: int) -> None:
    rows = [b'{"a":%d}' % number for number in range(count)]
    assert json.loads(b"".join(array(rows))) == [{"a": number} for number in range(count)]
