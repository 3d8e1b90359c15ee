"""Results as JSON bytes. msgspec encodes attrs classes as they are; large lists come already encoded."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from itertools import accumulate

import msgspec
from attrs import evolve, fields
from msgspec import Struct

from storaged.engine.views import Staleness, View
from storaged_client.contract import types as t
from storaged_client.contract.errors import StoragedError

_encoder = msgspec.json.Encoder()
_ascii_encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

_LONG = 64 << 10
"""Bytes from which on a reply is left in its pieces."""


class Encoded(Struct, frozen=True, kw_only=True):
    """Members of a result that are JSON already: ``"images":[…],"next_cursor":null``, in pieces to be joined.

    ``view`` is what it was made from, where that is not the request's own. ``lasting``: the same question has the
    same answer as long as nothing changes.
    """

    members: list[bytes]
    view: View | None = None
    lasting: bool = False


def stale_of(staleness: Staleness | None) -> t.Stale | None:
    """The contract's form of a staleness."""
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


def encode(result: t.Result | Encoded, generation: str, staleness: Staleness | None) -> bytes:
    """The ``result`` member of a response."""
    if isinstance(result, Encoded):
        return b"".join(_pieces(result, generation, staleness))
    stale = stale_of(staleness)
    return _encode(evolve(result, generation=generation, stale=stale))


def encode_view(result: t.Result | Encoded, view: View) -> bytes:
    """The same, of the view that the result was made from."""
    if isinstance(result, Encoded) and result.view is not None:
        view = result.view
    return encode(result, view.generation, view.stale)


def encode_read(result: t.Result | Encoded, view: View) -> bytes | list[bytes]:
    """The same; what is long stays in pieces, to be written as they are: no copy of the whole is made."""
    if not isinstance(result, Encoded) or not _is_long(result.members):
        return encode_view(result, view)
    view = result.view or view
    return _pieces(result, view.generation, view.stale)


def array(rows: Sequence[bytes]) -> list[bytes]:
    """A JSON array of rows that are JSON, in pieces to be joined."""
    commas = [b","] * (2 * len(rows) - 1) if rows else []
    commas[::2] = rows
    return [b"[", *commas, b"]"]


def _is_long(pieces: Iterable[bytes]) -> bool:
    return any(size > _LONG for size in accumulate(map(len, pieces)))


def _pieces(result: Encoded, generation: str, staleness: Staleness | None) -> list[bytes]:
    head = b'{"generation":' + _encode(generation) + b',"stale":' + _encode(stale_of(staleness))
    return [head, b"," if result.members else b"", *result.members, b"}"]


def members(result: t.Result) -> list[bytes]:
    """A result's own members, for one that is answered from another view than the request's."""
    own = {field.name: getattr(result, field.name) for field in fields(type(result))}
    for name in ("generation", "stale"):
        del own[name]
    return [_encode(own)[1:-1]] if own else []


def error_object(error: StoragedError) -> t.ErrorObject:
    """An error inside a result, of one item among many."""
    return t.ErrorObject(code=error.code, message=error.message, data=error.wire_data())


def encode_value(value: object) -> bytes:
    """Any JSON-like value."""
    return _encode(value)


def _encode(value: object) -> bytes:
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:
        # The name of a file may have any bytes. JSON's escapes carry those that are no UTF-8 as Python has them.
        return _ascii_encoder.encode(msgspec.to_builtins(value)).encode("ascii")
