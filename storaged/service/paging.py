"""Lists in pages. A cursor goes on with the generation it was made of (interface §2).

A cursor stands for everything that was asked for at first; only ``limit`` may differ from page to page. The pages
are one listing of one instant: each names the generation of the first, and its ``stale`` as it was then. Whether
the store has moved on since is what a request without a cursor tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeVar

from attrs import AttrsInstance, fields

from storaged.engine.cursors import cursor_text
from storaged.engine.views import View
from storaged.service.context import Call, Pinned
from storaged.service.encoding import Encoded, encode_read, encode_value, encode_view
from storaged.service.later import Later, have, then
from storaged.service.limiters import pause
from storaged_client.contract import types as t
from storaged_client.contract.errors import InvalidParams

_PIECE = 256
"""Rows encoded between two looks of the loop at everybody else: about a millisecond."""

_OF_ALL = frozenset({"generation", "stale"})
"""Members that each result has, told from its view."""

T = TypeVar("T")


class Paged(AttrsInstance, Protocol):
    """Parameters of a method that answers in pages: an attrs class."""

    @property
    def limit(self) -> int | None: ...

    @property
    def cursor(self) -> str | None: ...


def first_page(call: Call, pinned: Pinned, limit: int | None) -> Encoded | Later[Encoded]:
    """The beginning of a listing; where more remains, it is pinned and ``next_cursor`` leads on.

    Raises:
        InvalidParams: the limit is less than 1.
    """
    return _page(call, pinned, "", 0, limit)


def next_page(call: Call, method: str, params: Paged) -> Encoded | Later[Encoded]:
    """Go on where ``params.cursor`` stands.

    Raises:
        InvalidParams: no cursor of this method, or another parameter comes with it; the limit is less than 1.
        GenerationGone: it is not kept any more.
    """
    cursor = params.cursor or ""
    for member in fields(type(params)):
        if member.name not in ("limit", "cursor") and getattr(params, member.name) != member.default:
            raise InvalidParams(
                f"{member.name} cannot be given with a cursor, which goes on with what was first asked for: "
                f"leave it out, or start a new listing without the cursor",
                path=f"$.{member.name}",
            )
    token, offset, pinned = call.engine.cursors.take(call.session.credentials.uid, cursor)
    if pinned.method != method or offset > pinned.length:
        text = f"this cursor does not belong to {method}; use next_cursor as it was given"
        raise InvalidParams(text, path="$.cursor")
    return _page(call, pinned, token, offset, params.limit)


def in_pieces(encode: Callable[[Sequence[T]], list[bytes]], rows: Sequence[T]) -> list[bytes] | Later[list[bytes]]:
    """A JSON array of the rows, in pieces to be joined; of many, the loop serves others between some of them.

    ``encode`` makes one array of some of the rows, in pieces too.
    """
    return encode(rows) if len(rows) <= _PIECE else partial(_in_pieces, encode, rows)


async def encode_change(result: t.Result, view: View) -> bytes | list[bytes]:
    """What a change made of the store, of whose many rows some are encoded at a time."""
    own = {field.name: getattr(result, field.name) for field in fields(type(result)) if field.name not in _OF_ALL}
    if not any(isinstance(value, tuple) and len(value) > _PIECE for value in own.values()):
        return encode_view(result, view)
    members: list[bytes] = []
    for name, value in own.items():
        rows = await have(in_pieces(_array, value)) if isinstance(value, tuple) else [encode_value(value)]
        members += [b"," if members else b"", encode_value(name), b":", *rows]
    await pause()  # the caller frees the rows now, which takes as long as some pieces
    return encode_read(Encoded(members=members), view)


def _array(rows: Sequence[object]) -> list[bytes]:
    return [b"[", encode_value(rows)[1:-1], b"]"]


async def _in_pieces(encode: Callable[[Sequence[T]], list[bytes]], rows: Sequence[T]) -> list[bytes]:
    found: list[bytes] = [b"["]
    for start in range(0, len(rows), _PIECE):
        if start:
            found.append(b",")
            await pause()
        found += encode(rows[start : start + _PIECE])[1:-1]
    found.append(b"]")
    return found


def _page(call: Call, pinned: Pinned, token: str, offset: int, limit: int | None) -> Encoded | Later[Encoded]:
    if limit is not None and limit < 1:
        raise InvalidParams("limit must be at least 1", path="$.limit")
    end = pinned.length if limit is None else min(pinned.length, offset + limit)

    def paged(members: list[bytes]) -> Encoded:
        following: str | None = None
        if end < pinned.length:
            following = cursor_text(
                token or call.engine.cursors.pin(call.session.credentials.uid, pinned, call.session.account), end
            )
        elif token:
            call.engine.cursors.finish(token)
        return Encoded(
            members=[*members, b',"next_cursor":', encode_value(following)],
            view=pinned.view,
            lasting=pinned.lasting and not token and following is None,
        )

    return then(pinned.page(offset, end), paged)
