"""Results as JSON bytes. msgspec encodes attrs classes directly; rows of listings come already encoded."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any, TypeAlias, TypeVar

import msgspec
from attrs import evolve, fields
from msgspec import Struct

from storaged.engine.transactions import Outcome
from storaged.engine.views import Staleness, View
from storaged.service.limiters import pause
from storaged_client.contract import types as t
from storaged_client.contract.errors import StoragedError

Answer: TypeAlias = bytes | list[bytes]
"""An encoded ``result``; a long one in pieces to be joined."""

T = TypeVar("T")

_PIECE = 256
"""Rows encoded before the event loop serves others: about a millisecond."""

_LARGE = 64 << 10
"""Size in bytes above which an answer stays in pieces."""

_OF_ALL = frozenset({"generation", "stale"})
"""Members that every result has; they come from its view."""

_encoder = msgspec.json.Encoder()
_ascii_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)


class Encoded(Struct, frozen=True, kw_only=True):
    """Members of a result that are JSON already: ``"images":[…],"next_cursor":null``, in pieces to be joined.

    ``view`` is the one it was made from, if not the request's own. ``lasting``: the same question has the same
    answer as long as nothing changes.
    """

    members: list[bytes]
    view: View | None = None
    lasting: bool = False


Found: TypeAlias = t.Result | Encoded | Outcome[Any]
"""What a handler returns: a result of the request's own view, or one with the view that it was made from."""


def encode(result: t.Result | Encoded, generation: str, staleness: Staleness | None) -> Answer:
    """The ``result`` member of a response. A long one is not joined."""
    stale = _stale(staleness)
    if not isinstance(result, Encoded):
        return encode_value(evolve(result, generation=generation, stale=stale))
    head = b'{"generation":' + encode_value(generation) + b',"stale":' + encode_value(stale)
    pieces = [head, b"," if result.members else b"", *result.members, b"}"]
    return pieces if _is_large(result.members) else b"".join(pieces)


async def encode_in_turns(result: t.Result | Encoded, generation: str, staleness: Staleness | None) -> Answer:
    """The same; the event loop serves others between the pieces of a result with many rows."""
    if isinstance(result, Encoded):
        return encode(result, generation, staleness)
    own = {field.name: getattr(result, field.name) for field in fields(type(result)) if field.name not in _OF_ALL}
    if not any(isinstance(value, tuple) and is_long(value) for value in own.values()):
        return encode(result, generation, staleness)
    members: list[bytes] = []
    for name, value in own.items():
        rows = await array_in_turns(value_array, value) if isinstance(value, tuple) else [encode_value(value)]
        members += [b"," if members else b"", encode_value(name), b":", *rows]
    await pause()  # the caller frees the rows now, which takes as long as some pieces
    return encode(Encoded(members=members), generation, staleness)


def is_long(rows: Sequence[object]) -> bool:
    """Whether the event loop has to serve others while they are encoded."""
    return len(rows) > _PIECE


async def array_in_turns(encode_rows: Callable[[Sequence[T]], list[bytes]], rows: Sequence[T]) -> list[bytes]:
    """A JSON array in pieces to be joined; the event loop serves others after some of them.

    ``encode_rows`` makes one array of some of the rows, in pieces too.
    """
    found: list[bytes] = [b"["]
    for start in range(0, len(rows), _PIECE):
        if start:
            found.append(b",")
            await pause()
        found += encode_rows(rows[start : start + _PIECE])[1:-1]
    found.append(b"]")
    return found


def array(rows: Sequence[bytes]) -> list[bytes]:
    """A JSON array of rows that are JSON, in pieces to be joined."""
    commas = [b","] * (2 * len(rows) - 1) if rows else []
    commas[::2] = rows
    return [b"[", *commas, b"]"]


def value_array(rows: Sequence[object]) -> list[bytes]:
    """A JSON array of any JSON-like values, in pieces to be joined."""
    return [b"[", encode_value(rows)[1:-1], b"]"]


def error_object(error: StoragedError) -> t.ErrorObject:
    """An error inside a result, of one item among many."""
    return t.ErrorObject(code=error.code, message=error.message, data=error.wire_data())


def encode_value(value: object) -> bytes:
    """Any JSON-like value."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        # A file name may have any bytes. JSON escapes carry those that are not UTF-8, as Python represents them.
        return _ascii_encoder.encode(msgspec.to_builtins(value)).encode("ascii")


def _is_large(pieces: Iterable[bytes]) -> bool:
    return any(size > _LARGE for size in accumulate(map(len, pieces)))


def _stale(staleness: Staleness | None) -> t.Stale | None:
    if staleness is None:
        return None
    holder = staleness.holder
    return t.Stale(
        age_ms=staleness.age_ms,
        reason=staleness.reason,
        lock=holder.lock if holder else None,
        holder=t.Holder(pid=holder.pid, command=holder.command, mode=holder.mode) if holder else None,
        file=staleness.file,
    )
