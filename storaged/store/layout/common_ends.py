"""What a new state of a table has in common with the one before, at its start and at its end.

::

    before  [ run , run , run , run ]    Go appends, drops and alters records where they lie, and writes compactly,
    now     [ run , new text  , run ]    so that nearly all of a table is byte for byte what it was
              '---'             '---'
              first             last     only what is between is split and decoded

A split of 20 MB makes 43,000 new strings: tens of milliseconds, a good part of it in one call that lets no other
thread run. To compare is a tenth of that, and done piece by piece.

The text of the table before is not kept for it: that was an eighth of all the daemon held. What is kept of each *run*
of records is its length and 128 bits of SipHash under the key of this process, so that a run that changed is taken for
the same once in 10^38 times, and by nobody's skill.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import chain

from attrs import frozen

from storaged.store.layout.table import split
from storaged_client.contract.errors import StoreCorrupt

RUN = 64
"""Records of a run at most, some 30 KiB of layers: no thread waits for a look at it, and few are decoded in vain."""

_COMMA = ord(",")
_Print = tuple[int, int]


@frozen(kw_only=True)
class Run:
    """Records that follow each other, written compactly: how many, and what their text is known by again.

    ``length`` is in bytes, with the commas between them. ``text_print`` is None for text that is to be decoded again
    whatever it is; no record is kept of it then.
    """

    count: int
    length: int
    text_print: _Print | None


@frozen(kw_only=True)
class Parts:
    """A table as so many runs of the one before, new records (``between``), and so many runs of the one before again.

    ``first`` and ``last`` count the records of those runs.
    """

    first: int
    between: Sequence[bytes]
    last: int
    _before: Sequence[Run]
    _after: Sequence[Run]
    _text_before: bytes
    """Of the last run of ``_before`` where that is a short one, and of the first of ``_after``."""
    _text_after: bytes

    def runs(self, dropped: Collection[int]) -> tuple[Run, ...]:
        """The runs of the whole table, for the next time; ``dropped``: records of ``between`` of which none is kept.

        Short runs are joined with what comes next to them, or there were a run for each record that ever came.
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
    """Split a table of which much is as in ``before``, the runs of the table before.

    The records are those of ``split(data)``, whatever both tables are.

    Raises:
        StoreCorrupt: as ``split``.
    """
    if before and data.startswith(b"[") and data.endswith(b"]"):
        at, first = _from_start(data, before)
        end, last = _from_end(data, before[first:], at)
        if first or last:
            # What was compared are whole values with their commas. If what is between is values too, so is all of it.
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
    # Where nothing is between, the comma before ``at`` is that after ``end``, too.
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
    """Where the first text begins that is not as before, and how many runs come before it, each with a comma."""
    view, at = memoryview(data), 1
    for count, run in enumerate(before):
        end = at + run.length
        if end >= len(data) or data[end] != _COMMA or run.text_print is None or _print(view[at:end]) != run.text_print:
            return at, count
        at = end + 1
    return at, len(before)


def _from_end(data: bytes, before: Sequence[Run], at: int) -> tuple[int, int]:
    """Where the last text ends that is not as before, and how many runs come after it, each with a comma before it.

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
    """Runs of these texts, each with the number of its records; a text that bears none stands alone."""
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
    # Two texts that differ in their first byte alone differ in the first number.
    return hash(text), hash(text[1:])
