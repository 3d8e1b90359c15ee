"""Bytes to JSON texts, by jsonrpc-fdpass (bootc-dev/jsonrpc-fdpass, section 2.2).

A text ends where its JSON ends; whitespace between texts means nothing::

    {"jsonrpc":"2.0",...}LF {...}{...} {
       "jsonrpc": "2.0", ...
    }

The usual case is one text a line, and that takes one search for LF and one decode. Where the line is
not exactly one text, a scanner finds the end by matching brackets outside strings: one that closes another
than the last that was opened, or one level too many, is an error as soon as it comes, for the end of such a
text would never come. Whatever the sender does and however the stream is cut, each byte is searched, scanned
and decoded at most once each: ``work`` counts that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from storaged_client.json_limits import MESSAGE_DEPTH, NestedTooDeeply, check_nesting

BLANKS: Final = b" \t\n\r"
"""What may stand between texts."""
_BLANK: Final = re.compile(rb"[ \t\n\r]*+")
_RUN: Final = re.compile(rb"[{\[]++|[}\]]++")
# Groups are repeated atomically, (?>(?:x)*), never possessively, (?:x)*+: before CPython 3.11.5 the latter
# loses its place where the group itself holds a repeat.
_STRING: Final = rb'[^"\\]*+(?>(?:\\.[^"\\]*+)*)'
_STRING_REST: Final = re.compile(_STRING, re.DOTALL)
_FLAT: Final = rb'(?:[^"{}\[\]]++|"%s")' % _STRING
_LEAVES: Final = re.compile(rb"(?>(?:%s|\{(?>%s*)\}|\[(?>%s*)\])*)" % (_FLAT, _FLAT, _FLAT), re.DOTALL)
"""Whole strings, what stands between brackets, and brackets that hold no others: what leaves the depth
as it is. An opener is tried once as a leaf and goes no further than the next bracket."""
_BETWEEN: Final = re.compile(rb"(?>%s*)" % _FLAT, re.DOTALL)
"""The same without the brackets."""
_STRINGS: Final = re.compile(rb'"%s"' % _STRING, re.DOTALL)
_SCALAR_REST: Final = re.compile(rb'[^ \t\n\r"{}\[\],:]*+')
_FIRST: Final = frozenset(b'{["-0123456789tfn')
_QUOTE: Final = ord('"')
_OPENERS: Final = frozenset(b"{[")
_CLOSERS_OF: Final = bytes.maketrans(b"{[", b"}]")
_BACKSLASH: Final = ord("\\")

STRUCTURE: Final = 48 << 10
"""Bytes that a text may have outside its strings, their quotes counted and blanks not.

A string of a mebibyte is decoded in a millisecond. A mebibyte of small values takes forty, and nobody else is served
meanwhile: the decoder does not let go of the interpreter. This many bytes take less than two."""

NOTHING: Final = object()
"""What :meth:`Framer.pull` returns where no text is complete; ``None`` is a JSON value."""


class NotJSON(ValueError):
    """The bytes are no JSON text; where the next one would begin cannot be known."""


class TextTooLong(ValueError):
    """A text is longer than the limit, in bytes, that comes with it."""

    def __init__(self, text: str, limit: int) -> None:
        super().__init__(text)
        self.limit = limit


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def parse(data: bytes) -> Any:
    """Decode one JSON text in UTF-8; NaN and the infinities are refused.

    ``json.loads`` would also take UTF-16 and UTF-32. How deeply it is nested is for the caller to bound.

    Raises: ValueError (also for bytes that are not UTF-8).
    """
    return _decoder.decode(str(data, "utf-8"))


class Framer:
    """One direction of a stream. Holds at most ``limit`` bytes and the last chunk.

    ``limit`` is in bytes a text. ``decode`` takes the bytes of one text, of at most ``MESSAGE_DEPTH`` levels, and
    raises ValueError. With ``lines`` the sender is known to end each text with LF, and no end is looked
    for before one: a long reply that comes in many chunks then costs one search. Else a text that is not a line of
    ``STRUCTURE`` bytes at most may have no more than these outside its strings.
    """

    def __init__(self, limit: int, decode: Callable[[bytes], Any] = parse, *, lines: bool = False) -> None:
        self.limit = limit
        self.work = 0
        self._decode = decode
        self._lines = lines
        self._reset()

    def _reset(self) -> None:
        self._buffer: bytes | bytearray = b""
        self._start = 0
        """Where the current text begins, or blanks before it."""
        self._inside = False
        """A byte of the current text has been seen."""
        self._searched = 0
        """No LF lies between the current text and this; kept from text to text."""
        self._by_scanner = False
        """The scanner has begun on the current text."""
        self._line_end = -1
        """The line up to here is not exactly one text: its texts go by the scanner."""
        self._at = 0
        self._expected = bytearray()
        """The brackets that close those open now, the outermost first."""
        self._in_string = False
        self._structure = 0
        """Bytes of the current text outside its strings, up to ``_at``."""

    @property
    def held(self) -> int:
        """Bytes in the buffer that belong to no finished text."""
        return len(self._buffer) - self._start

    @property
    def begun(self) -> bool:
        """Whether a byte of the next text has come."""
        return self._inside or self._find_start()

    def feed(self, data: bytes) -> None:
        """Append what was read from the stream."""
        start = self._start
        if start == len(self._buffer):
            self._buffer = data
            self._start = self._searched = self._at = 0
            self._line_end = -1
            return
        if not isinstance(self._buffer, bytearray):
            self._buffer = bytearray(memoryview(self._buffer)[start:])
        elif start:
            del self._buffer[:start]
        if start:
            self._searched = max(self._searched - start, 0)
            self._at -= start
            self._line_end -= start
            self._start = 0
        self._buffer += data

    def pull(self) -> Any:
        """Take the next complete text, decoded, or ``NOTHING``.

        Raises: NotJSON, TextTooLong. After either the framer is empty and the stream is of no use.
        """
        if not self.begun:
            return NOTHING
        if not self._by_scanner and self._start > self._line_end:
            value = self._pull_line()
            if value is not NOTHING:
                return value
            if self._lines and self._line_end < self._start:
                self._check_length(len(self._buffer))
                return NOTHING
        return self._pull_scanned(at_end=False)

    def finish(self) -> Any:
        """The stream has ended: take a last number or word that only the end delimits, or ``NOTHING``.

        Raises: NotJSON, where the stream ends inside a text; TextTooLong.
        """
        if not self.begun:
            return NOTHING
        value = self._pull_scanned(at_end=True)
        if value is NOTHING:
            self._reset()
            raise NotJSON("the stream ended inside a text")
        return value

    def _find_start(self) -> bool:
        if self._start == len(self._buffer):
            return False
        match = _BLANK.match(self._buffer, self._start)
        start = match.end() if match else self._start
        self.work += start - self._start
        self._start = start
        if start == len(self._buffer):
            return False
        if self._buffer[start] not in _FIRST:
            byte = self._buffer[start]
            self._reset()
            raise NotJSON(f"a text cannot begin with the byte 0x{byte:02x}")
        self._inside = True
        self._searched = max(self._searched, start)
        self._at = start
        self._expected.clear()
        self._in_string = self._by_scanner = False
        self._structure = 0
        return True

    def _pull_line(self) -> Any:
        found = self._buffer.find(b"\n", self._searched)
        self.work += (found if found >= 0 else len(self._buffer)) - self._searched
        if found < 0:
            self._searched = len(self._buffer)
            return NOTHING
        value = NOTHING
        if found - self._start <= self.limit:
            self.work += found - self._start
            try:
                value = self._decode_line(self._slice(found))
            except ValueError:
                value = NOTHING
        if value is NOTHING:
            # Not necessarily wrong: part of a text, or several. The scanner will tell.
            self._line_end = found
            return NOTHING
        self._start = found + 1
        self._inside = False
        return value

    def _decode_line(self, line: bytes) -> Any:
        if self._lines:
            check_nesting(line, MESSAGE_DEPTH)
        elif len(line) > STRUCTURE or line.count(b"[") + line.count(b"{") > MESSAGE_DEPTH:
            # The scanner measures depth and structure as it goes, and stops where it is too much.
            return NOTHING
        return self._decode(line)

    def _pull_scanned(self, *, at_end: bool) -> Any:
        self._by_scanner = True
        before = self._at
        try:
            end = self._scan_scalar(at_end) if self._is_scalar() else self._scan()
        except ValueError as error:
            self._reset()
            raise NotJSON(str(error)) from None
        self.work += self._at - before
        self._check_structure()
        if end < 0:
            self._check_length(len(self._buffer))
            return NOTHING
        self._check_length(end)
        self.work += end - self._start
        try:
            value = self._decode(self._slice(end))
        except ValueError as error:
            self._reset()
            raise NotJSON(str(error)) from None
        self._start = end
        self._inside = False
        return value

    def _slice(self, end: int) -> bytes:
        return bytes(memoryview(self._buffer)[self._start : end])

    def _check_length(self, end: int) -> None:
        if end - self._start > self.limit:
            self._reset()
            raise TextTooLong(f"a text may have at most {self.limit} bytes", self.limit)

    def _check_structure(self) -> None:
        if self._structure > STRUCTURE and not self._lines:
            self._reset()
            raise TextTooLong(f"a text may have at most {STRUCTURE} bytes outside its strings", STRUCTURE)

    def _is_scalar(self) -> bool:
        return self._buffer[self._start] not in b'{["'

    def _scan_scalar(self, at_end: bool) -> int:
        match = _SCALAR_REST.match(self._buffer, self._at)
        before, self._at = self._at, match.end() if match else self._at
        self._structure += self._at - before
        return self._at if at_end or self._at < len(self._buffer) else -1

    def _scan(self) -> int:
        """Go on from ``_at`` to the end of the current text; -1 where it has not come yet.

        Raises: ValueError: a bracket closes another than the last that was opened; NestedTooDeeply.
        """
        buffer, at, expected = self._buffer, self._at, self._expected
        while True:
            if self._in_string:
                rest = _STRING_REST.match(buffer, at)
                at = rest.end() if rest else at
                if at == len(buffer) or buffer[at] == _BACKSLASH:  # a lone backslash is half an escape
                    break
                at += 1
                self._in_string = False
                if not expected:
                    self._at = at
                    return at
            if expected:
                # A leaf is a level of its own, which there may be no room for.
                leaves = (_LEAVES if len(expected) < MESSAGE_DEPTH else _BETWEEN).match(buffer, at)
                if leaves:
                    at = leaves.end()
                    self._structure += _outside_strings(leaves[0])
                if at == len(buffer):
                    break
            if buffer[at] == _QUOTE:  # a string that ends in a later chunk, or one that is the whole text
                self._in_string = True
                self._structure += 2
                at += 1
                continue
            run = _RUN.match(buffer, at)
            assert run is not None
            first, at = at, run.end()
            self._structure += at - first
            if buffer[first] in _OPENERS:
                if len(expected) + at - first > MESSAGE_DEPTH:
                    raise NestedTooDeeply(f"nested too deeply: a message has at most {MESSAGE_DEPTH} levels")
                expected += buffer[first:at].translate(_CLOSERS_OF)
                continue
            at = min(at, first + len(expected))
            closed = expected[first - at :]
            closed.reverse()
            if closed != buffer[first:at]:
                raise ValueError("a bracket closes one of the other kind")
            del expected[first - at :]
            if not expected:
                self._at = at
                return at
        self._at = at
        return -1


def _outside_strings(data: bytes | bytearray) -> int:
    """Bytes without blanks and what stands within quotes. What is given ends in no string."""
    return len(_STRINGS.sub(b'""', data).translate(None, BLANKS))
