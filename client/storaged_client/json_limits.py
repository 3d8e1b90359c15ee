"""Limits for the length and nesting of JSON, on the wire and in the store.

The interpreter's own limit differs between versions, depends on the caller's stack, and does not exist for some
decoders. So each text from outside is measured before it is decoded. An array or object inside no other has depth 1.
"""

from __future__ import annotations

import re
from itertools import accumulate

TYPE_CHECKING = False  # completion in a shell imports this at every key press: only what is necessary
if TYPE_CHECKING:
    from typing import Final

REPLY_BYTES: Final = 64 << 20
"""The maximum size of a reply in bytes, unless the daemon is configured otherwise."""
ENVELOPE_BYTES: Final = 1 << 20
"""Bytes of the envelope around a reply; a batch's brackets, ids and commas."""
MESSAGE_DEPTH: Final = 256
"""Levels of a message."""
CONTENT_DEPTH: Final = 200
"""Levels of JSON in the store, or to be stored: fewer than in a message, because answers embed it."""

_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
_STRING: Final = re.compile(rb'"[^"]*+"')
_UNIFORM: Final = bytes.maketrans(b"{}", b"[]")
_NO_MARK: Final = bytes(set(range(256)) - set(b'"{}[]'))
_STEPS: Final = bytes.maketrans(b"[]", b"\x01\xff")
_LEVELS_AT_ONCE: Final = 4


class NestedTooDeeply(ValueError):
    """A text has too many levels."""


def check_nesting(text: bytes | bytearray, most: int) -> None:
    """Refuse JSON with more than ``most`` levels. Linear in the bytes, whatever they are; invalid JSON may pass.

    Raises:
        NestedTooDeeply: it has more.
    """
    if text.count(b"[") + text.count(b"{") > most and _is_deeper(text, most):
        raise NestedTooDeeply(f"nested too deeply: it has more than {most} levels of arrays and objects")


def _is_deeper(text: bytes | bytearray, most: int) -> bool:
    if b"\\" in text:
        text = _ESCAPE.sub(b"", text)
    marks = text.translate(_UNIFORM, _NO_MARK)
    # Two adjacent quotes change nothing for the text around them, so most strings disappear at once.
    marks = _STRING.sub(b"", marks.replace(b'""', b""))
    # Each round removes the innermost level. After a few, little is left of a long and shallow text.
    for _ in range(min(_LEVELS_AT_ONCE, most)):
        marks = marks.replace(b"[]", b"")
        most -= 1
    return max(accumulate(memoryview(marks.translate(_STEPS)).cast("b")), default=0) > most
