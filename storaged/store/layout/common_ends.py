"""Finds the common prefix and suffix of two states of a table, so that only the part between is decoded.

::

    before  [ run , run , run , run ]    Go appends, drops and changes records in place, and writes compactly,
    now     [ run , new text  , run ]    so nearly all of a table is byte for byte what it was
              '---'             '---'
              first             last     only the text between is split and decoded

Splitting 20 MB creates 43,000 new strings. It takes tens of milliseconds, much of it in one call that lets no other
thread run. Comparing takes a tenth of that and is done in pieces.

The text of the previous table is not kept; it was an eighth of the daemon's memory. For each *run* of records, only its
length and 128 bits of SipHash with this process's key are kept. A changed run is mistaken for the old one once in 10^38
times, and nobody can provoke it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain

from attrs import frozen

from storaged.store.layout.table import split
from storaged_client.contract.errors import StoreCorrupt

RUN = 64
"""The maximum number of records in a run, some 30 KiB of layers: comparing one is quick, and few unchanged records are
decoded again."""

_COMMA = ord(",")
_Print = tuple[int, int]


@frozen(kw_only=True)
class Run:
    """Consecutive records, written compactly: their number, and the fingerprint of their text.

    ``length`` is in bytes, including the commas between them. ``text_print`` is None for text that must be decoded
    again in any case; no record of it is kept.
    """

    count: int
    length: int
    text_print: _Print | None


@frozen(kw_only=True)
class Parts:
    """A table as runs of the previous one, new records (``between``), and runs of the previous one again.

    ``first`` and ``last`` count the records of those runs.
    """

    first: int
    between: Sequence[bytes]
    last: int
    _before: Sequence[Run]
    _after: Sequence[Run]
    _text_before: bytes
    """The text of the last run of ``_before`` if that is short, and of the first of ``_after``."""
    _text_after: bytes

    def runs(self, dropped: Collection[int]) -> tuple[Run, ...]:
        """The runs of the whole table, for the next time; ``dropped``: records of ``between`` that are not kept.

        Short runs are joined with their neighbours; otherwise every appended record would become its own run.
        """
        before, after = list(self._before), list(self._after)
        pieces: list[tuple[int, bytes]] = []
        if self._text_before:
            pieces.append((before.pop().count, self._text_before))
        pieces.extend((0 if at in dropped else 1, raw) for at, raw in enumerate(self.between))
        if self._text_after:
            pieces.append((after.pop(0).count, self._text_after))
        return (*before, *_packed(pieces), *after)


def split_beside(data: bytes, before: Sequence[Run], *, file: str) -> Parts:
    """Split a table that has much in common with ``before``, the runs of the previous table.

    The records are those of ``split(data)``, whatever both tables are.

    Raises:
        StoreCorrupt: as ``split``.
    """
    if before and data.startswith(b"[") and data.endswith(b"]"):
        at, first = _from_start(data, before)
        end, last = _from_end(data, before[first:], at)
        if first or last:
            # What was compared consists of complete values with their commas. If the text between consists of values,
            # so does the whole.
            between: list[bytes] = []
            if end >= at:
                try:
                    between = split(b"[" + data[at:end] + b"]", file=file)
                except StoreCorrupt:
                    between = []
            if between or end < at:
                return _parts(data, before[:first], between, before[len(before) - last :], at, end)
    return _parts(data, (), split(data, file=file), (), 0, 0)


def _parts(
    data: bytes, before: Sequence[Run], between: Sequence[bytes], after: Sequence[Run], at: int, end: int
) -> Parts:
    # If nothing is between, the comma before ``at`` is also the one after ``end``.
    short_before = before[-1].length if before and before[-1].count < RUN else 0
    short_after = after[0].length if after and after[0].count < RUN else 0
    return Parts(
        first=sum([run.count for run in before]),
        between=between,
        last=sum([run.count for run in after]),
        before=before,
        after=after,
        text_before=data[at - 1 - short_before : at - 1] if short_before else b"",
        text_after=data[end + 1 : end + 1 + short_after] if short_after else b"",
    )


def _from_start(data: bytes, before: Sequence[Run]) -> tuple[int, int]:
    """Where the first different text begins, and how many runs precede it, each with a comma."""
    view, at = memoryview(data), 1
    for count, run in enumerate(before):
        end = at + run.length
        if end >= len(data) or data[end] != _COMMA or run.text_print is None or _print(view[at:end]) != run.text_print:
            return at, count
        at = end + 1
    return at, len(before)


def _from_end(data: bytes, before: Sequence[Run], at: int) -> tuple[int, int]:
    """Where the last different text ends, and how many runs follow it, each with a comma before it.

    That comma may be the one before ``at``: then the end is before ``at``, and there is no such text.
    """
    view, end = memoryview(data), len(data) - 1
    for count, run in enumerate(reversed(before)):
        start = end - run.length
        if start < at or data[start - 1] != _COMMA:
            return end, count
        if run.text_print is None or _print(view[start:end]) != run.text_print:
            return end, count
        end = start - 1
    return end, len(before)


def _packed(pieces: Sequence[tuple[int, bytes]]) -> Iterator[Run]:
    """Make runs of these texts, each with its number of records; a text without fingerprint stands alone."""
    held: list[bytes] = []
    count = 0
    for many, text in chain(pieces, [(RUN + 1, b"")]):
        if held and (many == 0 or count + many > RUN):
            joined = b",".join(held)
            yield Run(count=count, length=len(joined), text_print=_print(memoryview(joined)))
            held, count = [], 0
        if many == 0:
            yield Run(count=0, length=len(text), text_print=None)
        else:
            held.append(text)
            count += many


def _print(text: memoryview) -> _Print:
    # Two texts that differ only in their first byte differ in the first number.
    return hash(text), hash(text[1:])
