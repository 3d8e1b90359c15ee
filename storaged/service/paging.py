"""Listings in pages. A cursor continues with the generation of the first page.

A cursor stands for everything in the first request; only ``limit`` may differ from page to page. All pages are one
listing of one instant: each has the generation of the first, and its ``stale`` as it was then. A request without a
cursor tells whether the store has changed since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from attrs import AttrsInstance, fields, frozen

from storaged.engine.tokens import cursor_text
from storaged.service.context import Call, Waiting
from storaged.service.encoding import Encoded, array_in_turns, encode_value, is_long
from storaged.service.listing import Listing
from storaged_client.contract.errors import InvalidParams


class Paged(AttrsInstance, Protocol):
    """Parameters of a method with pages: an attrs class."""

    @property
    def limit(self) -> int | None: ...

    @property
    def cursor(self) -> str | None: ...


@frozen(kw_only=True)
class Page:
    """The rows of a listing from ``start`` up to ``end``. ``token`` names the listing if it is pinned already."""

    call: Call
    listing: Listing
    token: str
    start: int
    end: int

    def answer(self) -> Encoded | Waiting[Encoded]:
        """The page; a long one is encoded in turns."""
        rows = self._rows()
        return self.answer_in_turns if is_long(rows) else self._around(self.listing.encode(rows))

    async def answer_in_turns(self) -> Encoded:
        """The page; the event loop serves others between the pieces of a long one."""
        return self._around(await array_in_turns(self.listing.encode, self._rows()))

    def _rows(self) -> Sequence[Any]:
        return self.listing.rows[self.start : self.end]

    def _around(self, rows: list[bytes]) -> Encoded:
        following = self._following()
        return Encoded(
            members=[*self.listing.members(rows), b',"next_cursor":', encode_value(following)],
            view=self.listing.view,
            lasting=self.listing.lasting and not self.token and following is None,
        )

    def _following(self) -> str | None:
        """The cursor of the next page; for the first of several, the listing is pinned."""
        call = self.call
        cursors = call.engine.cursors
        if self.end < len(self.listing.rows):
            token = self.token or cursors.keep(call.session.credentials.uid, self.listing, call.session.account)
            return cursor_text(token, self.end)
        if self.token:
            cursors.finish(self.token)
        return None


def first_page(call: Call, listing: Listing, limit: int | None) -> Page:
    """The beginning of a listing.

    Raises:
        InvalidParams: the limit is less than 1.
    """
    return _page(call, listing, "", 0, limit)


def next_page(call: Call, method: str, params: Paged) -> Page:
    """The page that begins where ``params.cursor`` stands.

    Raises:
        InvalidParams: it is not a cursor of this method, or comes with another parameter; the limit is less than 1.
        GenerationGone: the listing is not kept any more.
    """
    cursor = params.cursor or ""
    for member in fields(type(params)):
        if member.name not in ("limit", "cursor") and getattr(params, member.name) != member.default:
            raise InvalidParams(
                f"{member.name} cannot be given with a cursor, which continues the first request: "
                f"leave it out, or start a new listing without the cursor",
                path=f"$.{member.name}",
            )
    token, offset, listing = call.engine.cursors.take(call.session.credentials.uid, cursor)
    if listing.method != method or offset > len(listing.rows):
        text = f"this cursor does not belong to {method}; use next_cursor unchanged"
        raise InvalidParams(text, path="$.cursor")
    return _page(call, listing, token, offset, params.limit)


def _page(call: Call, listing: Listing, token: str, start: int, limit: int | None) -> Page:
    if limit is not None and limit < 1:
        raise InvalidParams("limit must be at least 1", path="$.limit")
    length = len(listing.rows)
    end = length if limit is None else min(length, start + limit)
    return Page(call=call, listing=listing, token=token, start=start, end=end)
