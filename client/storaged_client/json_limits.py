"""How long and how deeply nested JSON may be, on the wire and in the store.

The interpreter's own limit is another one in each version, counts what called the decoder, and is none at all for some
decoders. So each text from outside is measured before it is decoded: an array or object in none has depth 1.
"""

from __future__ import annotations

import re
from itertools import accumulate

TYPE_CHECKING = False  # a press of a key in a shell imports this: nothing that it can do without
if TYPE_CHECKING:
    from typing import Final

REPLY_BYTES: Final = 64 << 20
"""Bytes of a reply, unless the daemon is told otherwise."""
ENVELOPE_BYTES: Final = 1 << 20
"""Bytes of an envelope around a reply; a batch's brackets, ids and commas."""
MESSAGE_DEPTH: Final = 256
"""Levels of a message."""
CONTENT_DEPTH: Final = 200
"""Levels of what the store holds, or is to hold: less than a message's, since answers carry it further in."""

_ESCAPE: Final = re.compile(rb"\\.", re.DOTALL)
_STRING: Final = re.compile(rb'"[^"]*+"')
_UNIFORM: Final = bytes.maketrans(b"{}", b"[]")
_NO_MARK: Final = bytes(set(range(256)) - set(b'"{}[]'))
_STEPS: Final = bytes.maketrans(b"[]", b"\x01\xff")
_LEVELS_AT_ONCE: Final = 4


class NestedTooDeeply(ValueError):
    """A text is nested more deeply than it may be."""


def check_nesting(text: bytes | bytearray, most: int) -> None:
    """Refuse JSON of more than ``most`` levels. Linear in the bytes, whatever they are; what is no JSON may pass.

    Raises:
        NestedTooDeeply: it has more.
    """
    if text.count(b"[") + text.count(b"{") > most and _is_deeper(text, most):
        raise NestedTooDeeply(f"nested too deeply: it has more than {most} levels of arrays and objects")


def _is_deeper(text: bytes | bytearray, most: int) -> bool:
    if b"\\" in text:
        text = _ESCAPE.sub(b"", text)
    marks = text.translate(_UNIFORM, _NO_MARK)
    # Two quotes side by side change nothing for what stands before or behind them: most strings are gone at once.
    marks = _STRING.sub(b"", marks.replace(b'""', b""))
    # Each turn takes the innermost level away. After a few, little is left of what is long and shallow.
    for _ in range(min(_LEVELS_AT_ONCE, most)):
        marks = marks.replace(b"[]", b"")
        most -= 1
    return max(accumulate(memoryview(marks.translate(_STEPS)).cast("b")), default=0) > most
