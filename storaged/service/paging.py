"""Lists in pages. A cursor goes on with the generation it was made of (interface §2)."""

from __future__ import annotations

from storaged.engine.cursors import cursor_text
from storaged.errors import InvalidParams
from storaged.service.context import Call, Pinned
from storaged.service.encoding import Encoded, encode_value


def first_page(call: Call, pinned: Pinned, limit: int | None) -> Encoded:
    """The beginning of a listing; where more remains, it is pinned and ``next_cursor`` leads on."""
    return _page(call, pinned, "", 0, limit)


def next_page(call: Call, method: str, cursor: str, limit: int | None) -> Encoded:
    """Go on where a cursor stands.

    Raises:
        InvalidParams: no cursor of this method.
        GenerationGone: it is not kept any more.
    """
    token, offset, pinned = call.engine.cursors.take(call.session.credentials.uid, cursor)
    if pinned.method != method or offset > pinned.length:
        raise InvalidParams(f"this cursor does not belong to {method}; use next_cursor as it was given", path="cursor")
    return _page(call, pinned, token, offset, limit)


def _page(call: Call, pinned: Pinned, token: str, offset: int, limit: int | None) -> Encoded:
    if limit is not None and limit < 1:
        raise InvalidParams("limit must be at least 1", path="limit")
    end = pinned.length if limit is None else min(pinned.length, offset + limit)
    following: str | None = None
    if end < pinned.length:
        following = cursor_text(token or call.engine.cursors.pin(call.session.credentials.uid, pinned), end)
    members = [*pinned.page(offset, end), b',"next_cursor":', encode_value(following)]
    return Encoded(members=members, view=pinned.view)
