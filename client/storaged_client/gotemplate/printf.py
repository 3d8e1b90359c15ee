"""Go's ``fmt``: ``print``, ``println`` and ``printf`` for the values of a template."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from . import values
from .times import Duration

_VERB = r"%([-+# 0]*)(\*|\d+)?(?:\.(\*|\d*))?(?:\[(\d+)\])?(.?)"
_ABSENT = object()
_WIDEST = 1_000_000
"""Go's limit on a width or precision passed as an operand; here on all of them."""


def sprint(*operands: Any) -> str:
    """``print``: a space between two operands if neither is a string."""
    text = ""
    for index, value in enumerate(operands):
        if index and not isinstance(value, str) and not isinstance(operands[index - 1], str):
            text += " "
        text += nested(value)
    return text


def sprintln(*operands: Any) -> str:
    """``println``: a space between all operands, a line feed at the end."""
    return " ".join(map(nested, operands)) + "\n"


def nested(value: Any) -> str:
    """Format like ``shown``, but a missing value as ``<nil>``."""
    return "<nil>" if isinstance(value, values.NoValue) else values.shown(value)


def sprintf(form: str, *operands: Any) -> str:
    """``printf``; mistakes appear in the text, as in Go: ``%!d(string=x)``."""
    used, reordered = 0, False

    def operand() -> Any:
        nonlocal used
        used += 1
        return operands[used - 1] if 0 < used <= len(operands) else _ABSENT

    def one(found: re.Match[str]) -> str:
        nonlocal used, reordered
        flags, width, precision, index, verb = found.groups()
        sizes: list[int | None] = []
        for size, bad in ((width, "%!(BADWIDTH)"), (precision, "%!(BADPREC)")):
            if size == "*":
                size = operand()
                if not values.is_number(size):
                    return bad
            number = None if size is None else int(size or 0)
            if number is not None and abs(number) > _WIDEST:
                return bad
            sizes.append(number)
        if index is not None:
            used, reordered = int(index[:9]) - 1, True
        if not verb:
            return "%!(NOVERB)"
        if verb == "%":
            return "%"
        value = operand()
        if value is _ABSENT:
            return f"%!{verb}({'BADINDEX' if index else 'MISSING'})"
        return _Field(flags, *sizes).formatted(verb, value)

    text = re.sub(_VERB, one, form, flags=re.DOTALL)
    more = [] if reordered else [_typed(value) for value in operands[used:]]
    return text + (f"%!(EXTRA {', '.join(more)})" if more else "")


def _typed(value: Any) -> str:
    if value is None or isinstance(value, values.NoValue):
        return "<nil>"
    return f"{values.type_name(value)}={values.shown(value)}"


class _Field:
    """Flags, width and precision of one verb."""

    def __init__(self, flags: str, width: int | None, precision: int | None) -> None:
        self.flags = flags
        self.left = "-" in flags or (width or 0) < 0
        self.width = abs(width or 0)
        self.precision = precision

    def formatted(self, verb: str, value: Any) -> str:
        if isinstance(value, values.NoValue):
            value = None
        if verb == "T":
            return self._padded("<nil>" if value is None else values.type_name(value))
        if verb == "v" and "#" in self.flags and isinstance(value, str):
            verb = "q"
        if value is None:
            return self._padded("<nil>") if verb == "v" else f"%!{verb}(<nil>)"
        if isinstance(value, list | tuple):
            return "[" + " ".join(self.formatted(verb, item) for item in value) + "]"
        if isinstance(value, Mapping):
            return self._mapping(verb, value)
        text = self._scalar(verb, value)
        return f"%!{verb}({_typed(value)})" if text is None else text

    def _mapping(self, verb: str, value: Mapping[str, Any]) -> str:
        if isinstance(value, values.Struct):
            named = verb == "v" and ("+" in self.flags or "#" in self.flags)
            pairs = [(f"{name}:" if named else "", value[name]) for name in value.printed]
            return "{" + " ".join(name + self.formatted(verb, item) for name, item in pairs) + "}"
        members = [f"{self.formatted(verb, key)}:{self.formatted(verb, item)}" for key, item in values.ordered(value)]
        return "map[" + " ".join(members) + "]"

    def _scalar(self, verb: str, value: Any) -> str | None:
        if isinstance(value, bool):
            return self._padded(values.shown(value)) if verb in "tv" else None
        if isinstance(value, int) and not (isinstance(value, Duration) and verb in "sv"):
            return self._integer(verb, value)
        if isinstance(value, float):
            return self._float(verb, value)
        return self._string(verb, values.shown(value))

    def _string(self, verb: str, text: str) -> str | None:
        if verb in "sv":
            return self._padded(text if self.precision is None else text[: self.precision])
        if verb == "q":
            return self._padded(quoted(text if self.precision is None else text[: self.precision]))
        if verb in "xX":
            data = text.encode("utf-8", "replace")
            digits = data.hex(" ") if " " in self.flags else data.hex()
            return self._padded(digits.upper() if verb == "X" else digits)
        return None

    def _integer(self, verb: str, value: int) -> str | None:
        if verb == "c":
            return self._padded(chr(value) if 0 <= value < 0x110000 else "\ufffd")
        if verb == "q":
            return self._padded("'" + quoted(chr(value))[1:-1].replace("'", "\\'").replace('\\"', '"') + "'")
        if verb == "U":
            return self._padded(f"U+{value:04X}")
        base = {"d": "d", "v": "d", "b": "b", "o": "o", "O": "o", "x": "x", "X": "X"}.get(verb)
        if base is None:
            return None
        digits = format(abs(value), base).rjust(self.precision or 0, "0")
        prefix = {"x": "0x", "X": "0X", "o": "0", "b": "0b"}.get(verb, "") if "#" in self.flags else ""
        return self._number(("0o" if verb == "O" else prefix) + digits, value < 0)

    def _float(self, verb: str, value: float) -> str | None:
        if verb in "feEFgG" and (self.precision is not None or verb not in "gG"):
            precision = 6 if self.precision is None else self.precision
            return self._number(f"{abs(value):.{precision}{verb}}", value < 0)
        if verb in "vgG":
            return self._number(values.decimal(abs(value)), value < 0)
        return None

    def _number(self, digits: str, negative: bool) -> str:
        sign = "-" if negative else "+" if "+" in self.flags else " " if " " in self.flags else ""
        if "0" in self.flags and not self.left:
            digits = digits.rjust(self.width - len(sign), "0")
        return self._padded(sign + digits)

    def _padded(self, text: str) -> str:
        return text.ljust(self.width) if self.left else text.rjust(self.width, "0" if "0" in self.flags else " ")


_ESCAPES = dict(zip('\a\b\f\n\r\t\v\\"', ("\\" + letter for letter in 'abfnrtv\\"'), strict=True))


def quoted(text: str) -> str:
    """Quote the text as a Go string literal."""
    return '"' + "".join(_ESCAPES.get(c) or (c if c.isprintable() else _escaped(ord(c))) for c in text) + '"'


def _escaped(code: int) -> str:
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
