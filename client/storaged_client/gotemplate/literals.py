"""Go's literals: strings, characters and numbers."""

from __future__ import annotations

import re

_ESCAPE = r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))"
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


def unquoted(literal: str) -> str:
    """Return the text of a quoted string or character literal.

    Raises:
        ValueError: Go has no such escape.
    """
    quote = literal[0]
    if quote == "`":
        return literal[1:-1].replace("\r", "")
    parts = bytearray()
    position, end = 1, len(literal) - 1
    while position < end:
        if literal[position] != "\\":
            parts += literal[position].encode("utf-8", "replace")
            position += 1
            continue
        found = re.match(_ESCAPE, literal[position:end], re.DOTALL)
        if found is None:
            raise ValueError("invalid syntax")
        byte, short, long, octal, simple = found.groups()
        if byte or octal:
            number = int(byte, 16) if byte else int(octal, 8)
            if number > 255:
                raise ValueError("invalid syntax")
            parts.append(number)
        elif short or long:
            parts += _character(int(short or long, 16)).encode()
        elif simple == quote:
            parts += quote.encode()
        elif simple in _SIMPLE:
            parts += _SIMPLE[simple].encode()
        else:
            raise ValueError("invalid syntax")
        position += found.end()
    return parts.decode("utf-8", "replace")


def _character(number: int) -> str:
    if number > 0x10FFFF or 0xD800 <= number < 0xE000:
        raise ValueError("invalid syntax")
    return chr(number)


def number(literal: str) -> int | float:
    """Parse a number.

    Raises:
        ValueError: the literal is not a number.
    """
    text = literal.lower()
    digits = text.lstrip("+-")
    if re.fullmatch(r"0[0-7_]+", digits):
        text = text.replace(digits, f"0o{digits[1:].lstrip('_')}")
    if digits.startswith("0x") and "p" in digits:
        return float.fromhex(text.replace("_", ""))
    if (
        not digits.startswith("0x")
        and re.fullmatch(r"[\d_]*\.?[\d_]*(?:e[+-]?[\d_]+)?", digits)
        and {".", "e"} & {*text}
    ):
        return float(text)
    value = int(text, 0)
    if not -(2**63) <= value < 2**64:
        raise ValueError("integer overflow")
    return value
