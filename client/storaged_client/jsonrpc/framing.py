"""Splits a byte stream into JSON texts, as in jsonrpc-fdpass (bootc-dev/jsonrpc-fdpass, section 2.2).

A text ends where its JSON ends; whitespace between texts has no meaning::

    {"jsonrpc":"2.0",...}LF {...}{...} {
       "jsonrpc": "2.0", ...
    }

The usual case is one text per line, which takes one search for LF and one decode. If the line is not exactly one text,
a scanner finds the end by matching brackets outside strings. A bracket that does not match the last open one, or one
level too many, is an error at once, because such a text never ends. Whatever the sender does and however the stream is
cut, each byte is searched, scanned and decoded at most once each: ``work`` counts that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from storaged_client.json_limits import MESSAGE_DEPTH, NestedTooDeeply, check_nesting

BLANKS: Final = b" \t\n\r"
"""What may be between texts."""
_BLANK: Final = re.compile(rb"[ \t\n\r]*+")
_RUN: Final = re.compile(rb"[{\[]++|[}\]]++")
# Groups are repeated atomically, (?>(?:x)*), never possessively, (?:x)*+: before CPython 3.11.5 the latter loses its
# place if the group itself contains a repeat.
_STRING: Final = rb'[^"\\]*+(?>(?:\\.[^"\\]*+)*)'
_STRING_REST: Final = re.compile(_STRING, re.DOTALL)
_FLAT: Final = rb'(?:[^"{}\[\]]++|"%s")' % _STRING
_LEAVES: Final = re.compile(rb"(?>(?:%s|\{(?>%s*)\}|\[(?>%s*)\])*)" % (_FLAT, _FLAT, _FLAT), re.DOTALL)
"""Whole strings, the text between brackets, and brackets that contain no others: what does not change the depth. An
opening bracket is tried once as a leaf, and goes no further than the next bracket."""
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
"""The maximum number of bytes that a text may have outside its strings, counting quotes but not blanks.

A string of a mebibyte is decoded in a millisecond. A mebibyte of small values takes forty, and nobody else is served
meanwhile, because the decoder holds the interpreter lock. This many bytes take less than two.
"""

NOTHING: Final = object()
"""What :meth:`Framer.pull` returns if no text is complete; ``None`` is a JSON value."""


class NotJSON(ValueError):
    """The bytes are not a JSON text; where the next one would begin is unknown."""


class TextTooLong(ValueError):
    """A text is longer than the limit in bytes."""

    def __init__(self, text: str, limit: int) -> None:
        super().__init__(text)
        self.limit = limit


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_decoder = json.JSONDecoder(parse_constant=_refuse_constant)


def parse(data: bytes) -> Any:
    """Decode one JSON text in UTF-8; NaN and the infinities are refused.

    ``json.loads`` would also accept UTF-16 and UTF-32. The caller must limit the nesting.

    Raises: ValueError (also for bytes that are not UTF-8).
    """
    return _decoder.decode(str(data, "utf-8"))


class Framer:
    """One direction of a stream. Holds at most ``limit`` bytes and the last chunk.

    ``limit`` is in bytes per text. ``decode`` takes the bytes of one text, of at most ``MESSAGE_DEPTH`` levels, and
    raises ValueError. With ``lines``, the sender is known to end each text with LF, and no end is looked for before
    one: a long reply in many chunks then costs one search. Otherwise a text that is not a line of at most ``STRUCTURE``
    bytes may have no more than that outside its strings.
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
        """Where the current text begins, or the blanks before it."""
        self._inside = False
        """Whether a byte of the current text has been seen."""
        self._searched = 0
        """There is no LF between the current text and here; kept from text to text."""
        self._by_scanner = False
        """Whether the scanner has begun on the current text."""
        self._line_end = -1
        """The line up to here is not exactly one text: the scanner finds its texts."""
        self._at = 0
        self._expected = bytearray()
        """The closing brackets of those open now, the outermost first."""
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

        Raises: NotJSON, TextTooLong. After either, the framer is empty and the stream is unusable.
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

        Raises: NotJSON, if the stream ends inside a text; TextTooLong.
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
            # Not necessarily wrong: part of a text, or several. The scanner will find out.
            self._line_end = found
            return NOTHING
        self._start = found + 1
        self._inside = False
        return value

    def _decode_line(self, line: bytes) -> Any:
        if self._lines:
            check_nesting(line, MESSAGE_DEPTH)
        elif len(line) > STRUCTURE or line.count(b"[") + line.count(b"{") > MESSAGE_DEPTH:
            # The scanner measures depth and structure as it goes, and stops at the limits.
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
        """Continue from ``_at`` to the end of the current text; -1 if it has not come yet.

        Raises: ValueError: a bracket does not match the last open one; NestedTooDeeply.
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
                # A leaf is a level, too, for which there may be no room.
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
    """Bytes without blanks and the contents of quotes. The data must not end inside a string."""
    return len(_STRINGS.sub(b'""', data).translate(None, BLANKS))
