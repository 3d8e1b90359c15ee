"""What a new state of a table has in common with the one before, at its start and at its end.

::

    before  [ a , b , c , d , e ]        Go appends, drops and alters records where they lie, and writes compactly,
    now     [ a , b , X , d , e ]        so that nearly all of a table is byte for byte what it was
              '---'       '---'
              first=2     last=2         only what is between is split, looked up and decoded

A split of 20 MB makes 43,000 new strings, each of them hashed to find the row it had: tens of milliseconds, a good part
of it in one call that lets no other thread run. To compare is a tenth of that, and done piece by piece.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from attrs import frozen

from storaged.errors import StoreCorrupt
from storaged.store.layout.table import split

T = TypeVar("T")

_RUN = 128
"""Records compared at once, some 60 KiB of layers: no thread waits for it."""


@frozen(kw_only=True)
class Parts:
    """A table as so many records of the one before, new ones (``between``), and so many of the one before again.

    Where records are equal the two ends may overlap in the table before.
    """

    first: int
    between: Sequence[bytes]
    last: int


def split_beside(data: bytes, before: Sequence[tuple[bytes, T]], *, file: str) -> Parts:
    """Split a table of which much is as in ``before``: the records of the table before, and what became of each.

    The records are those of ``split(data)``, whatever both tables are.

    Raises:
        StoreCorrupt: as ``split``.
    """
    if data.startswith(b"[") and data.endswith(b"]"):
        at, first = _from_start(data, before)
        end, last = _from_end(data, before, at)
        if first or last:
            if end < at:
                return Parts(first=first, between=(), last=last)
            # What was compared are whole values with their commas. If what is between is values too, so is all of it.
            try:
                between = split(b"[" + data[at:end] + b"]", file=file)
            except StoreCorrupt:
                between = []
            if between:
                return Parts(first=first, between=between, last=last)
    return Parts(first=0, between=split(data, file=file), last=0)


def _from_start(data: bytes, before: Sequence[tuple[bytes, T]]) -> tuple[int, int]:
    """Where the first record begins that is not as before, and how many come before it, each with its comma."""
    at = 1
    for begin in range(0, len(before), _RUN):
        raws = [raw for raw, _ in before[begin : begin + _RUN]]
        run = b",".join([*raws, b""])
        if data.startswith(run, at):
            at += len(run)
            continue
        for count, raw in enumerate(raws):
            if not data.startswith(raw + b",", at):
                return at, begin + count
            at += len(raw) + 1
    return at, len(before)


def _from_end(data: bytes, before: Sequence[tuple[bytes, T]], at: int) -> tuple[int, int]:
    """Where the last record ends that is not as before, and how many come after it, each with the comma before it.

    That comma may be the one before ``at``: then the end is before ``at``, and there is no such record.
    """
    end, least = len(data) - 1, at - 1
    for taken in range(0, len(before), _RUN):
        stop = len(before) - taken
        raws = [raw for raw, _ in before[max(stop - _RUN, 0) : stop]]
        run = b",".join([b"", *raws])
        if data.endswith(run, least, end):
            end -= len(run)
            continue
        for count, raw in enumerate(reversed(raws)):
            if not data.endswith(b"," + raw, least, end):
                return end, taken + count
            end -= len(raw) + 1
    return end, len(before)
